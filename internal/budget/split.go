// Package budget says who pays for measuring, and what is given up first when it
// costs more than it may. It is pure: what was measured comes in as numbers.
package budget

import (
	"maps"
	"slices"

	"viperprobe.dev/viperprobe/internal/metric"
)

// A Use is what one program took in a window, and the families that need it.
type Use struct {
	Program  string
	Families []*metric.Family
	Runs     float64
	Time     float64 // ns, entering it included
	Iterator bool    // a pass over tasks or sockets: there is no gate, every run is of use
}

// Events are the events of a window by family and target id. Where a family counts
// bytes or time they are those, of snapshots how much there is to look at, and they
// tell shares alone.
type Events map[*metric.Family]map[metric.TargetID]float64

// A Share is what one family costs for one target: ns of the window. Target "" is the
// gate: events that no target wants.
type Share struct {
	Family *metric.Family
	Target metric.TargetID
	Time   float64
}

// Split shares the time of a program among families and targets; the shares add up to
// it. An event is paid by the target that it counted for, by the measured prices of
// its families: entering the program once, in equal parts, and each family's own work.
// A run that counted for nobody costs what a closed gate costs, and is the gate's, in
// equal parts by family. So what others do changes a target's bill only as far as it
// changes how long a run takes.
func Split(u Use, events Events) []Share {
	if len(u.Families) == 0 || u.Time <= 0 {
		return nil
	}
	if u.Iterator {
		return splitPass(u, events)
	}
	claims, entries := claim(u, events)
	claimed := 0.0
	for _, n := range entries {
		claimed += n
	}
	_, closed := prices(u.Families[0], u.Program)
	gate := max(0, u.Runs-claimed) * closed
	var out []Share
	sum := gate
	for _, f := range u.Families {
		open, closed := prices(f, u.Program)
		for _, t := range slices.Sorted(maps.Keys(claims[f])) {
			n := claims[f][t]
			if n == 0 {
				continue
			}
			together := 0.0
			for _, other := range u.Families {
				together += claims[other][t]
			}
			s := Share{f, t, n*max(0, open-closed) + entries[t]*closed*n/together}
			sum += s.Time
			out = append(out, s)
		}
	}
	for _, f := range u.Families {
		out = append(out, Share{f, "", gate / float64(len(u.Families))})
	}
	return scale(out, u.Time/sum)
}

// claim says how many runs of the program each family accounts for by target, and how
// many any of them does: a run that counts for several families is one.
func claim(u Use, events Events) (claims Events, entries map[metric.TargetID]float64) {
	claims, entries = Events{}, map[metric.TargetID]float64{}
	for _, f := range u.Families {
		each := runs(f, u.Program)
		if !Counts(f) { // bytes, time or sizes: all runs, by share
			each = u.Runs / max(1, total(events[f]))
		}
		claims[f] = map[metric.TargetID]float64{}
		for t, n := range events[f] {
			claims[f][t] = n * each
			entries[t] = max(entries[t], n*each)
		}
	}
	sum := total(entries)
	if sum <= u.Runs {
		return claims, entries
	}
	for t := range entries {
		entries[t] *= u.Runs / sum
		for _, f := range u.Families {
			if n, ok := claims[f][t]; ok {
				claims[f][t] = n * u.Runs / sum
			}
		}
	}
	return claims, entries
}

// splitPass shares a pass in equal parts among families, and by what was looked at
// among targets; equally where that is not known.
func splitPass(u Use, events Events) []Share {
	var out []Share
	for _, f := range u.Families {
		sum := total(events[f])
		for _, t := range slices.Sorted(maps.Keys(events[f])) {
			part := 1 / float64(len(events[f]))
			if sum > 0 {
				part = events[f][t] / sum
			}
			out = append(out, Share{f, t, part * u.Time / float64(len(u.Families))})
		}
		if len(events[f]) == 0 {
			out = append(out, Share{f, "", u.Time / float64(len(u.Families))})
		}
	}
	return out
}

// Counts reports whether a family's values are events, or a histogram of them; what
// snapshots read is not.
func Counts(f *metric.Family) bool {
	return f.Gated() && (f.Kind == metric.Histogram || f.Kind == metric.Counter && f.Unit == metric.One)
}

// Prices where nobody measured any: the gate, and entering the program, is half of a run.
const (
	unknownOpen   = 100
	unknownClosed = 50
)

// prices are those of a run, entering the program included.
func prices(f *metric.Family, program string) (open, closed float64) {
	for _, p := range f.Prices {
		if p.Program == program {
			return p.Open + p.Enter, p.Closed + p.Enter
		}
	}
	return unknownOpen, unknownClosed
}

// Enter is what entering a program costs each run by the measured prices of its families,
// in ns: what the kernel's statistics do not see.
func Enter(program string, families []*metric.Family) float64 {
	for _, f := range families {
		for _, p := range f.Prices {
			if p.Program == program {
				return p.Enter
			}
		}
	}
	return unknownClosed
}

func runs(f *metric.Family, program string) float64 {
	for _, p := range f.Prices {
		if p.Program == program && p.Runs > 0 {
			return p.Runs
		}
	}
	return 1
}

func total(by map[metric.TargetID]float64) float64 {
	sum := 0.0
	for _, n := range by {
		sum += n
	}
	return sum
}

func scale(shares []Share, by float64) []Share {
	for i := range shares {
		shares[i].Time *= by
	}
	return shares
}
