package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/metric"
)

func TestOpenReadsOnlyWhatIsWanted(t *testing.T) {
	h := find(t, unpack(t, "v2"))
	f := open(t, h, "/system.slice/redis.service", append(families("pids", "memory_working_set_bytes"), &metric.Family{Name: "cpu_usage", Tier: metric.Event}))
	var got []string
	for _, o := range f.files {
		got = append(got, o.file)
	}
	if diff := cmp.Diff([]string{"memory.current", "memory.stat", "pids.current"}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]uint64{"pids": 6, "memory_working_set_bytes": 4194304}, read(t, f)); diff != "" {
		t.Error(diff)
	}
	if err := errors.Join(f.Close(), f.Close()); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

func TestOpenWhatIsNotThere(t *testing.T) {
	h := find(t, unpack(t, "v2"))
	if _, err := h.Open("/system.slice/none.service", families()); !errors.Is(err, ErrGone) {
		t.Errorf("got %v", err)
	}
}

// A file that turns up later (a runtime makes the hierarchies one by one) is read
// from then on.
func TestReadFindsFilesThatComeLater(t *testing.T) {
	root := unpack(t, "v2")
	f := open(t, find(t, root), "/system.slice/idle.service", families("pids"))
	if got := read(t, f); len(got) != 0 {
		t.Fatalf("got %v", got)
	}
	extend(t, root, "-- sys/fs/cgroup/system.slice/idle.service/pids.current --\n3\n")
	for range rareEvery + eager {
		if got := read(t, f); got["pids"] == 3 {
			return
		}
	}
	t.Error("the file was never found")
}

// It is read at once, although the target rests.
func TestReadReadsNewFilesOfIdleTargets(t *testing.T) {
	root := unpack(t, "v2")
	f := open(t, find(t, root), "/system.slice/idle.service", families("pids", "cpu_usage"))
	f.phase = rareEvery - 1
	read(t, f)
	extend(t, root, "-- sys/fs/cgroup/system.slice/idle.service/pids.current --\n3\n")
	if got := read(t, f); got["pids"] != 3 {
		t.Errorf("got %v", got)
	}
}

