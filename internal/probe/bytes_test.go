package probe

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/metric"
)

// crowded is a set for so many CPUs with the families that are measured by default, as
// far as they work here, and 100 targets; held is what the kernel says of its maps.
func crowded(t *testing.T, cpus int) (s *Set, held int) {
	t.Helper()
	debug.FreeOSMemory()
	before, resident := heldMaps(t), residentBytes(t)
	s, err := openOn(cpus, Options{Families: catalogue.Families(), Object: catalogue.Object, Cgroup2: cgroupRoot(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	families := slices.DeleteFunc(slices.Clone(s.families), func(f *metric.Family) bool { return f.OnDemand })
	if err := s.Want(families); err != nil {
		t.Logf("not all of it works here: %v", err)
	}
	var names []string
	for _, st := range s.Status() {
		if st.Works && !st.Family.OnDemand {
			names = append(names, st.Family.Name)
		}
	}
	var last *target
	for range 100 {
		last = newTarget(t, s, names)
	}
	if err := s.Reserve(last.slot, last.families); err != nil { // as the agent does
		t.Fatal(err)
	}
	debug.FreeOSMemory()
	for id, bytes := range heldMaps(t) {
		if _, old := before[id]; !old { // old ones may be closed at any time
			held += bytes
		}
	}
	held += untold(s)
	t.Logf("100 targets, cells for %d CPUs: maps of %d KiB, the kernel says %d KiB; %d KiB more of this process are resident",
		cpus, s.MapBytes()>>10, held>>10, (residentBytes(t)-resident)>>10)
	return s, held
}

// untold is what the kernel leaves out of histograms' memory: before it had
// array_map_mem_usage, the page in front of an array that can be mapped.
func untold(s *Set) (sum int) {
	for _, o := range s.objects {
		for _, h := range o.hists {
			for i, m := range h.maps {
				if m == nil {
					continue
				}
				if info, err := m.Info(); err == nil {
					if told, ok := info.Memlock(); ok && int(told) == 8*len(h.chunks[i]) {
						sum += os.Getpagesize()
					}
				}
			}
		}
	}
	return sum
}

// What maps take is what the kernel says of all that this process holds, and what is
// computed for more CPUs is what is taken with cells for so many. The copies that the
// kernel itself makes are those for the CPUs here: CPUS=64 test/vm.sh has more of them.
func TestMapBytesByCPUs(t *testing.T) {
	possible := ebpf.MustPossibleCPU()
	near := func(what string, got, want int) {
		t.Helper()
		if off := got - want; off < -want/50 || off > want/50 {
			t.Errorf("%s: %d bytes, want %d", what, got, want)
		}
	}
	s, held := crowded(t, possible)
	near("MapBytes", s.MapBytes(), held)
	near("computed for the CPUs here", s.MapBytesOn(possible), held)
	for _, cpus := range []int{8, 64, 128} {
		t.Logf("computed for %d CPUs: %d KiB", cpus, s.MapBytesOn(cpus)>>10)
	}
	own := 0
	for _, o := range s.objects {
		own += eachCPU(o.coll)
	}
	if own == 0 {
		t.Error("no map is per CPU by its type")
	}
	const cpus = 64
	more, held := crowded(t, cpus)
	near("MapBytes with more cells", more.MapBytes(), held)
	near("taken with more cells", held, s.MapBytesOn(cpus)-own*(cpus-possible))
}

func residentBytes(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	var size, pages int
	if n, _ := fmt.Sscan(string(text), &size, &pages); err != nil || n < 2 {
		t.Fatalf("read statm: %q, %v", text, err)
	}
	return pages * os.Getpagesize()
}

// heldMaps is what the kernel says of the memory of the maps of this process, by their
// numbers: each once however many descriptors it has.
func heldMaps(t *testing.T) map[int]int {
	t.Helper()
	infos, err := filepath.Glob("/proc/self/fdinfo/*")
	if err != nil {
		t.Fatal(err)
	}
	maps := map[int]int{}
	for _, info := range infos {
		text, _ := os.ReadFile(info) // the descriptor of the folder has gone
		var id, bytes int
		for line := range strings.Lines(string(text)) {
			_, _ = fmt.Sscanf(line, "memlock: %d", &bytes)
			_, _ = fmt.Sscanf(line, "map_id: %d", &id)
		}
		if id > 0 {
			maps[id] = bytes
		}
	}
	return maps
}
