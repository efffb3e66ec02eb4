package probe

import (
	"testing"
	"time"

	"github.com/cilium/ebpf"
)

// What the statistics bill a program that does nothing is taken off: nothing is left of it
// but what the machine scatters by.
func TestStatisticsBillNothingForNothing(t *testing.T) {
	s, _ := open(t)
	w := s.Watch()
	defer w.Close()
	if w.err != nil {
		t.Fatal(w.err)
	}
	if s.clock < 5 || s.clock > 5000 {
		t.Errorf("statistics bill %g ns for themselves", s.clock)
	}
	p, err := ebpf.NewProgram(emptyProgram(ebpf.SocketFilter))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Run(&ebpf.RunOptions{Data: make([]byte, 64), Repeat: 20000}); err != nil {
		t.Fatal(err)
	}
	st, err := p.Stats()
	if err != nil {
		t.Fatal(err)
	}
	billed := float64(st.Runtime) / float64(st.RunCount)
	t.Logf("an empty program: %.1f ns by the statistics, of which theirs %.1f", billed, s.clock)
	if st.RunCount != 20000 || billed < s.clock/3 || billed > 3*s.clock {
		t.Errorf("%d runs of %.1f ns, of which the statistics' are %.1f", st.RunCount, billed, s.clock)
	}
}

// A trap is dear, and leaves nothing behind.
func TestTrapIsMeasured(t *testing.T) {
	took, err := MeasureTrap()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("a hit of an uprobe: %v", took)
	if took < 50*time.Nanosecond || took > time.Millisecond {
		t.Errorf("a hit of an uprobe takes %v", took)
	}
	after := callTrapped()
	if after > took/2 {
		t.Errorf("a call takes %v without the probe, %v more with it: it is still there", after, took)
	}
}
