package budget

import (
	"slices"

	"viperprobe.dev/viperprobe/internal/metric"
)

// Another is a bill with one more target that does what the one with an id does. Of
// series it has its even share; the kernel's memory is in chunks of 16 targets, and
// mostly there already.
func Another(b metric.Bill, id metric.TargetID) metric.Bill {
	b.Families = slices.Clone(b.Families)
	before := b.Node.Series
	for i := range b.Families {
		f := &b.Families[i]
		f.Containers = slices.Clone(f.Containers)
		at := slices.IndexFunc(f.Containers, func(c metric.ContainerCost) bool { return c.ID == id })
		if at < 0 {
			continue
		}
		one := f.Containers[at]
		series := f.Series / len(f.Containers)
		one.Target, one.ID = "one more "+one.Target, ""
		f.Containers = slices.Insert(f.Containers, at, one)
		f.CPUPercent, f.EventsPerSecond, f.Series = f.CPUPercent+one.CPUPercent, f.EventsPerSecond+one.EventsPerSecond, f.Series+series
		b.Node.Series += series
		if f.Tier == metric.Event {
			b.Node.ProgramsPercent += one.CPUPercent
		} else {
			b.Node.AgentPercent += one.CPUPercent
		}
	}
	b.Node.StorePercent *= float64(b.Node.Series) / float64(max(1, before))
	b.Node.CPUPercent = b.Node.ProgramsPercent + b.Node.AgentPercent + b.Node.StorePercent
	return b
}
