package agent

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/probe"
)

// More cgroups at once than there are slots, and than the ring buffer has room
// for: what does not fit is counted, the rest is measured, and everything is given
// back at the end.
func TestCrowd(t *testing.T) {
	r := measureAll(t, "tcp_sent_bytes")
	var groups, targets int
	inLoop := func(f func()) {
		t.Helper()
		if err := r.do(func() error { f(); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	inLoop(func() {
		r.tree.drain = time.Second
		groups, targets = len(r.tree.groups), len(r.tree.bySlot)
	})
	const crowd = 4000
	name := func(i int) string { return filepath.Join(r.host.V2, unique("crowd")+"-"+strconv.Itoa(i)) }
	t.Cleanup(func() {
		for i := range crowd {
			os.Remove(name(i))
		}
	})
	inLoop(func() { // events pile up meanwhile
		for i := range crowd {
			if err := os.Mkdir(name(i), 0o755); err != nil {
				t.Error(err)
				return
			}
		}
	})
	lost := func(l probe.Losses) uint64 { return l.Events }
	eventually(t, "the tree to hold the crowd", func() (ok bool) {
		inLoop(func() { ok = len(r.tree.groups) == groups+crowd && len(r.tree.bySlot) == probe.Slots })
		return ok
	})
	inLoop(func() {
		if lost(r.probes.Losses()) == 0 || r.own.noSlot == 0 || len(r.tree.crowded) == 0 {
			t.Errorf("%d events lost, %d targets without a slot, %d wait: want some of each",
				lost(r.probes.Losses()), r.own.noSlot, len(r.tree.crowded))
		}
	})
	w := startIn(t, name(crowd-1))
	w.do("send 777")
	w.end()
	inLoop(func() {
		for i := range crowd {
			if err := os.Remove(name(i)); err != nil && i < crowd-1 {
				t.Error(err)
				return
			}
		}
	})
	rmdir(t, name(crowd-1))
	eventually(t, "everything to be given back", func() (ok bool) {
		inLoop(func() {
			ok = len(r.tree.groups) == groups && len(r.tree.bySlot) == targets && len(r.tree.crowded) == 0
		})
		return ok
	})
	r.stop()
	path := "/" + unique("crowd") + "-" + strconv.Itoa(crowd-1)
	if got := r.sum(path, "tcp_sent_bytes") + r.sum("remainder", "tcp_sent_bytes"); got < 777 {
		t.Errorf("%d bytes in the last of the crowd and the remainder, want the 777 that it sent", got)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if kind := r.named["remainder"].Kind; kind != metric.Remainder {
		t.Errorf("remainder is a %s", kind)
	}
}
