package cgroup

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
)

const benchTargets = 100

// openAll opens families of 100 cgroups of this machine, in every hierarchy.
func openAll(b *testing.B, fams []*metric.Family) []*Files {
	h := find(b, "/")
	top := makeCgroup(b, h)
	if !h.Hybrid() {
		enable(b, h, top)
	}
	all := make([]*Files, benchTargets)
	for i := range all {
		at := top + "/t" + strconv.Itoa(i)
		makeGroups(b, h, at)
		all[i] = open(b, h, at, fams)
		if _, err := all[i].Read(nil); err != nil {
			b.Fatal(err)
		}
	}
	return all
}

// BenchmarkRead is one round over 100 targets with all families: growing (each
// has run and its memory moved since the last round), active (each has run) and
// idle, with caches warm and cold; and one file after the other.
func BenchmarkRead(b *testing.B) {
	for state := range growing + 1 {
		b.Run(state.String(), func(b *testing.B) { round(b, families(), state, 0) })
		b.Run(state.String()+"-cold", func(b *testing.B) { round(b, families(), state, 64<<20) })
	}
	h := find(b, "/")
	for _, s := range h.sources() {
		b.Run(strings.TrimPrefix(s.controller+":", ":")+s.file, func(b *testing.B) {
			var names []string
			for _, f := range s.fields {
				if f.use != remember && f.use != less {
					names = append(names, f.family)
				}
			}
			round(b, families(names...), growing, 0)
		})
	}
}

// doing is what the targets of a benchmark did since the last round.
type doing int

const (
	idle doing = iota
	active
	growing
)

func (s doing) String() string { return [...]string{"idle", "active", "growing"}[s] }

func round(b *testing.B, fams []*metric.Family, did doing, sweep int) {
	all := openAll(b, fams)
	dst := make([]metric.Reading, 0, 100)
	cold := make([]byte, sweep)
	b.ReportAllocs()
	var used time.Duration
	for b.Loop() {
		for i := 0; i < len(cold); i += 64 {
			cold[i]++
		}
		start := cpuTimeUsed()
		for _, f := range all {
			if did >= active {
				f.usage.before--
			}
			if did == growing {
				f.current.before--
			}
			var err error
			if dst, err = f.Read(dst[:0]); err != nil {
				b.Fatal(err)
			}
		}
		used += cpuTimeUsed() - start
	}
	// CPU time, not wall time: other programs run too.
	b.ReportMetric(float64(used.Nanoseconds())/float64(b.N*benchTargets), "cpu-ns/target")
	b.ReportMetric(float64(len(dst)), "readings/target")
}

// BenchmarkNode is the node's own files.
func BenchmarkNode(b *testing.B) {
	f, err := find(b, "/").OpenNode(families())
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	var dst []metric.Reading
	b.ReportAllocs()
	for b.Loop() {
		if dst, err = f.Read(dst[:0]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen is what a new target costs.
func BenchmarkOpen(b *testing.B) {
	h := find(b, "/")
	at := makeCgroup(b, h)
	fams := families()
	for b.Loop() {
		f, err := h.Open(at, fams)
		if err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
}

// BenchmarkWalk is discovery over 100 cgroups.
func BenchmarkWalk(b *testing.B) {
	openAll(b, nil)
	h := find(b, "/")
	var seen []uint64
	for b.Loop() {
		seen = seen[:0]
		if err := h.Walk(func(id uint64, _ string) error { seen = append(seen, id); return nil }); err != nil {
			b.Fatal(err)
		}
	}
	slices.Sort(seen)
	if n := len(slices.Compact(seen)); n <= benchTargets {
		b.Fatalf("%d cgroups", n)
	}
}

func BenchmarkPlace(b *testing.B) {
	h, path := &Host{}, "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-poda1b2c3d4_0000_1111_2222_333344445555.slice/cri-containerd-"+idB+".scope"
	for b.Loop() {
		if h.Place(path).Role != Own {
			b.Fatal("not a target")
		}
	}
}

// BenchmarkInterfaces is one reading of the devices of a pod.
func BenchmarkInterfaces(b *testing.B) {
	h := find(b, "/")
	at := makeCgroup(b, h)
	newSpace(b)(func() error { start(b, h, at); return nil })
	f := open(b, h, at, families("net_received_bytes", "net_sent_bytes", "net_received_packets", "net_sent_packets", "net_dropped_packets", "net_errors"))
	var dst []metric.Reading
	used := cpuTimeUsed()
	for b.Loop() {
		var err error
		if dst, err = f.Read(dst[:0]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpuTimeUsed()-used).Nanoseconds())/float64(b.N), "cpu-ns/pod")
}
