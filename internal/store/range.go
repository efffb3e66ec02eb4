package store

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
)

// A Query asks for one family over time.
type Query struct {
	Family   *metric.Family
	Target   string        // glob on a target's name, container, pod, cgroup or id; "" for all
	From, To time.Time     // From excluded, To included
	Step     time.Duration // one row per step, at UTC multiples of it; 0: one per stored sample
	By       Grouping      // "": ByTarget
	Rate     bool          // counters and histograms: per second
}

// A Grouping says what the rows of a Query, or of Top, are about; what belongs together is
// summed.
type Grouping string

// The groupings.
const (
	ByTarget    Grouping = "target"
	ByPod       Grouping = "pod"
	ByWorkload  Grouping = "workload"
	ByNamespace Grouping = "namespace"
	ByNode      Grouping = "node"
	ByPattern   Grouping = "pattern"
)

// Groupings lists them all, in the order in which the live table goes through them.
var Groupings = []Grouping{ByTarget, ByPod, ByWorkload, ByNamespace, ByNode, ByPattern}

// A Row is one value, in base units.
type Row struct {
	Time   time.Time
	Target string    // name of the target, pod, workload, node or pattern
	Labels [2]string // values of the family's labels

	Namespace, Pod, Workload, Pattern string // of the target, ByTarget only

	Value float64 // counter: total, or with Rate increase per second; gauge: last value

	// Histograms: what was observed since the row before, with Rate per second.
	// Quantiles are NaN when that was nothing.
	Count, Sum, P50, P90, P99 float64

	Ratio float64 // share of events that was looked at since the row before; 0: all of them
	// Error is the standard error of what was counted since the row before, with Rate per
	// second: of Count, or of Value's increase where that counts events. 0 unless sampled.
	Error float64
}

// Label is the row's label values in one word: "read", "read,sda"; ",sda" where the first
// is summed over; "".
func (r *Row) Label() string {
	if r.Labels[1] == "" {
		return r.Labels[0]
	}
	return r.Labels[0] + "," + r.Labels[1]
}

// lookBack is how far before From the sample is looked for that the first
// increase starts from, and the names of targets.
const lookBack = 5 * time.Minute

// Range yields the rows of q, ordered by target, labels and time. The increase
// of a counter over a range is the exact sum of its rows' Value times their
// length: nothing is extrapolated, and a total that begins again counts from 0.
// It ends with an error when there are more than MaxRows.
func (r *Reader) Range(ctx context.Context, q Query) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		if err := r.rangeRows(ctx, q, yield); err != nil {
			yield(Row{}, err)
		}
	}
}

func (r *Reader) rangeRows(ctx context.Context, q Query, yield func(Row, error) bool) error {
	if err := q.check(); err != nil {
		return err
	}
	if q.Step > 0 {
		q.From = q.From.Truncate(q.Step)
	}
	data, err := r.data.Querier(q.From.Add(-lookBack).UnixMilli(), q.To.UnixMilli())
	if err != nil {
		return fmt.Errorf("query %s: %w", q.Family.Name, err)
	}
	groups, err := collect(ctx, data, q)
	if err != nil {
		return fmt.Errorf("query %s: %w", q.Family.Name, err)
	}
	shares, err := readRatios(ctx, data, q.Family)
	if err != nil {
		return fmt.Errorf("query %s: ratios: %w", q.Family.Name, err)
	}
	rows := 0
	for _, key := range slices.SortedFunc(maps.Keys(groups), rowKey.compare) {
		windows := map[int64]*window{}
		group := groups[key]
		for _, s := range group.series {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("query %s: %w", q.Family.Name, err)
			}
			if err := fold(q, s, shares[s.Labels().Get("target")], windows); err != nil {
				return fmt.Errorf("query %s: %w", q.Family.Name, err)
			}
		}
		for _, t := range slices.Sorted(maps.Keys(windows)) {
			if rows++; rows > r.maxRows {
				return fmt.Errorf("query %s: more than %d rows; ask for less time (--since), fewer targets (--target), or a longer step (--step)", q.Family.Name, r.maxRows)
			}
			row := windows[t].row(q, key, t)
			if t := group.of; t != nil {
				row.Namespace, row.Pod, row.Workload, row.Pattern = t.Namespace, t.Pod, t.Workload, t.Pattern
			}
			if !yield(row, nil) {
				return data.Close()
			}
		}
	}
	return data.Close()
}

func (q *Query) check() error {
	switch {
	case q.Rate && q.Family.Kind == metric.Gauge:
		return fmt.Errorf("query %s: it is a gauge and has no rate; leave out --rate", q.Family.Name)
	case q.By != "" && !slices.Contains(Groupings, q.By):
		return fmt.Errorf("query %s: cannot group by %q; it is one of %v", q.Family.Name, q.By, Groupings)
	case !q.To.After(q.From):
		return fmt.Errorf("query %s: the time asked for is empty: %s to %s", q.Family.Name, q.From.Format(time.RFC3339), q.To.Format(time.RFC3339))
	case q.Step < 0:
		return fmt.Errorf("query %s: step %s is negative", q.Family.Name, q.Step)
	}
	return policy.CheckGlob(q.Target)
}

type rowKey struct {
	target string
	labels [2]string
}

func (k rowKey) compare(o rowKey) int {
	if c := strings.Compare(k.target, o.target); c != 0 {
		return c
	}
	return slices.Compare(k.labels[:], o.labels[:])
}

// A rowGroup is the series that make one row.
type rowGroup struct {
	series []storage.Series
	of     *metric.Target // ByTarget only
}

// collect finds the series of q and puts those together that make one row.
func collect(ctx context.Context, data storage.Querier, q Query) (map[rowKey]*rowGroup, error) {
	infos := map[string]labels.Labels{}
	set := data.Select(ctx, false, nil, labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, InfoName))
	for set.Next() {
		ls := set.At().Labels()
		infos[ls.Get("target")] = ls
	}
	if err := set.Err(); err != nil {
		return nil, err
	}
	groups := map[rowKey]*rowGroup{}
	set = data.Select(ctx, true, nil, labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, q.Family.PromName()))
	for set.Next() {
		s := set.At()
		t := targetOf(s.Labels(), infos[s.Labels().Get("target")])
		if !MatchTarget(q.Target, t) {
			continue
		}
		key := rowKey{target: Group(t, q.By)}
		for i := range q.Family.Labels {
			key.labels[i] = s.Labels().Get(q.Family.Labels[i].Name)
		}
		if groups[key] == nil {
			groups[key] = &rowGroup{}
			if q.By == "" || q.By == ByTarget {
				groups[key].of = t
			}
		}
		groups[key].series = append(groups[key].series, s)
	}
	return groups, set.Err()
}
