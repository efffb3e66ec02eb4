package codec

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/internal/metric"
)

var known = []*metric.Family{
	{Name: "cpu_usage", Kind: metric.Counter, Unit: metric.Seconds},
	{Name: "tcp_connections", Kind: metric.Gauge, Unit: metric.One, Labels: []metric.Label{{Name: "state"}}},
	{Name: "runq_latency", Kind: metric.Histogram, Unit: metric.Seconds},
	{Name: "sizes", Kind: metric.Histogram, Unit: metric.Bytes},
}

// every is a batch with each kind of sample and every bucket.
func every() *metric.Batch {
	at := time.Date(2026, 11, 24, 12, 0, 1, 7, time.UTC)
	counts := make([]uint64, metric.Buckets)
	for i := range counts {
		counts[i] = uint64(i + 1)
	}
	h, none := metric.NewHist(1<<63+1, counts), metric.NewHist(0, make([]uint64, metric.Buckets))
	return &metric.Batch{
		Node: "n", Epoch: 7, Seq: 2, Generation: 3, Slot: at, Start: at.Add(-time.Second), End: at, Interval: 1500 * time.Millisecond,
		Partial: true, Faults: []string{"read \"/a\": gone"},
		Groups: []metric.Group{
			{Target: &metric.Target{ID: "x", Kind: metric.Plain, Node: "n", Cgroup: "/x", Started: at}, Last: true, Samples: []metric.Sample{
				{Family: known[0], Value: 1<<64 - 1, Total: 1, Ratio: 1},
				{Family: known[1], Labels: [2]string{"listen"}, Value: 2, Max: 5, Ratio: 0.25},
			}},
			{Target: &metric.Target{ID: "y", Kind: metric.Container, Node: "n", Container: "y", Cgroup: "/y"}, Samples: []metric.Sample{
				{Family: known[2], Hist: &h, Ratio: 1}, {Family: known[3], Hist: &h, Ratio: 1}, {Family: known[2], Hist: &none, Ratio: 1},
			}},
		},
	}
}

// What is read is what was written, to the last digit.
func TestDecode(t *testing.T) {
	got, err := Decode(new(JSON).appendBatch(nil, every()), known)
	if err != nil {
		t.Fatal(err)
	}
	want := every()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	fewer, err := Decode(new(JSON).appendBatch(nil, want), known[:1])
	if err != nil || fewer.Samples() != 1 || len(fewer.Groups) != 2 {
		t.Errorf("with one family known: %d samples in %d groups, %v", fewer.Samples(), len(fewer.Groups), err)
	}
}

func TestDecodeFaults(t *testing.T) {
	const start = `{"interval":1,"groups":[{"target":{"id":"x"},"samples":[{"family":`
	for line, want := range map[string]string{
		`{`:                            "decode batch: unexpected EOF",
		`{"interval":-1}`:              `interval: want a number of 0 or more, have "-1"`,
		`{"interval":1.0000000001}`:    "more digits than are measured",
		`{"interval":1,"groups":[{}]}`: "group 0 has no target",
		start + `"cpu_usage"}]}]}`:     `cpu_usage of target x: want a number of 0 or more, have ""`,
		start + `"cpu_usage","value":2e3,"total":1}]}]}`:         `have "2e3"`,
		start + `"cpu_usage","value":18446744074,"total":1}]}]}`: "18446744074 is too large",
		start + `"runq_latency","sum":1,"buckets":[[3,1]]}]}]}`:  "3 is no bound of a bucket",
		start + `"runq_latency","sum":1,"buckets":[[1,-1]]}]}]}`: "bucket 1: want a count, have -1",
	} {
		if _, err := Decode([]byte(line), known); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", line, err, want)
		}
	}
}

// Whatever can be read is written and read again as the same batch.
func FuzzDecode(f *testing.F) {
	f.Add(new(JSON).appendBatch(nil, every()))
	f.Add([]byte(`{"interval":0.000000001,"groups":[{"target":{"id":"x"},"samples":[{"family":"sizes","sum":3,"buckets":[[1,2],["+Inf",1]]}]}]}`))
	f.Add([]byte(`{"interval":1,"slot":"2026-11-24T12:00:01+23:59"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		b, err := Decode(line, known)
		if err != nil {
			return
		}
		first := new(JSON).appendBatch(nil, b)
		again, err := Decode(first, known)
		if err != nil {
			if strings.Contains(err.Error(), "has no target") { // a time of its target cannot be written
				return
			}
			t.Fatalf("%v: %s", err, first)
		}
		if second := new(JSON).appendBatch(nil, again); !bytes.Equal(first, second) {
			t.Errorf("%s\nbecame %s", first, second)
		}
	})
}
