package probe

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/kerneltest"
)

var softirqNames = []string{"softirq_time", "softirqs", "interrupts"}

// echoes sends n datagrams to itself over loopback: a net_rx each.
func echoes(t testing.TB, n int) {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b := make([]byte, 8)
	for range n {
		if _, err := c.WriteTo(b, c.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.ReadFrom(b); err != nil {
			t.Fatal(err)
		}
	}
}

// writeThrough has a disk write, which interrupts when it has done so.
func writeThrough(t testing.TB) {
	t.Helper()
	dir := t.TempDir()
	if os.Getenv("VIPERPROBE_VM") == "1" {
		dir = "/disk"
	}
	f, err := os.Create(filepath.Join(dir, "viperprobe-interrupt"))
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := f.Write(make([]byte, 1<<16)); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
}

// kernelSoftirqs is what /proc/softirqs has counted, over all CPUs, by our label.
func kernelSoftirqs(t testing.TB) mark {
	t.Helper()
	m := mark{}
	for line := range strings.Lines(procFile(t, "/proc", "softirqs")) {
		name, counts, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			continue
		}
		for _, n := range strings.Fields(counts) {
			m[strings.ToLower(name)] += parse(t, n)
		}
	}
	return m
}

var softirqLine = regexp.MustCompile(`-\d+ +\[(\d+)\] \S+ +(\d+)\.(\d{6}): softirq_(entry|exit): vec=(\d+)`)

// softirqTime is how long softirqs took in the kernel's trace, in ns, and how many
// there were.
func softirqTime(t testing.TB, tr trace) (ns, n uint64) {
	t.Helper()
	began := map[string]uint64{}
	for line := range strings.Lines(procFile(t, tr.dir, "trace")) {
		m := softirqLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		at := (parse(t, m[2])*1e6 + parse(t, m[3])) * 1e3
		if m[4] == "entry" {
			began[m[1]] = at
		} else if from := began[m[1]]; from != 0 {
			ns, n = ns+at-from, n+1
			began[m[1]] = 0
		}
	}
	return ns, n
}

func TestSoftirqsAreThoseOfTheKernel(t *testing.T) {
	s := want(t, softirqNames...)
	kerneltest.Exact(t, softirqNames...)
	node := slotTarget(t, s, NodeSlot, softirqNames...)
	cpus := uint64(ebpf.MustPossibleCPU())
	exactOnce(t, func(t testing.TB) {
		events := []string{"irq/softirq_entry", "irq/softirq_exit", "irq/irq_handler_entry"}
		outer, inner := newTrace(t, events...), newTrace(t, events...)
		p1 := kernelSoftirqs(t)
		outer.start(t)
		old, began := node.mark(), monotonic()
		inner.start(t)
		p2 := kernelSoftirqs(t)
		echoes(t, 1000)
		writeThrough(t)
		p3 := kernelSoftirqs(t)
		inner.stop(t)
		m, took := node.mark().since(old), monotonic()-began
		outer.stop(t)
		p4 := kernelSoftirqs(t)

		least, most := p3.since(p2), p4.since(p1)
		if len(least) != 10 {
			t.Fatalf("/proc/softirqs has %d vectors, the catalogue 10", len(least))
		}
		var sum uint64
		for vector := range least {
			n, ok := m["softirqs/"+vector]
			// Each CPU may be between the kernel's count and ours when we look.
			if !ok || n+cpus < least[vector] || n > most[vector]+cpus {
				t.Errorf("softirqs/%s = %d, /proc/softirqs says %d to %d", vector, n, least[vector], most[vector])
			}
			sum += m["softirq_time/"+vector]
		}
		if m["softirqs/net_rx"] < 900 {
			t.Errorf("softirqs/net_rx = %d for 1000 datagrams", m["softirqs/net_rx"])
		}
		leastTime, n := softirqTime(t, inner)
		mostTime, _ := softirqTime(t, outer)
		// The trace has whole µs, and runs before or after us on the hook.
		slack := n * 5e3
		if os.Getenv("VIPERPROBE_VM") == "1" {
			slack = n * 50e3 // instructions are emulated
		}
		if sum+slack < leastTime || sum > mostTime+slack || sum > took*uint64(runtime.NumCPU()) || m["softirq_time/net_rx"] == 0 {
			t.Errorf("softirqs took %d ns in %d ns, the kernel's trace says %d to %d for %d, give or take %d", sum, took, leastTime, mostTime, n, slack)
		}
		leastInterrupts, mostInterrupts := interruptsIn(t, inner), interruptsIn(t, outer)
		if got := m["interrupts"]; got+cpus < leastInterrupts || got > mostInterrupts+cpus || got == 0 {
			t.Errorf("interrupts = %d, the kernel's trace says %d to %d", got, leastInterrupts, mostInterrupts)
		}
	})
	lossless(t, s)
}

func interruptsIn(t testing.TB, tr trace) (n uint64) {
	for _, e := range tr.events(t) {
		if e.event == "irq_handler_entry" {
			n++
		}
	}
	return n
}

func TestSoftirqsOfAClosedGate(t *testing.T) {
	s := want(t, softirqNames...)
	node := slotTarget(t, s, NodeSlot, softirqNames...)
	if err := s.Switch(NodeSlot, find(t, s, "softirqs")); err != nil {
		t.Fatal(err)
	}
	old := node.mark()
	echoes(t, 100)
	m := node.mark().since(old)
	m.same(t, "interrupts", 0)
	m.same(t, "softirq_time/net_rx", 0)
	if m["softirqs/net_rx"] < 90 {
		t.Errorf("softirqs/net_rx = %d for 100 datagrams", m["softirqs/net_rx"])
	}
}

// The labels are the kernel's names, in the order of its numbers.
func TestSoftirqVectorsAreTheKernels(t *testing.T) {
	var rows []string
	for line := range strings.Lines(procFile(t, "/proc", "softirqs")) {
		if name, _, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			rows = append(rows, strings.ToLower(name))
		}
	}
	for _, f := range catalogue.Families() {
		if f.Name == "softirqs" && strings.Join(f.Labels[0].Values, " ") != strings.Join(rows, " ") {
			t.Errorf("the kernel's vectors are %q", rows)
		}
	}
}
