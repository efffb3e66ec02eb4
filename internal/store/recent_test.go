package store

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
)

func TestRecentKeepsWhatEnded(t *testing.T) {
	sent, used, runq, disk := families()
	r := NewRecent(RecentOptions{Keep: 10 * time.Second, MaxEnded: 3})
	h := metric.Hist{Sum: 5, First: 40, Counts: []uint64{5}}
	ends := func(name string) metric.Group {
		return metric.Group{Target: container(name), Last: true, Samples: []metric.Sample{
			{Family: used, Value: 1}, counter(sent, 1, 42), counter(disk, 0, 0), {Family: runq, Hist: &h, Sum: &h}, {Family: runq, Sum: &metric.Hist{}},
		}}
	}
	ended := func(want ...string) {
		t.Helper()
		got := []string{}
		for _, e := range r.View().Ended {
			got = append(got, e.Group.Target.Container)
			if s := e.Group.Samples; len(s) != 2 || s[0].Total != 42 || s[1].Sum.Count() != 5 || s[1].Sum == &h {
				t.Errorf("samples of %s: %+v", e.Group.Target.Container, s)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("ended %v, want %v", got, want)
		}
	}
	r.Append(batchAt(1, one(container("web"), counter(sent, 1, 1)), ends("a")))
	before := r.View()
	r.Append(batchAt(2, one(container("web"), counter(sent, 1, 2)), ends("b"), ends("c")))
	ended("a", "b", "c")
	r.Append(batchAt(3, ends("d"))) // one too many
	ended("b", "c", "d")
	if r.Dropped() != 1 {
		t.Errorf("dropped %d", r.Dropped())
	}
	r.Append(batchAt(2, ends("again"))) // old
	ended("b", "c", "d")
	r.Append(batchAt(12)) // b and c are over time
	ended("d")
	if len(before.Ended) != 1 || before.Batches[0].Seq != 1 || !before.Last().Equal(t0.Add(time.Second)) {
		t.Errorf("a view changed: %+v", before)
	}
}

func TestRecentForgetsNodes(t *testing.T) {
	r := NewRecent(RecentOptions{})
	for i := range 20 {
		b := batchAt(1 + 60*i)
		b.Node = fmt.Sprintf("n%02d", i)
		r.Append(b)
	}
	if v := r.View(); len(v.Batches) != 5 || v.Batches[0].Node != "n15" {
		t.Errorf("%d nodes", len(v.Batches))
	}
}

func TestRecentWhileReading(t *testing.T) {
	sent, _, _, _ := families()
	r := NewRecent(RecentOptions{MaxEnded: 50})
	var readers sync.WaitGroup
	stop := make(chan bool)
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				v := r.View()
				for _, row := range Top(v.Batches, nil, ByTarget) {
					if row.Values["tcp_sent"].Number != 1 {
						t.Errorf("row %+v", row)
						return
					}
				}
				for i := range v.Ended {
					if v.Ended[i].Group.Samples[0].Total == 0 {
						t.Error("an ended target without its total")
						return
					}
				}
			}
		})
	}
	for seq := 1; seq <= 500; seq++ {
		r.Append(batchAt(seq, one(container("web"), counter(sent, 1, uint64(seq))),
			metric.Group{Target: container(fmt.Sprint(seq)), Last: true, Samples: []metric.Sample{counter(sent, 1, 1)}}))
	}
	close(stop)
	readers.Wait()
	if got := len(r.View().Ended); got != 50 || r.Dropped() != 450 {
		t.Errorf("%d ended, %d dropped", got, r.Dropped())
	}
}
