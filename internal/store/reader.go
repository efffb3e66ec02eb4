package store

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
)

// QueryOptions bounds what one query may cost.
type QueryOptions struct {
	Timeout    time.Duration // 0: 30 s
	MaxSamples int           // in memory at once; 0: 10 million, some 160 MB
	MaxRows    int           // that Range yields; 0: 5 million
}

// A Reader answers questions about stored samples. It is safe for concurrent use.
type Reader struct {
	data    storage.Queryable
	engine  *promql.Engine
	parser  parser.Parser
	maxRows int
}

func newReader(data storage.Queryable, o QueryOptions, log *slog.Logger) Reader {
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.MaxSamples == 0 {
		o.MaxSamples = 10_000_000
	}
	if o.MaxRows == 0 {
		o.MaxRows = 5_000_000
	}
	p := parser.NewParser(parser.Options{EnableExtendedRangeSelectors: true})
	return Reader{data: data, parser: p, maxRows: o.MaxRows, engine: promql.NewEngine(promql.EngineOpts{
		Logger: quiet(log), Timeout: o.Timeout, MaxSamples: o.MaxSamples, Parser: p,
		EnableAtModifier: true, EnableNegativeOffset: true,
		NoStepSubqueryIntervalFn: func(int64) int64 { return subqueryStep.Milliseconds() },
	})}
}

// Instant evaluates PromQL at one time. The result and its memory belong to the
// caller. Besides PromQL of the day, `anchored` and `smoothed` range selectors work:
// increase(x[5m] anchored) is exact where increase(x[5m]) extrapolates.
func (r *Reader) Instant(ctx context.Context, query string, at time.Time) (*promql.Result, error) {
	if err := r.checkSubqueries(query, 0); err != nil {
		return nil, err
	}
	q, err := r.engine.NewInstantQuery(ctx, r.data, nil, query, at)
	if err != nil {
		return nil, err
	}
	return q.Exec(ctx), nil // not closed: that would hand the result's memory to the next query
}

// Steps evaluates PromQL at from, from+step, ... to.
func (r *Reader) Steps(ctx context.Context, query string, from, to time.Time, step time.Duration) (*promql.Result, error) {
	if err := r.checkSubqueries(query, to.Sub(from)); err != nil {
		return nil, err
	}
	q, err := r.engine.NewRangeQuery(ctx, r.data, nil, query, from, to, step)
	if err != nil {
		return nil, err
	}
	return q.Exec(ctx), nil // as above
}

const (
	subqueryStep     = time.Minute // of subqueries that give none
	maxSubquerySteps = 100_000
)

// checkSubqueries bounds the steps of subqueries in a query over span. The engine
// makes room for all of them before its limit of samples applies: some 60 letters
// would cost all memory there is.
func (r *Reader) checkSubqueries(query string, span time.Duration) error {
	expr, err := r.parser.ParseExpr(query)
	if err != nil {
		return err
	}
	parser.Inspect(expr, func(n parser.Node, path []parser.Node) error {
		sub, ok := n.(*parser.SubqueryExpr)
		if !ok {
			return nil
		}
		whole, step := float64(span)+float64(sub.Range), sub.Step
		for _, outer := range path {
			if o, ok := outer.(*parser.SubqueryExpr); ok {
				whole += float64(o.Range)
			}
		}
		if step == 0 {
			step = subqueryStep
		}
		if steps := whole / float64(step); steps > maxSubquerySteps {
			err = fmt.Errorf("subquery [%s:%s] has %.0f steps, %d are allowed; use a longer step", sub.Range, step, steps, maxSubquerySteps)
		}
		return nil
	})
	return err
}

// Selectors parses PromQL series selectors, as the series API takes them.
func (r *Reader) Selectors(matches []string) ([][]*labels.Matcher, error) {
	return r.parser.ParseMetricSelectors(matches)
}

// Series lists the label sets of the series that match any of the selectors and
// have samples between from and to, sorted; at most limit of them unless it is 0.
func (r *Reader) Series(ctx context.Context, matches [][]*labels.Matcher, from, to time.Time, limit int) ([]labels.Labels, error) {
	q, err := r.data.Querier(from.UnixMilli(), to.UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("read series: %w", err)
	}
	hints := &storage.SelectHints{Start: from.UnixMilli(), End: to.UnixMilli(), Func: "series", Limit: limit}
	sets := make([]storage.SeriesSet, 0, len(matches))
	for _, ms := range matches {
		sets = append(sets, q.Select(ctx, true, hints, ms...))
	}
	set := storage.NewMergeSeriesSet(sets, 0, storage.ChainedSeriesMerge)
	var found []labels.Labels
	for set.Next() && (limit == 0 || len(found) < limit) {
		found = append(found, set.At().Labels())
	}
	if err := set.Err(); err != nil {
		return nil, fmt.Errorf("read series: %w", err)
	}
	return found, q.Close()
}

// LabelNames lists the names of the labels of what matches; of everything when
// matches is empty.
func (r *Reader) LabelNames(ctx context.Context, matches [][]*labels.Matcher, from, to time.Time) ([]string, error) {
	return r.strings(ctx, matches, from, to, func(q storage.Querier, ms []*labels.Matcher) ([]string, error) {
		names, _, err := q.LabelNames(ctx, nil, ms...)
		return names, err
	})
}

// LabelValues lists the values of one label of what matches.
func (r *Reader) LabelValues(ctx context.Context, name string, matches [][]*labels.Matcher, from, to time.Time) ([]string, error) {
	return r.strings(ctx, matches, from, to, func(q storage.Querier, ms []*labels.Matcher) ([]string, error) {
		values, _, err := q.LabelValues(ctx, name, nil, ms...)
		return values, err
	})
}

func (r *Reader) strings(ctx context.Context, matches [][]*labels.Matcher, from, to time.Time,
	get func(storage.Querier, []*labels.Matcher) ([]string, error)) ([]string, error) {
	q, err := r.data.Querier(from.UnixMilli(), to.UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("read labels: %w", err)
	}
	if len(matches) == 0 {
		matches = [][]*labels.Matcher{nil}
	}
	var lists [][]string
	for _, ms := range matches {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("read labels: %w", err)
		}
		found, err := get(q, ms)
		if err != nil {
			return nil, fmt.Errorf("read labels: %w", err)
		}
		lists = append(lists, found)
	}
	return union(lists), q.Close()
}
