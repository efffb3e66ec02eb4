package agent

import (
	"maps"
	"slices"
	"testing"

	"viperprobe.dev/viperprobe/catalogue"
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
