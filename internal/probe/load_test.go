package probe

import (
	"fmt"
	"strings"
	"testing"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/kerneltest"
	"viperprobe.dev/viperprobe/internal/metric"
)

// open makes a Set with the whole catalogue that ends with the test and leaves
// nothing in the kernel.
func open(t testing.TB) (*Set, map[string]*metric.Family) {
	t.Helper()
	families := catalogue.Families()
	s, err := Open(Options{Families: families, Object: catalogue.Object, Cgroup2: cgroupRoot(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		programs, held := kernelIDs(s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		s.core, s.objects, s.shared, s.windows = nil, nil, nil, windows{} // what the collector must find
		gone(t, programs, held)
	})
	byName := map[string]*metric.Family{}
	for _, f := range families {
		byName[f.Name] = f
	}
	return s, byName
}

// A family works here, or its row says why it does not on this kernel.
func TestEveryFamilyLoads(t *testing.T) {
	s, _ := open(t)
	kernel := kerneltest.Series(t)
	_ = s.Want(s.families) // what cannot be attached is in the status
	for _, st := range s.Status() {
		switch lacks := st.Family.Lacks[kernel]; {
		case st.Works && lacks == "":
			kerneltest.Hook(t, st.Family.Name, st.Hook)
		case st.Works:
			t.Errorf("%s works by %s on %s, which its row denies: %s", st.Family.Name, st.Hook, kernel, lacks)
		case lacks == "":
			t.Errorf("%s does not work on %s, and its row has no reason for it: %s", st.Family.Name, kernel, st.Reason)
		default:
			t.Logf("%s does not work on %s: %s: %s", st.Family.Name, kernel, lacks, st.Reason)
		}
	}
}

// A program that would leave by windows which its families never have is refused: it would
// be closed for ever.
func TestWindowedProgramsOfWholeFamiliesAreRefused(t *testing.T) {
	families := catalogue.Families()
	var bytes *metric.Family
	for _, f := range families {
		if f.Object == "udp" {
			f.Sampling = metric.Rare
		}
		if f.Name == "udp_bytes" {
			bytes = f
		}
	}
	s, err := Open(Options{Families: families, Object: catalogue.Object, Cgroup2: cgroupRoot(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_ = s.Want([]*metric.Family{bytes}) // what cannot be attached is in the status
	for _, st := range s.Status() {
		if st.Family == bytes && (st.Works || !strings.Contains(st.Reason, "VP_WINDOWED, but no family in it can be sampled")) {
			t.Errorf("works: %v, %q", st.Works, st.Reason)
		}
	}
}

// Families that are never sampled have a word of their own in a slot: 64 of each kind
// have room, and no more.
func TestRoomForFamilies(t *testing.T) {
	for _, kind := range []metric.Sampling{metric.Events, metric.Whole} {
		var families []*metric.Family
		for i := range 65 {
			families = append(families,
				&metric.Family{Name: fmt.Sprintf("sampled%d", i), Tier: metric.Event, Object: "a", Sampling: metric.Events},
				&metric.Family{Name: fmt.Sprintf("whole%d", i), Tier: metric.Event, Object: "b"})
		}
		s := &Set{families: families[:128], bits: map[*metric.Family]bit{}}
		if err := s.number(); err != nil {
			t.Fatal(err)
		}
		on, whole := s.masks(s.families)
		if on != ^uint64(0) || whole != ^uint64(0) {
			t.Errorf("bits %x and %x for 64 families of each kind", on, whole)
		}
		more := families[128:129]
		if kind == metric.Whole {
			more = families[129:]
		}
		s = &Set{families: append(families[:128:128], more...), bits: map[*metric.Family]bit{}}
		if err := s.number(); err == nil || !strings.Contains(err.Error(), "room for 64") {
			t.Errorf("65 families: %v", err)
		}
	}
}
