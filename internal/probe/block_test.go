package probe

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/kerneltest"
)

var (
	blockNames  = []string{"block_latency", "block_queue_latency", "block_size", "block_bytes", "block_requests", "block_errors", "block_device_errors"}
	deviceNames = []string{"block_device_latency", "block_device_queue_latency", "block_device_size"}
)

const removeLimit = 10 * time.Second

// blockTarget makes a target with a worker whose IO is charged to it.
func blockTarget(t testing.TB, s *Set, more ...string) (*target, *worker, *group) {
	t.Helper()
	g := newGroup(t, nil)
	tg := newTarget(t, s, append(more, blockNames...), g)
	join := ioGroup(t, tg, g)
	w := startWorker(t, workerOptions{})
	join(w.pid)
	return tg, w, g
}

// slotTarget is one of the targets that are no cgroup.
func slotTarget(t *testing.T, s *Set, slot uint32, names ...string) *target {
	t.Helper()
	tg := &target{t: t, set: s, slot: slot, families: find(t, s, names...)}
	if err := s.Switch(slot, tg.families); err != nil {
		t.Fatal(err)
	}
	return tg
}

func TestBlockRequestsAreThoseOfTheDisk(t *testing.T) {
	s := want(t, blockNames...)
	kerneltest.Exact(t, "block_latency", "block_queue_latency", "block_size", "block_bytes", "block_requests")
	d := testDisk(t)
	tg, w, _ := blockTarget(t, s)
	other, idle, _ := blockTarget(t, s)
	idle.do("hello")
	d.settle(t)
	old, was := tg.mark(), d.stat(t)
	wrote := w.do("disk write %s 30 4096", d.path)
	read := w.do("disk read %s 20 65536", d.path)
	d.settle(t)
	m, is := tg.mark().since(old), d.stat(t)

	m.same(t, "block_bytes/write", 30*4096)
	m.same(t, "block_bytes/read", 20*65536)
	m.same(t, "block_bytes/write", is.Written-was.Written)
	m.same(t, "block_bytes/read", is.Read-was.Read)
	for name, n := range map[string]uint64{"write": is.Writes - was.Writes, "read": is.Reads - was.Reads} {
		m.same(t, "block_requests/"+name, n)
		m.same(t, "block_latency/"+name+"/count", n)
		m.same(t, "block_queue_latency/"+name+"/count", n)
		m.same(t, "block_size/"+name+"/count", n)
		m.same(t, "block_size/"+name+"/sum", m["block_bytes/"+name])
		m.same(t, "block_errors/"+name, 0)
	}
	m.same(t, "block_requests/write", 30)
	m.same(t, "block_requests/read", 20)
	for name, took := range map[string]int64{"write": wrote["ns"], "read": read["ns"]} { // one after the other
		if sum := m["block_latency/"+name+"/sum"]; sum == 0 || sum > uint64(took) {
			t.Errorf("%s: latencies are %d ns in sum, the worker waited %d", name, sum, took)
		}
	}
	// The disk's own time is whole milliseconds, from two clock readings of its own. Between
	// its last and ours is the end of our program: of an emulated machine, whose host may
	// take the CPU there, only the greater part is asked for.
	for name, ms := range map[string]uint64{"write": is.WriteTime - was.WriteTime, "read": is.ReadTime - was.ReadTime} {
		sum := m["block_queue_latency/"+name+"/sum"] + m["block_latency/"+name+"/sum"]
		slack := uint64(2e6 + 30*50e3)
		if os.Getenv("VIPERPROBE_VM") == "1" {
			slack += ms * 1e6 / 2
		}
		if sum+slack < ms*1e6 || sum > ms*1e6+slack {
			t.Errorf("%s: %d ns in queue and device, the disk says %d ms", name, sum, ms)
		}
	}
	for name, n := range other.mark() {
		if n != 0 {
			t.Errorf("another target's %s = %d", name, n)
		}
	}
	lossless(t, s)
}

func TestBlockDiscardsAndFlushes(t *testing.T) {
	s := want(t, blockNames...)
	d := testDisk(t)
	tg, w, _ := blockTarget(t, s)
	node := slotTarget(t, s, NodeSlot, blockNames...)
	d.settle(t)
	old, oldNode, was := tg.mark(), node.mark(), d.stat(t)
	w.do("disk discard %s %d", d.path, 1<<20)
	w.do("disk flush %s 7", d.path)
	d.settle(t)
	m, nodes, is := tg.mark().since(old), node.mark().since(oldNode), d.stat(t)
	m.same(t, "block_bytes/discard", 1<<20)
	m.same(t, "block_requests/flush", 0)
	if flushes := is.Flushes - was.Flushes; flushes < 7 || nodes["block_requests/flush"] < flushes {
		t.Errorf("7 times fsync: the node had %d flushes, the disk %d", nodes["block_requests/flush"], flushes)
	}
	lossless(t, s)
}

