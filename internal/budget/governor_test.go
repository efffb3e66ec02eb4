package budget

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/internal/metric"
)

// A machine has event families that cost what they are given, unless they are off.
type machine struct {
	*Governor
	families []*metric.Family
	cpu      map[string]float64
	enter    map[string]float64 // of cpu
	process  float64
	bytes    map[string]int
	series   map[string]int
	told     []Step
}

func newMachine(l Limits, cpu map[string]float64, names ...string) *machine {
	m := &machine{Governor: New(l), cpu: cpu, bytes: map[string]int{}, series: map[string]int{}}
	for _, n := range names {
		m.families = append(m.families, &metric.Family{Name: n, Tier: metric.Event, Kind: metric.Histogram})
	}
	return m
}

func (m *machine) reading() Reading {
	off := m.Restraint()
	r := Reading{Process: m.process / float64(off.Stretch)}
	for _, f := range m.families {
		if off.Off[f.Name] || off.Stopped {
			continue
		}
		cpu := m.cpu[f.Name]
		if rate, ok := off.Rates[f.Name]; ok {
			cpu = m.enter[f.Name] + (cpu-m.enter[f.Name])*rate
		}
		u := FamilyUse{f, cpu, m.enter[f.Name], m.bytes[f.Name], m.series[f.Name]}
		r.Programs, r.Bytes, r.Series = r.Programs+u.CPU, r.Bytes+u.Bytes, r.Series+u.Series
		r.Families = append(r.Families, u)
	}
	return r
}

func (m *machine) run(windows int) {
	for range windows {
		m.told = append(m.told, m.Judge(m.reading(), time.Time{})...)
	}
}

func (m *machine) off() []string {
	var out []string
	for _, s := range m.Steps() {
		out = append(out, string(s.Lever))
		out = append(out, s.Families...)
	}
	return out
}

func (m *machine) want(t *testing.T, want ...string) {
	t.Helper()
	if d := cmp.Diff(want, m.off()); d != "" {
		t.Errorf("given up (-want +got):\n%s", d)
	}
}

// The least valuable goes first, if that saves anything; within 10 windows it is over.
func TestDropsTheLeastValuable(t *testing.T) {
	m := newMachine(Limits{CPU: 0.01}, map[string]float64{"a": 0.006, "b": 0.008, "c": 0.00001}, "a", "b", "c")
	m.run(3)
	m.want(t, "drop", "b")
	m = newMachine(Limits{CPU: 0.01, Value: []string{"b"}}, map[string]float64{"a": 0.006, "b": 0.008, "c": 0.00001}, "a", "b", "c")
	m.run(3)
	m.want(t, "drop", "a")
}

// What can be sampled is, before anything goes; a step at a time.
func TestRateFirst(t *testing.T) {
	m := newMachine(Limits{CPU: 0.01}, map[string]float64{"a": 0.006, "b": 0.009}, "a", "b")
	m.families[1].Sampling = metric.Events
	m.run(3)
	m.want(t, "rate", "b")
	if got := m.Restraint().Rates["b"]; got != firstRate {
		t.Errorf("rate %g, want %g", got, firstRate)
	}
	m.cpu["b"] = 0.019
	m.run(3)
	m.want(t, "rate", "b", "rate", "b")
	m.cpu["b"] = 0
	m.cpu["a"] = 0.0105
	m.run(3)
	m.want(t, "rate", "b", "rate", "b", "drop", "a")
	m.cpu["a"], m.cpu["b"] = 0.001, 0.001
	m.run(60)
	m.want(t)
}

// What each step saves is known beforehand, so that one window is enough for several; a
// rate that is not enough goes when its family does.
func TestSeveralStepsAtOnce(t *testing.T) {
	m := newMachine(Limits{CPU: 0.01}, map[string]float64{"a": 0.010, "b": 0.0095}, "a", "b")
	m.families[0].Sampling, m.enter = metric.Events, map[string]float64{"a": 0.007}
	m.run(2)
	m.want(t, "rate", "a", "drop", "b")
	if r := m.reading(); r.Programs > 0.01 {
		t.Errorf("after that it costs %g", r.Programs)
	}
	m = newMachine(Limits{CPU: 0.006}, map[string]float64{"a": 0.010, "b": 0.001}, "a", "b")
	m.families[0].Sampling, m.enter = metric.Events, map[string]float64{"a": 0.007}
	m.run(2)
	m.want(t, "drop", "b", "drop", "a")
}

