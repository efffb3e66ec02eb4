//go:build vm

package probe

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// Nothing of the VM is anybody else's: there the machine itself can run short.
func TestReclaimOfAFullMachine(t *testing.T) {
	s := want(t, reclaimNames...)
	g := newGroup(t, nil)
	tg := newTarget(t, s, reclaimNames, g)
	w := startWorker(t, workerOptions{Cgroup: g})
	w.do("cache %s", holeFile(t, 48<<20)) // what can be reclaimed
	for range 10 {                        // kswapd may keep up with the worker
		if fullMachine(t, tg, w) {
			lossless(t, s)
			return
		}
	}
	t.Fatal("the worker did not reclaim in 10 tries")
}

// fullMachine has a worker read a file while next to nothing is free, and compares
// what it had to reclaim for it. It reports whether it had to.
func fullMachine(t *testing.T, tg *target, w *worker) bool {
	t.Helper()
	file, tr := holeFile(t, 48<<20), newTrace(t, reclaimEvents...)
	const reserve = "/proc/sys/vm/min_free_kbytes"
	was := procFile(t, "/proc/sys/vm", "min_free_kbytes")
	t.Cleanup(func() { os.WriteFile(reserve, []byte(was), 0) })
	var free uint64
	if _, err := fmt.Sscanf(strings.SplitAfter(procFile(t, "/proc", "meminfo"), "\n")[1], "MemFree: %d", &free); err != nil {
		t.Fatal(err)
	}
	tr.start(t)
	old := tg.mark()
	if err := os.WriteFile(reserve, fmt.Append(nil, free+4096), 0); err != nil {
		t.Fatal(err)
	}
	w.do("cache %s", file)
	if err := os.WriteFile(reserve, []byte(was), 0); err != nil {
		t.Fatal(err)
	}
	w.quiet()
	m := tg.mark().since(old)
	tr.stop(t)
	n, pages := reclaims(t, w.traced(tr), "direct")
	m.same(t, "reclaim_latency/direct/count", n)
	m.same(t, "reclaimed_pages/direct", pages)
	m.same(t, "reclaimed_pages/memcg", 0)
	return n > 0
}