// The worker only makes pages dirty: kworker or whoever calls sync writes them out,
// and on cgroup v2 they are the worker's.
func TestBlockWriteBackBelongsToWhoDirtied(t *testing.T) {
	if mount, _ := blkio(t); mount != "" {
		t.Skip("cgroup v1 charges all write-back to the root: it is the node's, as the row says")
	}
	s := want(t, blockNames...)
	tg, w, g := blockTarget(t, s)
	node, rest := slotTarget(t, s, NodeSlot, blockNames...), slotTarget(t, s, RemainderSlot, blockNames...)
	d := disk{"/dev/vdb", "vdb"}
	unix.Sync()
	d.settle(t)
	old, oldNode, oldRest, was := tg.mark(), node.mark(), rest.mark(), d.stat(t)
	file := fmt.Sprintf("/disk/viperprobe-dirty-%d", groupNumber.Add(1))
	t.Cleanup(func() { os.Remove(file) })
	w.do("disk dirty %s %d", file, 3<<20)
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		t.Fatal(err)
	}
	d.settle(t)
	m, nodes, rests, is := tg.mark().since(old), node.mark().since(oldNode), rest.mark().since(oldRest), d.stat(t)
	charged := ioStat(t, g, "wbytes")
	if charged < 3<<20 {
		t.Errorf("io.stat: %d bytes for %d that were made dirty", charged, 3<<20)
	}
	m.same(t, "block_bytes/write", charged)
	sum := func(name string) uint64 { return m[name] + nodes[name] + rests[name] }
	if got := sum("block_bytes/write"); got != is.Written-was.Written {
		t.Errorf("%d bytes written in sum, the disk says %d", got, is.Written-was.Written)
	}
	// A flush without data is a write of no bytes to the disk's count, though the
	// device gets only the flush (block/blk-flush.c).
	flushes := is.Flushes - was.Flushes
	if got, disk := sum("block_requests/write"), is.Writes-was.Writes; got > disk || got+flushes < disk {
		t.Errorf("%d requests in sum, the disk says %d, with %d flushes", got, disk, flushes)
	}
	nodes.same(t, "block_requests/flush", flushes)
	lossless(t, s)
}

// ioStat reads a value of io.stat, over all disks.
func ioStat(t *testing.T, g *group, key string) (n uint64) {
	t.Helper()
	for _, f := range strings.Fields(procFile(t, g.path, "io.stat")) {
		if v, ok := strings.CutPrefix(f, key+"="); ok {
			n += parse(t, v)
		}
	}
	return n
}

func TestBlockErrors(t *testing.T) {
	needLoop(t)
	s := want(t, blockNames...)
	kerneltest.Exact(t, "block_errors", "block_device_errors")
	d := smallLoop(t)
	tg, w, _ := blockTarget(t, s)
	d.settle(t)
	old, was := tg.mark(), d.stat(t)
	a := w.do("disk write %s 128 65536", d.path) // 8 MiB, of which the file can have 4
	d.settle(t)
	m, is := tg.mark().since(old), d.stat(t)
	if a["errors"] == 0 {
		t.Fatal("no write went wrong")
	}
	m.same(t, "block_errors/write", uint64(a["errors"]))
	m.same(t, "block_device_errors/"+d.name, uint64(a["errors"]))
	m.same(t, "block_requests/write", is.Writes-was.Writes)
	m.same(t, "block_requests/write", 128)
	m.same(t, "block_bytes/write", uint64(128-a["errors"])*65536)
	lossless(t, s)
}

// A disk over a file of a frozen file system keeps its requests until the thaw: a
// latency that we know, and time to give the slot to another target.
func TestBlockLatencyOfAFrozenDisk(t *testing.T) {
	needLoop(t)
	s := want(t, blockNames...)
	kerneltest.Exact(t, "block_latency")
	freeze := frozen(t)
	d := newLoop(t, filepath.Join(freeze.dir, "disk"), 1<<20)
	tg, w, _ := blockTarget(t, s)
	w.do("disk write %s 1 4096", d.path) // the file has its block
	for _, reuse := range []bool{false, true} {
		old := tg.mark()
		began := monotonic()
		thaw := freeze.freeze(t)
		w.tell("disk write %s 1 4096", d.path)
		eventually(t, "the request to be pending", func() bool { return pending(t, s) == 1 })
		issued := monotonic()
		if reuse {
			if err := s.FreeSlot(tg.slot); err != nil {
				t.Fatal(err)
			}
			old = newTarget(t, s, blockNames).mark() // takes the same slot
		}
		eventually(t, "30 ms to pass", func() bool { return monotonic()-issued > 30e6 })
		held := monotonic() - issued
		thaw()
		w.answer()
		total := monotonic() - began
		m := tg.mark().since(old)
		if reuse {
			for name, n := range m {
				if n != 0 {
					t.Errorf("the slot's new owner got the old one's %s = %d", name, n)
				}
			}
			break
		}
		m.same(t, "block_latency/write/count", 1)
		if sum := m["block_latency/write/sum"]; sum < held || sum > total {
			t.Errorf("latency %d ns, want %d to %d", sum, held, total)
		}
	}
	if n := pending(t, s); n != 0 {
		t.Errorf("%d requests pending at the end", n)
	}
	lossless(t, s)
}

func pending(t *testing.T, s *Set) (n int) {
	t.Helper()
	var key uint64
	var value [40]byte
	entries := s.objects["block"].coll.Maps["block_pending"].Iterate()
	for entries.Next(&key, &value) {
		n++
	}
	if err := entries.Err(); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestBlockPendingTableIsBounded(t *testing.T) {
	s := want(t, blockNames...)
	d := testDisk(t)
	tg, w, _ := blockTarget(t, s)
	table := s.objects["block"].coll.Maps["block_pending"]
	var value [40]byte
	for key := uint64(1); key <= uint64(table.MaxEntries()); key++ {
		if err := table.Put(key, value); err != nil {
			t.Fatal(err)
		}
	}
	w.do("disk write %s 5 4096", d.path)
	tg.mark().same(t, "block_requests/write", 0)
	if n := kernelCount(t, s, "block", "vp_failed"); n != 5 {
		t.Errorf("vp_failed = %d for 5 requests that found no room", n)
	}
	if err := table.Delete(uint64(1)); err != nil {
		t.Fatal(err)
	}
	w.do("disk write %s 5 4096", d.path)
	tg.mark().same(t, "block_requests/write", 5)
}