// What a rate will cost when it is back is known from what it costs now: it is not
// tried while the storm lasts.
func TestRatesAreNotTriedInVain(t *testing.T) {
	cpu := map[string]float64{"a": 0.019}
	m := newMachine(Limits{CPU: 0.01}, cpu, "a")
	m.families[0].Sampling, m.enter = metric.Events, map[string]float64{"a": 0.001}
	m.run(300)
	m.want(t, "rate", "a")
	if len(m.told) != 1 {
		t.Errorf("steps told: %+v", m.told)
	}
	cpu["a"] = 0.005
	m.run(10)
	m.want(t)
}

func TestHistogramBecomesASumFirst(t *testing.T) {
	m := newMachine(Limits{CPU: 0.01}, map[string]float64{"a": 0.006, "b": 0.008}, "a", "b")
	m.families[0].Sum = "count"
	m.run(3)
	m.want(t, "form", "a")
	if got := m.Restraint().Sums["a"]; got != "count" {
		t.Errorf("in place of a: %q", got)
	}
}

func TestWindowsGetLongerWhereTheProcessCosts(t *testing.T) {
	m := newMachine(Limits{CPU: 0.01}, nil)
	m.process = 0.015
	m.run(3)
	m.want(t, "interval")
	if got := m.Restraint().Stretch; got != 2 {
		t.Errorf("windows %d times as long, want 2", got)
	}
	m.process = 0.004
	m.run(20)
	m.want(t)
}

// One window is no reason, nor is one between 80 and 100 % to give back.
func TestHysteresis(t *testing.T) {
	cpu := map[string]float64{"a": 0.011, "b": 0.0085}
	m := newMachine(Limits{CPU: 0.01}, cpu, "a", "b")
	cpu["b"] = 0
	m.run(1)
	m.want(t)
	m.run(1)
	m.want(t, "drop", "a")
	cpu["b"] = 0.0085
	m.run(100)
	m.want(t, "drop", "a")
	cpu["b"] = 0.001
	m.run(firstHold - 1)
	m.want(t, "drop", "a")
	m.run(1)
	m.want(t)
}

// A storm that lasts makes each return rarer, but never so rare that the end of it
// is not noticed within 60 windows.
func TestReturnsFromALongStorm(t *testing.T) {
	for _, storm := range []float64{0.015, 0.05} {
		cpu := map[string]float64{"a": storm, "b": 0.001}
		m := newMachine(Limits{CPU: 0.01}, cpu, "a", "b")
		m.run(600)
		over := 0
		for range 300 {
			if r := m.reading(); r.Programs > 0.01 {
				over++
			}
			m.run(1)
		}
		t.Logf("storm of %g: over the budget in %d of 300 windows", storm, over)
		if over > 300*5/100 {
			t.Errorf("storm of %g: over the budget in %d of 300 windows", storm, over)
		}
		cpu["a"] = 0.001
		m.run(60)
		m.want(t)
	}
}

// At twice the budget all of the event tier goes at once; it comes back without what
// was dearest, then with it.
func TestHardStop(t *testing.T) {
	cpu := map[string]float64{"a": 0.05, "b": 0.001}
	m := newMachine(Limits{CPU: 0.01}, cpu, "a", "b")
	m.run(1)
	m.want(t, "stop")
	if !m.Restraint().Stopped {
		t.Error("not stopped")
	}
	m.run(firstStop)
	m.want(t, "drop", "a")
	cpu["a"] = 0.001
	m.run(20)
	m.want(t)
	undone := 0
	for _, s := range m.told {
		if s.Why == "" {
			t.Errorf("a step without a reason: %+v", s)
		}
		if s.Undo {
			undone++
		}
	}
	if len(m.told) != 4 || undone != 2 {
		t.Errorf("steps told: %+v", m.told)
	}
}

func TestMemoryAndSeries(t *testing.T) {
	m := newMachine(Limits{Bytes: 1 << 20}, nil, "a", "b")
	m.bytes = map[string]int{"a": 1 << 20, "b": 1 << 20}
	m.run(100)
	m.want(t, "drop", "b")
	m = newMachine(Limits{Series: 100}, nil, "a", "b", "c")
	m.series = map[string]int{"a": 60, "b": 60, "c": 60}
	m.run(100)
	m.want(t, "drop", "c", "drop", "b")
}
