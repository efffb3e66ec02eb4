package probe

import (
	"testing"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/metric"
)

// open makes a Set with the whole catalogue that ends with the test and leaves
// nothing in the kernel.
func open(t testing.TB) (*Set, map[string]*metric.Family) {
	t.Helper()
	families := catalogue.Families()
	s, err := Open(Options{Families: families, Object: catalogue.Object})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		programs, held := kernelIDs(s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		s.core, s.objects = nil, nil // what the collector must find
		gone(t, programs, held)
	})
	byName := map[string]*metric.Family{}
	for _, f := range families {
		byName[f.Name] = f
	}
	return s, byName
}

func TestEveryFamilyLoads(t *testing.T) {
	s, _ := open(t)
	if err := s.Want(s.families); err != nil {
		t.Error(err)
	}
	for _, st := range s.Status() {
		if !st.Works {
			t.Errorf("%s: %s", st.Family.Name, st.Reason)
		}
		t.Logf("%-26s %v %s", st.Family.Name, st.Works, st.Hook)
	}
}
