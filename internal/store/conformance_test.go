package store

import (
	"context"
	"iter"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/internal/metric"
)

// engine is what every store has to be.
type engine interface {
	Append(*metric.Batch) error
	Range(context.Context, Query) iter.Seq2[Row, error]
	Gaps(ctx context.Context, from, to time.Time) ([]Gap, error)
}

// conformance is what every store has to pass.
var conformance = []struct {
	name string
	test func(*testing.T, engine)
}{
	{"increases add up to the total", increasesAddUp},
	{"a batch counts once", batchCountsOnce},
	{"a target that began again counts on", targetBeginsAgain},
	{"a target that ended and began again in one window", endsAndBegins},
	{"a target that got a better name", targetRenamed},
	{"agent restart is a gap", agentRestart},
	{"lost batches are a gap", lostBatches},
	{"groups", groupsSum},
	{"a label called kind", labelKind},
	{"histograms", histogramWindows},
	{"steps", steps},
	{"gauges", gauges},
	{"label values", labelValues},
	{"sampled", sampledRows},
	{"bad questions", badQuestions},
}

func TestTSDB(t *testing.T) {
	for _, c := range conformance {
		t.Run(c.name, func(t *testing.T) { c.test(t, openStore(t, Options{})) })
	}
}

func put(t *testing.T, e engine, bs ...*metric.Batch) {
	t.Helper()
	for _, b := range bs {
		if err := e.Append(b); err != nil {
			t.Fatal(err)
		}
	}
}

