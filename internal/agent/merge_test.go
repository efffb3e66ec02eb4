package agent

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
)

var byKind = []metric.Label{{Name: "kind", Values: []string{"a", "b", "other"}}, {Name: "device"}}

// seriesOf makes readings of every series of a family, of which each has counted n more.
type source struct {
	family *metric.Family
	counts map[[2]string]uint64
}

func (s *source) readings(more func() uint64) (out []metric.Reading) {
	for _, kind := range s.family.Labels[0].Values {
		for _, device := range []string{"x", "y"} {
			labels := [2]string{kind, device}
			s.counts[labels] += more()
			r := metric.Reading{Family: s.family, Labels: labels, Value: s.counts[labels]}
			if s.family.Kind == metric.Histogram {
				counts := make([]uint64, metric.Buckets)
				counts[len(kind)+int(device[0])%2] = r.Value
				h := metric.NewHist(3*r.Value, counts)
				r.Value, r.Hist = 0, &h
			}
			out = append(out, r)
		}
	}
	return out
}

// window is what a target reports of readings, each under a share of events.
func (x *target) window(readings []metric.Reading, ratio float64) []metric.Sample {
	var out []metric.Sample
	for i := range readings {
		out = append(out, x.begin(i, &readings[i]).sample(&readings[i], ratio))
	}
	out = x.merged(out)
	x.windows++
	return out
}

// Whatever the plan says from one window to the next, everything is reported once, under the
// labels of the plan, and the total of each label grows by what is reported under it.
func TestMergedWhilePlansChange(t *testing.T) {
	rules := []policy.Labels{nil, {}, {"kind": nil}, {"kind": {"a"}}, {"kind": {"a", "b"}, "device": {"x"}}, {"device": nil}}
	for _, kind := range []metric.Kind{metric.Counter, metric.Histogram, metric.Gauge} {
		f := &metric.Family{Name: "f", Kind: kind, Tier: metric.Event, Labels: byKind}
		random := rand.New(rand.NewPCG(7, uint64(len(kind))))
		x, from := newTarget(&metric.Target{Kind: metric.Plain}, 5), source{f, map[[2]string]uint64{}}
		totals := map[[2]string]uint64{}
		var rule policy.Labels
		for i := range 300 {
			if random.IntN(3) == 0 {
				rule = rules[random.IntN(len(rules))]
				x.relabel(f, rule)
			}
			var want, got uint64
			readings := from.readings(func() uint64 { n := random.Uint64N(50); want += n; return n })
			if kind == metric.Gauge {
				want = 0
				for _, r := range readings {
					want += r.Value
				}
			}
			seen := map[[2]string]bool{}
			for _, m := range x.window(readings, 1) {
				if seen[m.Labels] || rule.Series(f, m.Labels) != m.Labels {
					t.Fatalf("%s, window %d: series %q under %v", kind, i, m.Labels, rule)
				}
				seen[m.Labels] = true
				value, total := m.Value, m.Total
				if kind == metric.Histogram {
					value, total = m.Hist.Count(), m.Sum.Count()
					if m.Hist.Sum != 3*value || m.Sum.Sum != 3*total {
						t.Fatalf("%s, window %d: sums %d and %d of %d and %d", kind, i, m.Hist.Sum, m.Sum.Sum, value, total)
					}
				}
				got += value
				if before, told := totals[m.Labels]; kind != metric.Gauge && told && total != before+value {
					t.Fatalf("%s, window %d: %q went from %d to %d by %d", kind, i, m.Labels, before, total, value)
				}
				totals[m.Labels] = total
			}
			if got != want {
				t.Fatalf("%s, window %d: %d reported, %d counted", kind, i, got, want)
			}
		}
	}
}

// What is summed from the beginning has the total that one series would have, also where
// the source has counted longer than the agent; what is summed later goes on from all that
// its series had counted.
func TestMergedTotals(t *testing.T) {
	for name, tc := range map[string]struct {
		tier  metric.Tier
		plain int // windows before the rule
		want  uint64
	}{
		"events, from the beginning": {metric.Event, 0, 600 + 60},
		"events, later":              {metric.Event, 1, 600 + 60},
		"files":                      {metric.File, 0, 600 + 60},
		"snapshot of an older one":   {metric.Snapshot, 1, 60},
	} {
		f := &metric.Family{Name: "f", Kind: metric.Counter, Tier: tc.tier, Labels: byKind}
		x, from := newTarget(&metric.Target{Kind: metric.Plain}, 5), source{f, map[[2]string]uint64{}}
		steps := []uint64{100, 10}
		for i, n := range steps {
			if i == tc.plain {
				x.relabel(f, policy.Labels{})
			}
			got := x.window(from.readings(func() uint64 { return n }), 1)
			if i == len(steps)-1 && (len(got) != 1 || got[0].Total != tc.want || got[0].Value != 60) {
				t.Errorf("%s: %+v, want a total of %d", name, got, tc.want)
			}
		}
	}
}

