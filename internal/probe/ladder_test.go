package probe

import (
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/catalogue"
)

// rungs are the rungs of a hook group's ladder that this kernel can be asked to
// take: all in the VMs, whose kernels have fentry; the first on the build kernel,
// which has not.
func rungs(n int) []int {
	all := []int{0, 1, 2}[:n]
	if os.Getenv("VIPERPROBE_VM") != "1" {
		return all[:1]
	}
	return all
}

// ladderSet makes a set in which the named families of a hook group are attached by
// one rung of their ladder, of those that have several. It is nil where this kernel
// is known to lack it: the tracepoints of rung 0 on the kernel whose release begins
// with old, the functions of rung 1 on the build kernel.
func ladderSet(t *testing.T, group string, rung int, old string, names ...string) *Set {
	t.Helper()
	s, _ := open(t)
	for _, f := range s.families {
		if f.Object == group && len(f.Rungs) > 1 {
			f.Rungs = f.Rungs[rung : rung+1]
		}
	}
	if err := s.Want(find(t, s, names...)); err != nil {
		t.Fatal(err)
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	release := unix.ByteSliceToString(u.Release[:])
	for _, st := range s.Status() {
		if st.Family.Object != group || st.Works {
			continue
		}
		if lacks := rung == 0 && strings.HasPrefix(release, old) || rung == 1 && os.Getenv("VIPERPROBE_VM") != "1"; !lacks {
			t.Fatalf("%s: %s", st.Family.Name, st.Reason)
		}
		t.Logf("%s: %s: %s", release, st.Family.Name, st.Reason)
		return nil
	}
	return s
}

// wantRung makes a set with the named families attached, those of the named hook
// group by the given rung of their ladder and no other. It is nil where this kernel
// lacks a hook of that rung.
func wantRung(t *testing.T, group string, rung int, names ...string) *Set {
	t.Helper()
	families := catalogue.Families()
	for _, f := range families {
		if f.Object == group && len(f.Rungs) > rung {
			f.Rungs = f.Rungs[rung : rung+1]
		}
	}
	s, err := Open(Options{Families: families, Object: catalogue.Object, Cgroup2: cgroupRoot(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	wanted := find(t, s, names...)
	if err := s.Want(wanted); err != nil {
		t.Fatal(err)
	}
	for _, st := range s.Status() {
		if slices.Contains(wanted, st.Family) && !st.Works {
			t.Logf("rung %d: %s: %s", rung, st.Family.Name, st.Reason)
			return nil
		}
	}
	return s
}