// rows asks for the first 100 s.
func rows(t *testing.T, e engine, q Query) []Row {
	t.Helper()
	if q.From.IsZero() {
		q.From, q.To = t0, t0.Add(100*time.Second)
	}
	var out []Row
	for r, err := range e.Range(context.Background(), q) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// total is the increase of a counter over the first 100 s, by target.
func total(t *testing.T, e engine, q Query) map[string]float64 {
	t.Helper()
	q.Rate, q.Step = true, 10*time.Second
	sums := map[string]float64{}
	for _, r := range rows(t, e, q) {
		sums[r.Target] += r.Value * q.Step.Seconds()
	}
	for name, v := range sums {
		sums[name] = math.Round(v*1e6) / 1e6
	}
	return sums
}

func wantEqual(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func one(target *metric.Target, samples ...metric.Sample) metric.Group {
	return metric.Group{Target: target, Samples: samples}
}

func increasesAddUp(t *testing.T, e engine) {
	sent, _, _, _ := families()
	web, short := container("web"), container("job")
	short.Started = t0.Add(12500 * time.Millisecond)
	total0, sum := uint64(777), uint64(0) // web was there before us
	for seq := 1; seq <= 60; seq++ {
		v := uint64(seq*seq%17 + 1)
		total0, sum = total0+v, sum+v
		gs := []metric.Group{one(web, counter(sent, v, total0))}
		if seq == 13 {
			gs = append(gs, metric.Group{Target: short, Last: true, Samples: []metric.Sample{counter(sent, 1_000_003, 1_000_003)}})
		}
		put(t, e, batchAt(seq, gs...))
	}
	wantEqual(t, "increase", total(t, e, Query{Family: sent}), map[string]float64{"shop/web-0/web": float64(sum), "shop/job-0/job": 1_000_003})
}

func batchCountsOnce(t *testing.T, e engine) {
	sent, _, _, _ := families()
	for _, seq := range []int{1, 2, 2, 1, 3, 3, 2} {
		put(t, e, batchAt(seq, one(container("web"), counter(sent, 10, uint64(10*seq)))))
	}
	wantEqual(t, "increase", total(t, e, Query{Family: sent}), map[string]float64{"shop/web-0/web": 30})
}

func targetBeginsAgain(t *testing.T, e engine) {
	sent, _, _, _ := families()
	first, second := container("web"), container("web")
	second.Incarnation, second.Started = "boot-1b", t0.Add(2200*time.Millisecond)
	put(t, e, batchAt(1, one(first, counter(sent, 10, 10))), batchAt(2, one(first, counter(sent, 5, 15))),
		// More than the total before: without the incarnation it would look like 85.
		batchAt(3, one(second, counter(sent, 100, 100))), batchAt(4, one(second, counter(sent, 1, 101))))
	wantEqual(t, "increase", total(t, e, Query{Family: sent}), map[string]float64{"shop/web-0/web": 116})
}

func endsAndBegins(t *testing.T, e engine) {
	sent, _, _, _ := families()
	first, second := container("web"), container("web")
	second.Incarnation, second.Started = "boot-1b", t0.Add(1500*time.Millisecond)
	put(t, e, batchAt(1, one(first, counter(sent, 10, 10))),
		batchAt(2, one(second, counter(sent, 100, 100)), metric.Group{Target: first, Last: true, Samples: []metric.Sample{counter(sent, 7, 17)}}),
		batchAt(3, one(second, counter(sent, 1, 101))))
	wantEqual(t, "increase", total(t, e, Query{Family: sent}), map[string]float64{"shop/web-0/web": 118})
}

func targetRenamed(t *testing.T, e engine) {
	sent, _, _, _ := families()
	unnamed, named := container("web"), container("web")
	unnamed.Namespace, unnamed.Pod, unnamed.Container = "", "", ""
	unnamed.Kind = metric.Plain
	put(t, e, batchAt(1, one(unnamed, counter(sent, 10, 10))), batchAt(2, one(named, counter(sent, 20, 30))), batchAt(3, one(named, counter(sent, 5, 35))))
	wantEqual(t, "increase", total(t, e, Query{Family: sent}), map[string]float64{"/kubepods/web": 10, "shop/web-0/web": 25})
}

func agentRestart(t *testing.T, e engine) {
	sent, _, _, _ := families()
	put(t, e, batchAt(1, one(container("web"), counter(sent, 10, 10))), batchAt(2, one(container("web"), counter(sent, 10, 20))))
	// A new agent saw the target anew: what it sent meanwhile is in no window.
	b := batchAt(31, one(container("web"), counter(sent, 7, 7)))
	b.Epoch, b.Seq = t0.Add(30*time.Second).UnixNano(), 1
	put(t, e, b)
	wantEqual(t, "increase", total(t, e, Query{Family: sent}), map[string]float64{"shop/web-0/web": 27})
	gaps, err := e.Gaps(context.Background(), t0, t0.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	wantGaps(t, gaps, Gap{Node: "n1", Reason: "restart", From: t0.Add(2 * time.Second), To: t0.Add(30 * time.Second)})
}

func lostBatches(t *testing.T, e engine) {
	sent, _, _, _ := families()
	put(t, e, batchAt(1, one(container("web"), counter(sent, 10, 10))), batchAt(5, one(container("web"), counter(sent, 10, 50))))
	gaps, err := e.Gaps(context.Background(), t0, t0.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	wantGaps(t, gaps, Gap{Node: "n1", Reason: "lost", From: t0.Add(time.Second), To: t0.Add(4 * time.Second)})
	// Totals lose nothing even so.
	wantEqual(t, "increase", total(t, e, Query{Family: sent}), map[string]float64{"shop/web-0/web": 50})
}

func wantGaps(t *testing.T, got []Gap, want ...Gap) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
}

// labelKind: the family's label hides that of the target, which is told all the same.
func labelKind(t *testing.T, e engine) {
	switches := &metric.Family{Name: "context_switches", Kind: metric.Counter, Unit: metric.One, Labels: []metric.Label{{Name: "kind", Values: []string{"voluntary"}}}}
	sample := counter(switches, 3, 3)
	sample.Labels = [2]string{"voluntary"}
	rest := &metric.Target{ID: "r", Kind: metric.Remainder, Node: "n1", Cgroup: "/"}
	put(t, e, batchAt(1, one(rest, sample)))
	wantEqual(t, "of the remainder", total(t, e, Query{Family: switches}), map[string]float64{"remainder": 3})
}

func groupsSum(t *testing.T, e engine) {
	sent, _, _, _ := families()
	a, b, other := container("a"), container("b"), container("c")
	b.Pod, b.Workload, a.Pattern, b.Pattern = a.Pod, a.Workload, "redis", "redis"
	put(t, e, batchAt(1, one(a, counter(sent, 1, 1)), one(b, counter(sent, 2, 2)), one(other, counter(sent, 4, 4))))
	for by, want := range map[Grouping]map[string]float64{
		ByTarget: {"shop/a-0/a": 1, "shop/a-0/b": 2, "shop/c-0/c": 4}, ByPod: {"shop/a-0": 3, "shop/c-0": 4},
		ByWorkload: {"shop/Deployment/a": 3, "shop/Deployment/c": 4}, ByNamespace: {"shop": 7}, ByNode: {"n1": 7}, ByPattern: {"redis": 3, "none": 4},
	} {
		wantEqual(t, string(by), total(t, e, Query{Family: sent, By: by}), want)
	}
	for glob, want := range map[string]map[string]float64{
		"a": {"shop/a-0/a": 1}, "shop/*/*": {"shop/a-0/a": 1, "shop/a-0/b": 2, "shop/c-0/c": 4}, "/kubepods/**": {"shop/a-0/a": 1, "shop/a-0/b": 2, "shop/c-0/c": 4},
		"c-0": {"shop/c-0/c": 4}, string(b.ID): {"shop/a-0/b": 2}, "nothing": {},
	} {
		wantEqual(t, glob, total(t, e, Query{Family: sent, Target: glob}), want)
	}
}

func histogramWindows(t *testing.T, e engine) {
	_, _, runq, _ := families()
	h := metric.Hist{Sum: 3e6, First: 40, Counts: []uint64{1, 0, 2}}
	sum := metric.Hist{Sum: 10e6, First: 40, Counts: []uint64{3, 5, 2}}
	next := sum
	next.Add(&h)
	hist := func(h, sum metric.Hist) metric.Sample {
		return metric.Sample{Family: runq, Ratio: 1, Hist: &h, Sum: &sum}
	}
	put(t, e, batchAt(1, one(container("a"), hist(h, sum)), one(container("b"), hist(h, h))), batchAt(2, one(container("a"), hist(h, next))))
	got := rows(t, e, Query{Family: runq, By: ByNode})
	wantRow := func(r Row, seq int, n uint64) {
		t.Helper()
		all := metric.Hist{Sum: h.Sum * n, First: h.First, Counts: []uint64{n, 0, 2 * n}}
		want := Row{
			Time: t0.Add(time.Duration(seq) * time.Second), Target: "n1", Count: float64(3 * n), Sum: float64(n) * 0.003,
			P50: all.Quantile(runq.Unit, .5), P90: all.Quantile(runq.Unit, .9), P99: all.Quantile(runq.Unit, .99),
		}
		wantEqual(t, "row", r, want)
	}
	if len(got) != 2 {
		t.Fatalf("%d rows: %v", len(got), got)
	}
	wantRow(got[0], 1, 2)
	wantRow(got[1], 2, 1)
}

func steps(t *testing.T, e engine) {
	sent, _, _, _ := families()
	for seq := 1; seq <= 10; seq++ {
		put(t, e, batchAt(seq, one(container("a"), counter(sent, 10, uint64(10*seq)))))
	}
	at := func(s int) time.Time { return t0.Add(time.Duration(s) * time.Second) }
	row := func(s int, v float64) Row {
		return Row{Time: at(s), Target: "shop/a-0/a", Namespace: "shop", Pod: "a-0", Workload: "Deployment/a", Value: v}
	}
	q := Query{Family: sent, From: at(0), To: at(10), Step: 5 * time.Second}
	wantEqual(t, "totals", rows(t, e, q), []Row{row(5, 50), row(10, 100)})
	q.Rate = true
	wantEqual(t, "rates", rows(t, e, q), []Row{row(5, 10), row(10, 10)})
	q.Step, q.From = 0, at(7)
	wantEqual(t, "rates of windows", rows(t, e, q), []Row{row(8, 10), row(9, 10), row(10, 10)})
}

func gauges(t *testing.T, e engine) {
	_, used, _, _ := families()
	gauge := func(v, m uint64) metric.Sample { return metric.Sample{Family: used, Value: v, Max: m, Ratio: 1} }
	put(t, e, batchAt(1, one(container("a"), gauge(10, 10)), one(container("b"), gauge(1, 1))), batchAt(2, one(container("a"), gauge(20, 30))))
	got := rows(t, e, Query{Family: used, By: ByNode})
	wantEqual(t, "gauges", got, []Row{{Time: t0.Add(time.Second), Target: "n1", Value: 11}, {Time: t0.Add(2 * time.Second), Target: "n1", Value: 20}})
}

func labelValues(t *testing.T, e engine) {
	_, _, _, disk := families()
	read := func(device string, v uint64) metric.Sample {
		return metric.Sample{Family: disk, Labels: [2]string{device}, Value: v, Total: v, Ratio: 1}
	}
	put(t, e, batchAt(1, one(container("a"), read("sda", 1), read("sdb", 2))))
	got := rows(t, e, Query{Family: disk, Step: time.Second})
	for i := range got {
		got[i].Time = time.Time{}
	}
	wantEqual(t, "rows", got, []Row{
		{Target: "shop/a-0/a", Namespace: "shop", Pod: "a-0", Workload: "Deployment/a", Labels: [2]string{"sda"}, Value: 1},
		{Target: "shop/a-0/a", Namespace: "shop", Pod: "a-0", Workload: "Deployment/a", Labels: [2]string{"sdb"}, Value: 2},
	})
	if got[0].Label() != "sda" {
		t.Errorf("label %q", got[0].Label())
	}
}

func badQuestions(t *testing.T, e engine) {
	sent, used, _, _ := families()
	from, to := t0, t0.Add(time.Minute)
	for want, q := range map[string]Query{
		"it is a gauge":                {Family: used, Rate: true, From: from, To: to},
		`cannot group by "colour"`:     {Family: sent, By: "colour", From: from, To: to},
		"the time asked for is empty":  {Family: sent, From: to, To: from},
		"step -1s is negative":         {Family: sent, Step: -time.Second, From: from, To: to},
		`pattern "[": syntax error in`: {Family: sent, Target: "[", From: from, To: to},
	} {
		var err error
		for _, e := range e.Range(context.Background(), q) {
			err = e
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", q, err, want)
		}
	}
}