// The estimate, and the share of events that it comes from, are those of one series that
// counts everything, also in a window in which the share changed.
func TestMergedEstimates(t *testing.T) {
	for _, kind := range []metric.Kind{metric.Counter, metric.Histogram} {
		f := &metric.Family{Name: "f", Kind: kind, Tier: metric.Event, Labels: byKind, Sampling: metric.Events}
		x, from := newTarget(&metric.Target{Kind: metric.Plain}, 5), source{f, map[[2]string]uint64{}}
		x.relabel(f, policy.Labels{})
		x.window(from.readings(func() uint64 { return 0 }), 0.5)
		var looked, stood float64
		n := uint64(0)
		count := func(ratio float64) []metric.Reading {
			return from.readings(func() uint64 {
				n += 10
				looked, stood = looked+float64(n), stood+float64(n)/ratio
				return n
			})
		}
		for i, r := range count(0.1) { // settled under another share
			x.find(i, seriesKey{f, r.Labels}).take(&r, 0.1)
		}
		got := x.window(count(0.5), 0.5)
		if len(got) != 1 || math.Abs(got[0].Ratio-looked/stood) > 1e-9 || math.Abs(weight(&got[0])-stood) > 1e-6 {
			t.Errorf("%s: %d series, %v of ratio %v; want %v of %v", kind, len(got), weight(&got[0]), got[0].Ratio, stood, looked/stood)
		}
		if got = x.window(from.readings(func() uint64 { return 0 }), 0.25); got[0].Ratio != 0.25 {
			t.Errorf("%s: a window without events has ratio %v", kind, got[0].Ratio)
		}
	}
}

// Flows that ended are not kept: the kernel side starts them from 0 when they come back.
func TestMergedFlowsAreForgotten(t *testing.T) {
	f := &metric.Family{Name: "f", Kind: metric.Counter, Tier: metric.Event, Object: "socket", Labels: []metric.Label{{Name: "client"}, {Name: "server"}}}
	x := newTarget(&metric.Target{Kind: metric.Plain}, 5)
	x.relabel(f, policy.Labels{"client": nil})
	for i := range 100 {
		x.window([]metric.Reading{{Family: f, Labels: [2]string{fmt.Sprint("client", i), "a"}, Value: 5}}, 1)
	}
	if n := len(x.merges[f].series); n != 1 {
		t.Errorf("%d series are kept of flows that ended", n)
	}
}

// While targets talk and plans change, each window has the series of the plan in force, and
// all of them together what the target sent.
func TestLabelsOfThePlan(t *testing.T) {
	r := measureAll(t, "flow_*", "tcp_sent_bytes", "tcp_segments")
	path := "/" + unique("labels")
	dir := mkdir(t, r.host, path)
	w := startIn(t, dir)
	rules := []policy.Labels{nil, {}, {"client": nil}, {"server": {path + ":*"}}, {"client": {"10.*"}, "direction": {"in"}}, nil, {}}
	for generation, l := range rules {
		plan := planOf(t, r.families, "flow_*", "tcp_sent_bytes", "tcp_segments")
		plan.Generation = int64(1 + generation)
		for i := range plan.Rules[0].Wants {
			w := &plan.Rules[0].Wants[i]
			if f := r.byName[w.Family]; f.Unsummed() == "" {
				w.Labels = l.Of(f)
			}
		}
		if err := r.Apply(plan); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			w.do("send 1000")
		}
		before := r.count()
		eventually(t, "a whole window", func() bool { return r.count() >= before+2 })
	}
	w.end()
	rmdir(t, dir)
	eventually(t, path+" to drain", func() bool { return r.gone(path) })
	r.stop()
	if sent, flows := r.sum(path, "tcp_sent_bytes"), r.sum(path, "flow_sent_bytes"); sent != uint64(5000*len(rules)) || flows != sent {
		t.Errorf("flows sent %d bytes, the target %d, want %d", flows, sent, 5000*len(rules))
	}
	windows := map[int64]int{}
	for _, b := range r.batches {
		for _, g := range b.Groups {
			seen := map[seriesKey]bool{}
			for _, m := range g.Samples {
				l := rules[b.Generation-1].Of(m.Family)
				if m.Family.Unsummed() != "" || g.Target.Cgroup != path {
					continue
				}
				windows[b.Generation]++
				if k := (seriesKey{m.Family, m.Labels}); seen[k] || l.Series(m.Family, m.Labels) != m.Labels {
					t.Fatalf("%s %q in a window of %v", m.Family.Name, m.Labels, l)
				} else {
					seen[k] = true
				}
			}
		}
	}
	if len(windows) != len(rules) {
		t.Errorf("windows with samples by plan: %v", windows)
	}
}
