package agent

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/policy"
)

// A forecast prices what is not in force with what happens now, beside what is, and
// leaves nothing behind.
func TestForecast(t *testing.T) {
	r := measureAll(t, "tcp_sent_bytes", "cpu_usage")
	path, calm := stormIn(t, r, "forecast", "1")
	defer calm()
	var bytes int
	programs := func() (names []string) {
		if err := r.do(func() error {
			bytes = r.probes.MapBytes()
			names = slices.Sorted(maps.Keys(r.probes.Users()))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return names
	}
	before, had := programs(), bytes
	f, err := r.Forecast(t.Context(), planOf(t, catalogue.Families(), "tcp_sent_bytes", "cpu_usage", "runq_latency"))
	if err != nil {
		t.Fatal(err)
	}
	if n := familyCost(&f.Now, "runq_latency"); n.CPUPercent != 0 {
		t.Errorf("now: runq_latency costs %g %% and is off", n.CPUPercent)
	}
	n := familyCost(&f.Then, "runq_latency")
	if c := costOf(n, path); c.EventsPerSecond < 100 || c.CPUPercent <= 0 || n.NsPerEvent <= 0 {
		t.Errorf("then: runq_latency of a storm: %+v", n)
	}
	for _, name := range []string{"tcp_sent_bytes", "cpu_usage"} {
		if c := familyCost(&f.Then, name); c.CPUPercent <= 0 {
			t.Errorf("then: %s has no price: %+v", name, c)
		}
	}
	if f.Then.Node.KernelBytes <= f.Now.Node.KernelBytes || f.Then.Node.Series <= f.Now.Node.Series || f.Then.Node.CPUPercent <= f.Now.Node.ProgramsPercent {
		t.Errorf("one family more costs nothing: now %+v, then %+v", f.Now.Node, f.Then.Node)
	}
	if on := f.Now.Node.KernelBytesOn; on["8"] <= 0 || on["128"] < on["64"] || on["64"] < on["8"] {
		t.Errorf("kernel bytes by CPUs: %v", on)
	}
	if after := programs(); !slices.Equal(before, after) || bytes != had {
		t.Errorf("the trial left %v and %d bytes, there were %v and %d", after, bytes, before, had)
	}
}

// The series of what is measured now are counted, those of what is not are foreseen, both by
// the labels that the plan wants.
func TestForecastOfSeries(t *testing.T) {
	r := measureAll(t, "syscalls", "net_received_bytes")
	eventually(t, "a window", func() bool { return r.count() > 1 })
	for _, labels := range []policy.Labels{nil, {}, {"class": {"read", "write"}}, {"operation": {"read"}}} {
		plan := planOf(t, catalogue.Families(), "syscalls", "net_received_bytes", "block_latency")
		for i := range plan.Rules[0].Wants {
			w := &plan.Rules[0].Wants[i]
			w.Labels = labels.Of(r.byName[w.Family])
		}
		trial, err := r.trial(plan)
		if err != nil {
			t.Fatal(err)
		}
		if err := trial.close(); err != nil {
			t.Fatal(err)
		}
		targets, now := 0, 0
		if err := r.do(func() error {
			now = r.own.series()[r.byName["net_received_bytes"]]
			for _, x := range r.tree.targets {
				if belongs(r.byName["syscalls"], x) {
					targets++
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		want := map[string]int{"syscalls": 11 * targets, "block_latency": 5 * (targets + 1), "net_received_bytes": now} // the node has IO of its own
		switch {
		case labels == nil:
		case labels["class"] != nil:
			want["syscalls"] = 3 * targets
		case labels["operation"] != nil:
			want["block_latency"] = 2 * (targets + 1)
		default:
			want = map[string]int{"syscalls": targets, "block_latency": targets + 1, "net_received_bytes": min(now, 1)} // a VM has no card
		}
		if d := cmp.Diff(want, trial.series); d != "" {
			t.Errorf("labels %v: %s", labels, d)
		}
	}
}
