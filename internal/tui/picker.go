package tui

import (
	"slices"

	"viperprobe.dev/viperprobe/internal/metric"
)

// A picker is the list from which families are chosen.
type picker struct {
	families []*metric.Family
	on       map[string]bool
	cursor   int
}

func newPicker(catalogue, shown []*metric.Family) picker {
	p := picker{families: catalogue, on: map[string]bool{}}
	for _, f := range shown {
		p.on[f.Name] = true
	}
	return p
}

func (p *picker) key(k string) {
	switch k {
	case "up", "k":
		p.cursor--
	case "down", "j":
		p.cursor++
	case "pgup":
		p.cursor -= 10
	case "pgdown":
		p.cursor += 10
	case "home", "g":
		p.cursor = 0
	case "end", "G":
		p.cursor = len(p.families)
	case "space", "x":
		if p.cursor < len(p.families) {
			name := p.families[p.cursor].Name
			p.on[name] = !p.on[name]
		}
	case "a":
		all := len(p.chosen()) < len(p.families)
		for _, f := range p.families {
			p.on[f.Name] = all
		}
	}
	p.cursor = max(0, min(p.cursor, len(p.families)-1))
}

// chosen is what is ticked, in catalogue order.
func (p *picker) chosen() []*metric.Family {
	return slices.DeleteFunc(slices.Clone(p.families), func(f *metric.Family) bool { return !p.on[f.Name] })
}