func write(t *testing.T, h *Host, at, content string) {
	t.Helper()
	if err := os.WriteFile(h.V2+at, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Limits are read every tenth time and given out every time.
func TestLimitsAreReadRarely(t *testing.T) {
	h := find(t, unpack(t, "v2"))
	f := open(t, h, "/system.slice/redis.service", families("memory_limit_bytes"))
	read(t, f)
	write(t, h, "/system.slice/redis.service/memory.max", "4096\n")
	changes, last := 0, uint64(67108864)
	for range 2 * rareEvery {
		got := read(t, f)["memory_limit_bytes"]
		if got != last {
			changes++
		}
		last = got
	}
	if last != 4096 || changes != 1 {
		t.Errorf("after two rounds the limit is %d and changed %d times", last, changes)
	}
}

// memory.stat is not read while memory stands still; other files are when the
// target has run.
func TestFilesRestWithTheirTarget(t *testing.T) {
	const dir = "/system.slice/redis.service/"
	h := find(t, unpack(t, "v2"))
	f := open(t, h, dir, families("cpu_usage", "memory_working_set_bytes", "memory_anon_bytes", "memory_max_events", "pids"))
	f.phase = rareEvery - 1
	read(t, f)
	write(t, h, dir+"memory.stat", "anon 77\ninactive_file 1\n")
	write(t, h, dir+"pids.current", "7\n")
	for _, step := range []struct {
		what, file, content string
		pids, anon          uint64
	}{
		{"at rest", "", "", 6, 1675264},
		{"after it ran", "cpu.stat", "usage_usec 1501\n", 7, 1675264},
		{"after its memory changed", "memory.current", "9437185\n", 7, 77},
		{"at rest again", "memory.stat", "anon 78\ninactive_file 1\n", 7, 77},
		{"after it met its limit", "memory.events", "max 4\n", 7, 77}, // read only when it has run
		{"after it ran into its limit", "cpu.stat", "usage_usec 1502\n", 7, 78},
	} {
		if step.file != "" {
			write(t, h, dir+step.file, step.content)
		}
		if got := read(t, f); got["pids"] != step.pids || got["memory_anon_bytes"] != step.anon {
			t.Errorf("%s: %v", step.what, got)
		}
	}
	write(t, h, dir+"memory.stat", "anon 79\ninactive_file 2\n")
	for f.tick%rareEvery != f.phase {
		if got := read(t, f); got["memory_anon_bytes"] != 78 || got["memory_working_set_bytes"] != 9437184 {
			t.Errorf("while nothing happens: %v", got)
		}
	}
	if got := read(t, f)["memory_anon_bytes"]; got != 79 {
		t.Errorf("at the tenth time: %d", got)
	}
}

// Of a target that sleeps what was read last is told, until it is time to read: then
// what may change all the same is read, and every tenth of these times everything.
func TestAsleepSaysWhatWasRead(t *testing.T) {
	const dir = "/system.slice/redis.service/"
	h := find(t, unpack(t, "v2"))
	f := open(t, h, dir, families("cpu_usage", "pids", "pids_limit"))
	f.phase = 0
	sleep := func() map[string]uint64 {
		t.Helper()
		got, err := f.Asleep(nil)
		if err != nil {
			t.Fatal(err)
		}
		return values(t, got)
	}
	for f.tick < eager {
		if got := sleep(); got["cpu_usage"] != 1500000 || got["pids"] != 6 {
			t.Fatalf("read %d: %v", f.tick, got)
		}
	}
	write(t, h, dir+"pids.max", "77\n")
	write(t, h, dir+"pids.current", "7\n")
	before := sleep()
	if before["pids_limit"] == 77 || before["pids"] != 6 {
		t.Errorf("at tick %d: %v, want what was read last", f.tick, before)
	}
	for f.tick <= rareEvery {
		before = sleep()
	}
	if before["pids_limit"] != 77 || before["pids"] != 6 {
		t.Errorf("the tenth time: %v, want the new limit, and no look at what only a running task changes", before)
	}
	for f.tick <= rareEvery*rareEvery {
		before = sleep()
	}
	if before["pids"] != 7 {
		t.Errorf("the hundredth time: %v, want everything read", before)
	}
	write(t, h, dir+"cpu.stat", "usage_usec x\n")
	if _, err := f.Read(nil); err == nil {
		t.Fatal("no fault")
	}
	if _, err := f.Asleep(nil); err == nil {
		t.Error("what a read with a fault left is told as if it were whole")
	}
}

// Where nothing says whether the target rests, memory.stat is read every time.
func TestMemoryStatAlone(t *testing.T) {
	h := find(t, unpack(t, "v2"))
	f := open(t, h, "/system.slice/redis.service", families("memory_anon_bytes"))
	f.phase = rareEvery - 1
	read(t, f)
	write(t, h, "/system.slice/redis.service/memory.stat", "anon 77\n")
	if got := read(t, f)["memory_anon_bytes"]; got != 77 {
		t.Errorf("got %d", got)
	}
}

// A process out of descriptors is told what to do, and loses none by it.
func TestOpenWithoutDescriptors(t *testing.T) {
	h := find(t, unpack(t, "v2"))
	next, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(next)
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	before := descriptors()
	few := unix.Rlimit{Cur: uint64(next) + 4, Max: old.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	f, err := h.Open("/system.slice/redis.service", families())
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if f != nil || !errors.Is(err, unix.EMFILE) || !strings.Contains(err.Error(), "LimitNOFILE=") {
		t.Errorf("got %v, %v", f, err)
	}
	if after := descriptors(); after > before {
		t.Errorf("%d descriptors leaked", after-before)
	}
}

// The number of descriptors that a target takes is stated.
func TestDescriptorsOfATarget(t *testing.T) {
	for fixture, c := range map[string]struct {
		at   string
		want int
	}{
		"v2":     {"/system.slice/redis.service", 14},
		"hybrid": {"/k8s-e2e/kubepods/burstable/pod" + uid + "/" + idA, 17 - 2}, // two PSI files are not in the fixture
	} {
		h := find(t, unpack(t, fixture))
		before := descriptors()
		open(t, h, c.at, families())
		if n := descriptors() - before; n != c.want {
			t.Errorf("%s: %d descriptors, want %d", fixture, n, c.want)
		}
	}
}

// A broken file costs its own families, is told, and leaves the others alone.
func TestReadGarbled(t *testing.T) {
	const dir = "/system.slice/redis.service/"
	for file, c := range map[string]struct{ content, lost, fault string }{
		"memory.stat":    {"anon 5\nfile x7\ninactive_file 1\nworkingset_refault_anon 1\nworkingset_refault_file 2\n", "memory_file_bytes", `memory.stat: unexpected file "x7"`},
		"memory.current": {"-3\n", "memory_current_bytes", `memory.current: unexpected "-3\n"`},
		"memory.max":     {"lots\n", "memory_limit_bytes", `memory.max: unexpected "lots\n"`},
		"cpu.stat":       {"usage_usec 18446744073709551615\nuser_usec 1\nsystem_usec 1\nnr_periods 1\nnr_throttled 1\nthrottled_usec 1\n", "cpu_usage", "usage_usec is too large"},
		"cpu.max":        {"20000 0\n", "cpu_limit", `cpu.max: unexpected "20000 0\n"`},
		"cpu.weight":     {"99999999999999999999\n", "cpu_request", "cpu.weight"},
		"pids.current":   {"", "pids", ""},
		"io.stat":        {"vda rbytes=1\n252:0 rbytes=q wbytes=8192 rios=1 wios=2\n9:9 rbytes=1 wbytes=0 rios=1 wios=0 dbytes=512 dios=1\n", "io_bytes vda read", `io.stat: unexpected`},
		"io.pressure":    {"some total=15\nfull total=\n", "psi_io_full", `io.pressure: unexpected full "total="`},
		"memory.events":  {"high 2\nmax 3\noom_kill 18446744073709551616\n", "memory_oom_kills", `oom_kill "18446744073709551616"`},
	} {
		h := find(t, unpack(t, "v2"))
		whole := read(t, open(t, h, dir, families()))
		write(t, h, dir+file, c.content)
		r, err := open(t, h, dir, families()).Read(nil)
		if c.fault == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: error %v, want %q", file, err, c.fault)
		}
		got := values(t, r)
		if _, ok := got[c.lost]; ok {
			t.Errorf("%s: %s has a value", file, c.lost)
		}
		for key := range whole {
			if _, ok := got[key]; !ok && key != c.lost && !(key == "memory_working_set_bytes" && file == "memory.current") {
				t.Errorf("%s: %s is lost too", file, key)
			}
		}
	}
}

func TestReadGrowsItsBuffer(t *testing.T) {
	const dir = "/system.slice/redis.service/"
	h := find(t, unpack(t, "v2"))
	f := open(t, h, dir, families("memory_refaults"))
	write(t, h, dir+"memory.stat", strings.Repeat("unknown_key 123456789\n", 2000)+"workingset_refault_file 9\n")
	if got := read(t, f); got["memory_refaults file"] != 9 {
		t.Errorf("got %v", got)
	}
	write(t, h, dir+"memory.stat", strings.Repeat("unknown_key 123456789\n", maxBuffer/20))
	if _, err := f.Read(nil); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("a file without end: %v", err)
	}
}

// A file that may not be read is told, and the others are read.
func TestReadWithoutPermission(t *testing.T) {
	root := unpack(t, "v2")
	h := find(t, root)
	const dir = "/system.slice/redis.service/"
	if err := errors.Join(os.Chmod(filepath.Dir(root), 0o755), os.Chmod(h.V2+dir+"memory.stat", 0)); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		// Another fsuid takes this thread's right to pass over permissions.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := unix.Setfsuid(65534); err != nil {
			t.Fatal(err)
		}
		defer unix.Setfsuid(0)
	}
	r, err := open(t, h, dir, families("memory_anon_bytes", "pids")).Read(nil)
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "memory.stat") {
		t.Errorf("got %v", err)
	}
	if got := values(t, r); got["pids"] != 6 || len(got) != 1 {
		t.Errorf("got %v", got)
	}
}

// A value that takes two files is not made of one.
func TestReadOfHalfASource(t *testing.T) {
	at := "/k8s-e2e/kubepods/burstable/pod" + uid + "/" + idA
	h := find(t, unpack(t, "hybrid"))
	if err := os.Remove(h.V1["cpu"] + at + "/cpu.cfs_period_us"); err != nil {
		t.Fatal(err)
	}
	before := descriptors()
	if got := read(t, open(t, h, at, families("cpu_limit"))); len(got) != 0 || descriptors() != before {
		t.Errorf("got %v, and %d descriptors", got, descriptors()-before)
	}
}
