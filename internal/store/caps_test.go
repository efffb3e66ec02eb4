package store

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
)

// What is over the cap on series is summed, counted, and not lost.
func TestSeriesCap(t *testing.T) {
	sent, used, runq, _ := families()
	s := openStore(t, Options{MaxSeries: 30})
	h := metric.Hist{Sum: 1e6, First: 40, Counts: []uint64{1}}
	for seq := 1; seq <= 5; seq++ {
		b := batchAt(seq)
		for i := range 40 {
			sum := metric.Hist{Sum: h.Sum * uint64(seq), First: 40, Counts: []uint64{uint64(seq)}}
			b.Groups = append(b.Groups, one(container(fmt.Sprintf("c%02d", i)), counter(sent, 10, uint64(10*seq)),
				metric.Sample{Family: used, Value: 3, Max: 3, Ratio: 1}, metric.Sample{Family: runq, Hist: &h, Sum: &sum, Ratio: 1}))
		}
		appendAll(t, s, b)
	}
	st := s.Stats()
	if st.Series != 30 || st.Other != 5*(120-30) || st.Dropped != 0 || st.Samples != 5*(30+3) {
		t.Errorf("stats %+v", st)
	}
	for query, want := range map[string]string{
		`sum(increase(viperprobe_tcp_sent_bytes_total[1m] anchored))`:            "2000", // 40 targets, 5 windows of 10
		`increase(viperprobe_tcp_sent_bytes_total{target="other"}[1m] anchored)`: "1500",
		`sum(viperprobe_memory_working_set_bytes)`:                               "120",
		`sum(histogram_count(viperprobe_runq_latency_seconds))`:                  "200",
	} {
		if got := ask(t, &s.Reader, 5, query); !strings.Contains(got, "=> "+want+" @") {
			t.Errorf("%s = %s, want %s", query, got, want)
		}
	}
}

// So is a label with too many values, within its target.
func TestLabelValueCap(t *testing.T) {
	_, _, _, disk := families()
	s := openStore(t, Options{MaxValues: 3})
	for seq := 1; seq <= 4; seq++ {
		g := metric.Group{Target: container("a")}
		for d := range 10 {
			g.Samples = append(g.Samples, metric.Sample{Family: disk, Labels: [2]string{fmt.Sprintf("sd%d", d)}, Value: 1, Total: uint64(seq), Ratio: 1})
		}
		g.Last = seq == 4
		appendAll(t, s, batchAt(seq, g))
	}
	if st := s.Stats(); st.Other != 28 || st.Series != 0 {
		t.Errorf("stats %+v", st)
	}
	for query, want := range map[string]string{
		`sum(increase(viperprobe_disk_read_bytes_total[1m] anchored))`:                          "40",
		`increase(viperprobe_disk_read_bytes_total{device="other",container="a"}[1m] anchored)`: "28",
	} {
		if got := ask(t, &s.Reader, 4, query); !strings.Contains(got, "=> "+want+" @") {
			t.Errorf("%s = %s, want %s", query, got, want)
		}
	}
	if got := ask(t, &s.Reader, 5, `viperprobe_disk_read_bytes_total`); got != "" {
		t.Errorf("the target ended, yet: %s", got)
	}
}

// 2,000 containers that come and go leave nothing in the cache.
func TestEndedTargetsAreForgotten(t *testing.T) {
	sent, used, _, _ := families()
	s := openStore(t, Options{MaxSeries: 100})
	for seq := 1; seq <= 200; seq++ {
		b := batchAt(seq)
		for i := range 10 {
			c := container(fmt.Sprintf("c%d-%d", seq, i))
			c.Started = b.Start.Add(300 * time.Millisecond)
			b.Groups = append(b.Groups, metric.Group{Target: c, Last: true, Samples: []metric.Sample{
				counter(sent, 7, 7), {Family: used, Value: 1, Max: 5, Ratio: 1},
			}})
		}
		appendAll(t, s, b)
	}
	st := s.Stats()
	if st.Series != 0 || st.Other != 0 || st.Dropped != 0 || len(s.cache.targets) != 0 {
		t.Errorf("stats %+v, %d targets", st, len(s.cache.targets))
	}
	if got := ask(t, &s.Reader, 200, `sum(increase(viperprobe_tcp_sent_bytes_total[5m] anchored))`); !strings.Contains(got, "=> 14000 @") {
		t.Errorf("sent: %s", got)
	}
}

// A family that was switched off, and a target that vanished without a word, end
// after some windows.
func TestSeriesWithoutSamplesEnd(t *testing.T) {
	sent, used, _, _ := families()
	s := openStore(t, Options{})
	for seq := 1; seq <= 40; seq++ {
		g := one(container("a"), counter(sent, 1, uint64(seq)))
		if seq < 10 {
			g.Samples = append(g.Samples, metric.Sample{Family: used, Value: 9, Max: 9, Ratio: 1})
		}
		b := batchAt(seq, g)
		if seq < 10 {
			b.Groups = append(b.Groups, one(container("b"), counter(sent, 1, uint64(seq))))
		}
		appendAll(t, s, b)
	}
	if st := s.Stats(); st.Series != 1 {
		t.Errorf("stats %+v", st)
	}
	if got := ask(t, &s.Reader, 40, `viperprobe_memory_working_set_bytes or viperprobe_tcp_sent_bytes_total or viperprobe_target_info`); strings.Count(got, "=>") != 2 {
		t.Errorf("want the counter and the info of one target: %s", got)
	}
}

func TestGaugeMaximum(t *testing.T) {
	_, used, _, _ := families()
	s := openStore(t, Options{})
	gauge := func(v, m uint64) metric.Sample { return metric.Sample{Family: used, Value: v, Max: m, Ratio: 1} }
	appendAll(t, s, batchAt(1, one(container("a"), gauge(5, 5)), one(container("b"), gauge(5, 5))), batchAt(2, one(container("a"), gauge(5, 8)), one(container("b"), gauge(5, 5))),
		batchAt(3, one(container("a"), gauge(6, 6)), one(container("b"), gauge(5, 5))))
	got := ask(t, &s.Reader, 3, `max_over_time(viperprobe_memory_working_set_bytes_max[1m])`)
	if strings.Count(got, "=>") != 1 || !strings.Contains(got, `container="a"`) || !strings.Contains(got, "=> 8 @") {
		t.Errorf("maxima: %s", got)
	}
	if st := s.Stats(); st.Series != 3 {
		t.Errorf("stats %+v", st)
	}
}
