package probe

import (
	"os"
	"testing"

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

// wantRung makes a set with the named families attached, those of the named hook
// group by the given rung of their ladder and no other. It is nil where this kernel
// lacks a hook of that rung.
func wantRung(t *testing.T, group string, rung int, names ...string) *Set {
	t.Helper()
	families := catalogue.Families()
	for _, f := range families {
		if f.Object == group {
			f.Rungs = f.Rungs[rung : rung+1]
		}
	}
	s, err := Open(Options{Families: families, Object: catalogue.Object})
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
		if st.Family.Object == group && !st.Works {
			t.Logf("rung %d: %s: %s", rung, st.Family.Name, st.Reason)
			return nil
		}
	}
	return s
}
