package main

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"time"

	"viperprobe.dev/viperprobe/internal/budget"
)

// The picture's measures, in pixels.
const (
	width, height          = 960, 420
	left, right, top, foot = 60, 20, 56, 84
)

// svg draws the run: programs and process stacked, the budget, the storm, and the
// steps below.
func (d *drawing) svg() []byte {
	total := (d.calm + d.storm + d.after).Seconds()
	highest := 2.2 * d.limit
	for _, p := range d.points {
		highest = max(highest, 1.05*(p.programs+p.process))
	}
	x := func(at time.Duration) float64 {
		return left + (width-left-right)*min(1, max(0, at.Seconds()/total))
	}
	y := func(v float64) float64 { return top + (height-top-foot)*(1-v/highest) }
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" fill="#1f2937">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", width, height)
	text := func(at float64, down float64, anchor, words string) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", at, down, anchor, words)
	}
	fmt.Fprintf(&b, `<text x="%d" y="22" font-size="15" font-weight="bold">A budget of %g %% of one CPU in a storm of context switches</text>`+"\n", left, d.limit)
	fmt.Fprintf(&b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="#fee2e2"/>`+"\n", x(d.calm), top, x(d.calm+d.storm)-x(d.calm), height-top-foot)
	text(x(d.calm)+6, top+16, "start", "storm")
	step := math.Pow(10, math.Floor(math.Log10(highest/3)))
	for highest/step > 8 {
		step *= 2
	}
	for v := 0.0; v <= highest; v += step {
		fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#e5e7eb"/>`+"\n", left, y(v), width-right)
		text(left-8, y(v)+4, "end", fmt.Sprintf("%g %%", v))
	}
	for s := 0.0; s <= total; s += 10 {
		text(x(time.Duration(s*1e9)), height-foot+16, "middle", fmt.Sprintf("%g s", s))
	}
	d.area(&b, x, y, "#93c5fd", func(p point) float64 { return p.programs + p.process })
	d.area(&b, x, y, "#3b82f6", func(p point) float64 { return p.process })
	for n, label := range []string{"budget", "twice: everything stops"} {
		v := d.limit * float64(n+1)
		fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#b91c1c" stroke-dasharray="%d 4"/>`+"\n", left, y(v), width-right, 8-4*n)
		text(width-right-4, y(v)-5, "end", label)
	}
	for i, legend := range []struct{ color, words string }{{"#93c5fd", "BPF programs"}, {"#3b82f6", "the agent's process"}} {
		at := float64(left + 130*i)
		fmt.Fprintf(&b, `<rect x="%.1f" y="34" width="12" height="12" fill="%s"/>`+"\n", at, legend.color)
		text(at+18, 44, "start", legend.words)
	}
	d.lanes(&b, x)
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// area fills what lies below a value.
func (d *drawing) area(b *bytes.Buffer, x func(time.Duration) float64, y func(float64) float64, color string, of func(point) float64) {
	if len(d.points) == 0 {
		return
	}
	path := []string{fmt.Sprintf("M%.1f %.1f", x(d.points[0].at), y(0))}
	for _, p := range d.points {
		path = append(path, fmt.Sprintf("L%.1f %.1f", x(p.at), y(of(p))))
	}
	path = append(path, fmt.Sprintf("L%.1f %.1fZ", x(d.points[len(d.points)-1].at), y(0)))
	fmt.Fprintf(b, `<path d="%s" fill="%s" stroke="none"/>`+"\n", strings.Join(path, ""), color)
}

// lanes draws how many steps of each lever are in force.
func (d *drawing) lanes(b *bytes.Buffer, x func(time.Duration) float64) {
	end := d.calm + d.storm + d.after
	colors := map[budget.Lever]string{budget.Rate: "#fcd34d", budget.Interval: "#fdba74", budget.Form: "#f97316", budget.Drop: "#ef4444", budget.Stop: "#7f1d1d"}
	lane := 0
	for _, l := range budget.Levers() {
		type span struct {
			from, to time.Duration
			key      string
		}
		var spans []span
		for _, s := range d.steps {
			if s.Lever != l {
				continue
			}
			key := fmt.Sprint(s.Families, s.Rate, s.Stretch)
			at := s.Time.Sub(d.began)
			if !s.Undo {
				spans = append(spans, span{at, end, key})
				continue
			}
			for i := len(spans) - 1; i >= 0; i-- {
				if spans[i].key == key && spans[i].to == end {
					spans[i].to = at
					break
				}
			}
		}
		if len(spans) == 0 {
			continue
		}
		down := float64(height - foot + 24 + 12*lane)
		lane++
		fmt.Fprintf(b, `<text x="%d" y="%.1f" text-anchor="end" font-size="10">%s</text>`+"\n", left-8, down+8, l)
		for _, s := range spans {
			fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="9" fill="%s" fill-opacity="0.6"/>`+"\n", x(s.from), down, max(1, x(s.to)-x(s.from)), colors[l])
		}
	}
}
