package agent

import (
	"math"
	"testing"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/probe"
)

func (r *running) bill(t *testing.T) metric.Bill {
	t.Helper()
	b, err := r.Cost(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func familyCost(b *metric.Bill, name string) metric.FamilyCost {
	for _, f := range b.Families {
		if f.Family == name {
			return f
		}
	}
	return metric.FamilyCost{}
}

func costOf(f metric.FamilyCost, target string) metric.ContainerCost {
	for _, c := range f.Containers {
		if c.Target == target {
			return c
		}
	}
	return metric.ContainerCost{}
}

func stormIn(t *testing.T, r *running, name string, pairs string) (path string, calm func()) {
	t.Helper()
	path = "/" + unique(name)
	dir := mkdir(t, r.host, path)
	w := startIn(t, dir)
	w.do("storm " + pairs)
	return path, func() {
		w.do("calm")
		w.end()
		rmdir(t, dir)
	}
}

// What families cost adds up to what their programs took, which is what a second
// measurement of the same time by the kernel's statistics says.
func TestCostAddsUp(t *testing.T) {
	r := measureAll(t, "default")
	_, calm := stormIn(t, r, "cost", "1")
	defer calm()
	var window *probe.Window
	if err := r.do(func() error { window = r.probes.Watch(); return nil }); err != nil {
		t.Fatal(err)
	}
	bill := r.bill(t)
	var costs []probe.Cost
	if err := r.do(func() (err error) { costs, err = window.End(); return err }); err != nil {
		t.Fatal(err)
	}
	var families, programs, measured float64
	for _, f := range bill.Families {
		if f.Tier == metric.File {
			continue
		}
		families += f.CPUPercent
		sum := f.GatePercent
		for _, c := range f.Containers {
			sum += c.CPUPercent
		}
		if math.Abs(sum-f.CPUPercent) > 1e-6 {
			t.Errorf("%s: containers and gate %g %%, the family %g", f.Family, sum, f.CPUPercent)
		}
		if got := f.EventsPerSecond*f.NsPerEvent/1e7 + f.GatePercent; f.EventsPerSecond > 0 && math.Abs(got-f.CPUPercent) > 1e-6 {
			t.Errorf("%s: events times ns and gate %g %%, the family %g", f.Family, got, f.CPUPercent)
		}
	}
	used, every := map[string]bool{}, 0.0
	if err := r.do(func() error {
		for name, u := range r.probes.Users() {
			used[name] = u.Every == 0
			for _, p := range bill.Programs {
				if p.Program == name {
					every += p.CPUPercent
				}
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, p := range bill.Programs {
		if used[p.Program] {
			programs += p.RunsPerSecond * p.NsPerRun / 1e7
			if p.EnterNs <= 0 {
				t.Errorf("entering %s costs %g ns", p.Program, p.EnterNs)
			}
		}
	}
	for _, c := range costs {
		if used[c.Program] {
			measured += percentOf(c)
		}
	}
	if math.Abs(families-every) > 1e-6 {
		t.Errorf("families cost %g %%, their programs and passes %g %%", families, every)
	}
	if took := costs[0].Window; took > bill.Window*5/4 { // held up between the two: not the same time
		t.Logf("the kernel's window was %v, the bill's %v", took, bill.Window)
	} else if math.Abs(measured-programs) > 0.2*measured || measured == 0 {
		t.Errorf("programs took %g %% by the bill, %g %% by the kernel in the same time: more than 20 %% apart", programs, measured)
	}
	if n := familyCost(&bill, "runq_latency"); n.EventsPerSecond < 100 {
		t.Errorf("runq_latency: %g events/s in a storm", n.EventsPerSecond)
	}
	t.Logf("families with passes %.3f %%, programs of events %.3f %%, kernel %.3f %%", families, programs, measured)
}

func percentOf(c probe.Cost) float64 { return percent(float64(c.Time), c.Window.Seconds()) }

// A noisy neighbour changes neither what a target counts nor what one of its events
// costs: the same for all, whoever causes more of them.
func TestNoisyNeighbour(t *testing.T) {
	r := measureAll(t, "runq_latency", "tcp_sent_bytes")
	path := "/" + unique("quiet")
	dir := mkdir(t, r.host, path)
	w := startIn(t, dir)
	noisy, calm := stormIn(t, r, "noisy", "1")
	bills := make(chan metric.Bill, 1)
	go func() { b, _ := r.Cost(t.Context()); bills <- b }()
	var bill *metric.Bill
	var sent uint64
	for bill == nil {
		w.do("send 1000")
		sent += 1000
		select {
		case b := <-bills:
			bill = &b
		default:
		}
	}
	calm()
	w.end()
	rmdir(t, dir)
	eventually(t, path+" to drain", func() bool { return r.gone(path) })
	if got := r.sum(path, "tcp_sent_bytes"); got != sent {
		t.Errorf("tcp_sent_bytes beside a storm: %d, want %d", got, sent)
	}
	f := familyCost(bill, "runq_latency")
	mine, his := costOf(f, path), costOf(f, noisy)
	if mine.EventsPerSecond == 0 || his.EventsPerSecond < 2*mine.EventsPerSecond {
		t.Fatalf("no storm: %g events/s of its own, %g of the neighbour", mine.EventsPerSecond, his.EventsPerSecond)
	}
	a, b := mine.CPUPercent/mine.EventsPerSecond, his.CPUPercent/his.EventsPerSecond
	if math.Abs(a-b) > 0.01*b {
		t.Errorf("an event costs %g %% here and %g %% at the neighbour's", a, b)
	}
	if share := mine.CPUPercent / (f.CPUPercent - f.GatePercent); math.Abs(share-mine.EventsPerSecond/f.EventsPerSecond) > 0.01 {
		t.Errorf("%g of the bill for %g of the events", share, mine.EventsPerSecond/f.EventsPerSecond)
	}
}
