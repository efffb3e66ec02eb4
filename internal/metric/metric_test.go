package metric

import (
	"math"
	"testing"
)

func TestPromName(t *testing.T) {
	for want, f := range map[string]Family{
		"viperprobe_cpu_usage_seconds_total":    {Name: "cpu_usage", Kind: Counter, Unit: Seconds},
		"viperprobe_runq_latency_seconds":       {Name: "runq_latency", Kind: Histogram, Unit: Seconds},
		"viperprobe_tcp_sent_bytes_total":       {Name: "tcp_sent_bytes", Kind: Counter, Unit: Bytes},
		"viperprobe_memory_working_set_bytes":   {Name: "memory_working_set_bytes", Kind: Gauge, Unit: Bytes},
		"viperprobe_user_faults_total":          {Name: "user_faults", Kind: Counter, Unit: One},
		"viperprobe_disk_read_bytes":            {Name: "disk_read", Kind: Gauge, Unit: Bytes},
		"viperprobe_request_wait_seconds":       {Name: "request_wait", Kind: Histogram, Unit: Seconds},
		"viperprobe_tcp_connections":            {Name: "tcp_connections", Kind: Gauge, Unit: One},
		"viperprobe_context_switches_total":     {Name: "context_switches", Kind: Counter, Unit: One},
		"viperprobe_agent_resident_bytes":       {Name: "agent_resident_bytes", Kind: Gauge, Unit: Bytes},
		"viperprobe_agent_program_time_seconds": {Name: "agent_program_time", Kind: Gauge, Unit: Seconds},
	} {
		if got := f.PromName(); got != want {
			t.Errorf("%s: %s, want %s", f.Name, got, want)
		}
	}
}

func row(pairs ...int) []uint64 {
	counts := make([]uint64, Buckets)
	for i := 0; i < len(pairs); i += 2 {
		counts[pairs[i]] = uint64(pairs[i+1])
	}
	return counts
}

func TestBounds(t *testing.T) {
	for _, tc := range []struct {
		unit Unit
		i    int
		want float64
	}{
		{Seconds, 0, math.Exp2(-20)}, {Seconds, 80, 1}, {Seconds, 82, math.Sqrt2}, {Seconds, 109, math.Exp2(7.25)},
		{Seconds, 110, math.Inf(1)}, {Bytes, 0, 1}, {Bytes, 40, 1024}, {Bytes, 110, math.Inf(1)},
	} {
		if got := Bound(tc.unit, tc.i); math.Abs(got-tc.want) > 1e-12*tc.want && got != tc.want {
			t.Errorf("bound of %s bucket %d: %v, want %v", tc.unit, tc.i, got, tc.want)
		}
	}
}

func TestHistKeepsItsRange(t *testing.T) {
	h := NewHist(7, row(3, 1, 5, 2))
	if h.First != 3 || len(h.Counts) != 3 || h.Count() != 3 || h.At(3) != 1 || h.At(4) != 0 || h.At(5) != 2 || h.At(2) != 0 || h.At(99) != 0 {
		t.Errorf("got %+v", h)
	}
	if e := NewHist(0, row()); len(e.Counts) != 0 || e.Count() != 0 || !math.IsNaN(e.Quantile(Seconds, 0.5)) {
		t.Errorf("empty: %+v", e)
	}
}

// What a window saw, added to what was before, is what is now.
func TestSubThenAdd(t *testing.T) {
	for name, tc := range map[string]struct{ old, now []uint64 }{
		"from nothing": {row(), row(3, 4, 9, 1)},
		"no change":    {row(3, 4), row(3, 4)},
		"wider":        {row(5, 1), row(2, 1, 5, 3, 110, 7)},
		"same range":   {row(0, 1, 110, 1), row(0, 2, 110, 1)},
		"middle":       {row(4, 1, 8, 1), row(4, 1, 6, 5, 8, 1)},
	} {
		old, now := NewHist(10, tc.old), NewHist(30, tc.now)
		d := now.Sub(&old)
		if got, want := d.Count(), now.Count()-old.Count(); got != want {
			t.Errorf("%s: %d observations, want %d", name, got, want)
		}
		d.Add(&old)
		for i := range Buckets {
			if d.At(i) != now.At(i) {
				t.Errorf("%s: bucket %d is %d, want %d", name, i, d.At(i), now.At(i))
			}
		}
		if d.Sum != now.Sum {
			t.Errorf("%s: sum %d, want %d", name, d.Sum, now.Sum)
		}
	}
}

func TestQuantile(t *testing.T) {
	one := NewHist(0, row(80, 100)) // all in (2^-0.25 s, 1 s]
	if q := one.Quantile(Seconds, 1); q != 1 {
		t.Errorf("p100 %v, want 1", q)
	}
	if q := one.Quantile(Seconds, 0.5); math.Abs(q-math.Exp2(-0.125)) > 1e-12 {
		t.Errorf("p50 %v, want the geometric middle %v", q, math.Exp2(-0.125))
	}
	two := NewHist(0, row(40, 90, 110, 10))
	if q := two.Quantile(Seconds, 0.99); q != Bound(Seconds, 109) {
		t.Errorf("p99 in the overflow bucket: %v, want its lower bound %v", q, Bound(Seconds, 109))
	}
	under := NewHist(0, row(0, 10))
	if q := under.Quantile(Seconds, 0.5); q != Bound(Seconds, 0)/2 {
		t.Errorf("p50 below the first bound: %v, want %v", q, Bound(Seconds, 0)/2)
	}
}

func TestTargetIDs(t *testing.T) {
	if MakeID("m", "docker:1") == MakeID("m", "docker:2") || MakeID("m", "x") == MakeID("n", "x") || MakeID("ab", "c") == MakeID("a", "bc") {
		t.Error("different targets share an id")
	}
	if again := MakeID("m", "x"); again != "641d56e99de5013f" {
		t.Error("an id does not stay")
	}
}

func TestTargetName(t *testing.T) {
	for want, x := range map[string]Target{
		"redis": {Kind: Container, Container: "redis", Cgroup: "/a"},
		"/a/b":  {Kind: Plain, Cgroup: "/a/b"},
		"node":  {Kind: Node, Cgroup: "/"},
	} {
		if got := x.Name(); got != want {
			t.Errorf("%+v: %q, want %q", x, got, want)
		}
		if got := x.FullName(); got != want {
			t.Errorf("%+v in full: %q, want %q", x, got, want)
		}
	}
	for want, x := range map[string]Target{
		"shop/web-1/nginx": {Kind: Container, Namespace: "shop", Pod: "web-1", Container: "nginx", Cgroup: "/a"},
		"shop/nginx":       {Kind: Container, Namespace: "shop", Container: "nginx", Cgroup: "/a"},
		"/a":               {Kind: Plain, Namespace: "shop", Pod: "web-1", Cgroup: "/a"},
	} {
		if got := x.FullName(); got != want {
			t.Errorf("%+v in full: %q, want %q", x, got, want)
		}
	}
}
