package probe

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/metric"
)

// cgroupRoot is where the v2 hierarchy is mounted.
func cgroupRoot(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		left, right, _ := strings.Cut(line, " - ")
		if strings.HasPrefix(right, "cgroup2 ") {
			return strings.Fields(left)[4]
		}
	}
	t.Fatal("no cgroup2 mount in /proc/self/mountinfo")
	return ""
}

// A group is a cgroup made for a test.
type group struct {
	path string // in the file system
	name string // below the v2 root, as events tell it
	id   uint64
	fd   int
}

var groupNumber atomic.Int64

// newGroup makes a cgroup below parent (nil: the root), which goes with the test.
func newGroup(t testing.TB, parent *group) *group {
	t.Helper()
	root := cgroupRoot(t)
	at := root
	if parent != nil {
		at = parent.path
	}
	path := filepath.Join(at, fmt.Sprintf("viperprobe-test-%d-%d", os.Getpid(), groupNumber.Add(1)))
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	g := &group{path: path, name: strings.TrimPrefix(path, root)}
	t.Cleanup(func() { g.remove(t) })
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	g.id = st.Ino // kernfs: the inode number is the cgroup's id
	var err error
	if g.fd, err = unix.Open(path, unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		t.Fatal(err)
	}
	return g
}

// remove removes the cgroup once its tasks have gone. It may be called twice.
func (g *group) remove(t testing.TB) {
	if g.fd < 0 {
		return
	}
	unix.Close(g.fd)
	g.fd = -1
	var err error
	if !poll(10*time.Second, func() bool { err = unix.Rmdir(g.path); return err == nil || err == unix.ENOENT }) {
		t.Errorf("remove cgroup %s: %v", g.path, err)
	}
}

// add moves a process into the cgroup.
func (g *group) add(t testing.TB, pid int) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(g.path, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
		t.Fatal(err)
	}
}

// controllerGroup is the directory of the cgroup whose limits of a controller hold
// for a process: its own on v2, on hybrid hosts one that it joins and that goes when
// it was killed.
func controllerGroup(t testing.TB, controller string, g *group, pid int, kill func()) (dir string, v1 bool) {
	t.Helper()
	for line := range strings.Lines(procFile(t, "/proc/self", "mountinfo")) {
		left, right, _ := strings.Cut(strings.TrimSpace(line), " - ")
		if !strings.HasPrefix(right, "cgroup ") || !strings.HasSuffix(right, controller) {
			continue
		}
		dir := filepath.Join(strings.Fields(left)[4], filepath.Base(g.path))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			kill()
			var err error
			if !poll(removeLimit, func() bool { err = unix.Rmdir(dir); return err == nil }) {
				t.Errorf("remove cgroup %s: %v", dir, err)
			}
		})
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), fmt.Append(nil, pid), 0); err != nil {
			t.Fatal(err)
		}
		return dir, true
	}
	return g.path, false
}

