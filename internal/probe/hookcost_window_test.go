package probe

import (
	"slices"
	"testing"

	"github.com/cilium/ebpf"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/metric"
)

// windowRounds is how often a load runs with windows open, and closed, in turn, with ours
// ahead of the empty programs, and as often behind.
const windowRounds = 5

// BenchmarkWindows is what programs of each family that can be sampled, alone on its hook,
// take over empty ones at their hooks in the same load: with its window open, and closed.
// A window of 10 % leaves open/10 + closed*9/10 of that; gone-% is the rest.
func BenchmarkWindows(b *testing.B) {
	sampled := map[string]bool{}
	for _, f := range catalogue.Families() {
		sampled[f.Name] = f.Unsampled() == ""
	}
	for _, l := range loads() {
		for _, name := range l.families {
			if !sampled[name] {
				continue
			}
			b.Run(name, func(b *testing.B) {
				s := want(b, name)
				f := find(b, s, name)
				g := newGroup(b, nil)
				newTarget(b, s, []string{name}, g)
				if err := s.Switch(NodeSlot, f); err != nil {
					b.Fatal(err)
				}
				windowCost(b, s, f[0], l.start(b, s, g))
			})
		}
	}
}

// windowCost measures ours ahead of the empty programs, then behind them.
func windowCost(b *testing.B, s *Set, f *metric.Family, run func()) {
	empties := emptyPrograms(b, s.objects[f.Object])
	stats, err := ebpf.EnableStats(0)
	if err != nil {
		b.Fatal(err)
	}
	defer stats.Close()
	const open, closed = ^uint64(0), uint64(0)
	cost := map[uint64]float64{}
	for _, position := range []string{"ahead of", "behind"} {
		costs := map[uint64][]float64{}
		for range windowRounds {
			for _, mask := range []uint64{open, closed} {
				if err := s.setOpen(mask); err != nil {
					b.Fatal(err)
				}
				costs[mask] = append(costs[mask], overEmpty(s.objects[f.Object].coll.Programs, empties, run))
			}
		}
		for mask, v := range costs {
			slices.Sort(v)
			cost[mask] += v[len(v)/2] / 2
		}
		b.Logf("medians with ours %s the empty ones: open %.1f ns, closed %.1f", position, costs[open][windowRounds/2], costs[closed][windowRounds/2])
		putBehind(b, s.objects[f.Object])
	}
	whole, left := cost[open], cost[closed]
	b.ReportMetric(whole, "open-ns")
	b.ReportMetric(left, "closed-ns")
	b.ReportMetric(100*(1-(0.1*whole+0.9*left)/whole), "gone-%")
	b.ReportMetric(0, "ns/op") // rounds of a load, not b.N of them
}

// overEmpty is the mean time by which runs of programs take longer than those of empty
// ones, of the same names, while a load runs.
func overEmpty(ours map[string]*ebpf.Program, empties map[string]*ebpf.Program, load func()) float64 {
	sum := func(programs map[string]*ebpf.Program) (runs, ns float64) {
		for name := range empties {
			if st, err := programs[name].Stats(); err == nil {
				runs, ns = runs+float64(st.RunCount), ns+float64(st.Runtime)
			}
		}
		return runs, ns
	}
	runs, ns := sum(ours)
	none, empty := sum(empties)
	load()
	runsAfter, nsAfter := sum(ours)
	noneAfter, emptyAfter := sum(empties)
	return (nsAfter-ns)/(runsAfter-runs) - (emptyAfter-empty)/(noneAfter-none)
}