// file reads a number from a keyed file of the cgroup: cpu.stat usage_usec.
func (g *group) file(t testing.TB, name, key string) uint64 {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(g.path, name))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == key {
			n, err := strconv.ParseUint(fields[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("%s has no %s", name, key)
	return 0
}

// kernelIDs are the ids of what a set has in the kernel now.
func kernelIDs(s *Set) (programs []ebpf.ProgramID, held []ebpf.MapID) {
	colls := []*ebpf.Collection{s.core}
	if s.windows.coll != nil {
		colls = append(colls, s.windows.coll)
	}
	for _, o := range s.objects {
		if o.coll != nil {
			colls = append(colls, o.coll)
		}
		for _, h := range o.hists {
			for _, m := range h.maps {
				if m != nil {
					held = append(held, mapID(m))
				}
			}
		}
	}
	for _, c := range colls {
		for _, p := range c.Programs {
			if info, err := p.Info(); err == nil {
				if id, ok := info.ID(); ok {
					programs = append(programs, id)
				}
			}
		}
		for _, m := range c.Maps {
			held = append(held, mapID(m))
		}
	}
	return programs, held
}

func mapID(m *ebpf.Map) ebpf.MapID {
	info, err := m.Info()
	if err != nil {
		return 0
	}
	id, _ := info.ID()
	return id
}

// gone fails the test when the kernel still has one of these (it frees them some
// time after the last reference went).
func gone(t testing.TB, programs []ebpf.ProgramID, held []ebpf.MapID) {
	t.Helper()
	var left string
	defer func() {
		if left != "" {
			t.Log("in the kernel still: " + left)
		}
	}()
	eventually(t, "programs and maps of a closed set to leave the kernel", func() bool {
		left = ""
		runtime.GC() // cilium/ebpf unmaps the memory of variables when it is collected
		for _, id := range programs {
			if p, err := ebpf.NewProgramFromID(id); err == nil {
				p.Close()
				left = p.String()
				return false
			}
		}
		for _, id := range held {
			if m, err := ebpf.NewMapFromID(id); err == nil {
				m.Close()
				left = m.String()
				return false
			}
		}
		return true
	})
}

// A target is a slot that a test measures.
type target struct {
	t        testing.TB
	set      *Set
	slot     uint32
	families []*metric.Family
}

// find picks families by name.
func find(t testing.TB, s *Set, names ...string) []*metric.Family {
	t.Helper()
	var found []*metric.Family
	for _, name := range names {
		n := len(found)
		for _, f := range s.families {
			if f.Is(name) {
				found = append(found, f)
			}
		}
		if len(found) == n {
			t.Fatalf("no family %s", name)
		}
	}
	return found
}

// newTarget gives cgroups (one at least) a slot of their own and switches the named
// families on for it. Want must have been called with them.
func newTarget(t testing.TB, s *Set, names []string, groups ...*group) *target {
	t.Helper()
	slot, err := s.TakeSlot()
	if err != nil {
		t.Fatal(err)
	}
	tg := &target{t: t, set: s, slot: slot, families: find(t, s, names...)}
	if err := s.Switch(slot, tg.families); err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		if err := s.SetCgroup(g.id, Cgroup{Slot: slot}); err != nil {
			t.Fatal(err)
		}
	}
	return tg
}

// want makes a set with the named families attached.
func want(t testing.TB, names ...string) *Set {
	t.Helper()
	s, _ := open(t)
	works(t, s, names...)
	return s
}

// works attaches the named families, and fails the test where the kernel refuses one.
func works(t testing.TB, s *Set, names ...string) {
	t.Helper()
	wanted := find(t, s, names...)
	if err := s.Want(wanted); err != nil {
		t.Fatal(err)
	}
	for _, st := range s.Status() {
		if slices.Contains(wanted, st.Family) && !st.Works {
			t.Fatalf("%s: %s", st.Family.Name, st.Reason)
		}
	}
}

// A mark is what the cells of a target hold at one moment: by "family",
// "family/label" and, for histograms, "family/count" and "family/sum".
type mark map[string]uint64

// mark runs the iterators and reads the target.
func (tg *target) mark() mark {
	tg.t.Helper()
	if err := tg.set.Tick(); err != nil {
		tg.t.Fatal(err)
	}
	return tg.read()
}

// read reads the target's cells as they are.
func (tg *target) read() mark {
	m := mark{}
	for _, r := range tg.set.Read(tg.slot, tg.families, nil) {
		name := r.Family.Name
		for _, label := range r.Labels {
			if label != "" {
				name += "/" + label
			}
		}
		if r.Hist != nil {
			m[name+"/count"], m[name+"/sum"] = r.Hist.Count(), r.Hist.Sum
		} else {
			m[name] = r.Value
		}
	}
	return m
}

// hist reads one histogram of the target.
func (tg *target) hist(name string) *metric.Hist {
	tg.t.Helper()
	for _, r := range tg.set.Read(tg.slot, find(tg.t, tg.set, name), nil) {
		return r.Hist
	}
	tg.t.Fatalf("%s gave nothing", name)
	return nil
}

// since is the increase from old to m.
func (m mark) since(old mark) mark {
	d := mark{}
	for k, v := range m {
		d[k] = v - old[k]
	}
	return d
}

// same fails the test when a value is not what it must be.
func (m mark) same(t testing.TB, name string, want uint64) {
	t.Helper()
	if got, ok := m[name]; !ok || got != want {
		t.Errorf("%s = %d, want %d (off by %d)", name, got, want, int64(got-want))
	}
}

// kernelCount reads a counter of an object: vp_failed, vp_no_slot.
func kernelCount(t testing.TB, s *Set, object, name string) uint64 {
	t.Helper()
	coll := s.core
	if object != "cgroup" {
		coll = s.objects[object].coll
	}
	var v uint64
	if err := coll.Variables[name].Get(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// lossless fails the test when the kernel side counted something that it could not
// count (trap 18).
func lossless(t testing.TB, s *Set) {
	t.Helper()
	for name, o := range s.objects {
		if o.coll == nil {
			continue
		}
		if n := kernelCount(t, s, name, "vp_failed"); n != 0 {
			t.Errorf("%s: vp_failed = %d", name, n)
		}
	}
	for _, m := range s.Missed() {
		if m.Events != 0 {
			t.Errorf("the kernel skipped %s %d times", m.Program, m.Events)
		}
	}
}

func familyNames(families []*metric.Family) []string {
	var names []string
	for _, f := range families {
		names = append(names, f.Name)
	}
	return names
}
