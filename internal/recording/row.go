package recording

import (
	"context"
	"fmt"
	"iter"
	"math"
	"strings"
	"time"

	"viperprobe.dev/viperprobe/internal/analysis"
	"viperprobe.dev/viperprobe/internal/metric"
)

// A Row is one stored value of one family of one target, as a store has it and as the
// files of export say it: in base units, times in milliseconds.
type Row struct {
	Time              time.Time
	Family            string
	Kind              metric.Kind
	PerSecond         bool // Value of a counter, Count and Sum
	Target, Label     string
	Workload, Pattern string // of the target, where known

	Value                     float64 // counters: total, or per second; gauges. NaN for histograms
	Count, Sum, P50, P90, P99 float64 // histograms: since the row before, or per second. NaN for others
}

// FromRows makes a recording of rows, which come in the order of time for each family
// of each target. source names them in Faults.
func FromRows(ctx context.Context, source string, rows iter.Seq2[Row, error], o Options) (*Recording, error) {
	p := newPivot(source, &budget{Limits: o.Limits.withDefaults()}, newNamer(o.Families))
	for r, err := range rows {
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", source, err)
		}
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("read %s: %w", source, err)
		}
		if err := p.add(0, &r); err != nil {
			return nil, err
		}
	}
	t, err := p.finish()
	if err != nil {
		return nil, err
	}
	return assemble([]*table{t}, o)
}

// A pivot turns rows into series: a counter gives its rate, a gauge its value, a
// histogram its rate and three quantiles.
type pivot struct {
	table
	budget *budget
	namer  namer
	series map[rowKey]*pivoted
	order  []*pivoted
}

type rowKey struct{ family, target, label string }

type pivoted struct {
	times   []float64
	columns []*column
}

func newPivot(source string, b *budget, n namer) *pivot {
	return &pivot{table: table{source: source}, budget: b, namer: n, series: map[rowKey]*pivoted{}}
}

func (p *pivot) add(line int, r *Row) error {
	key := rowKey{r.Family, r.Target, r.Label}
	s := p.series[key]
	if s == nil {
		s = p.begin(r)
		if err := p.budget.addSeries(p.source, len(s.columns)); err != nil {
			return err
		}
		p.series[key], p.order = s, append(p.order, s)
	}
	at := float64(r.Time.UnixMilli()) / 1000
	since := math.NaN()
	if n := len(s.times); n > 0 {
		if since = at - s.times[n-1]; since <= 0 {
			return &Fault{p.source, line, timeColumn, fmt.Sprintf("%s of %s is not later than the row of it before; sort the rows by time, and export a span once", r.Family, r.Target)}
		}
	}
	if err := p.budget.addValues(p.source, line, int64(len(s.columns))); err != nil {
		return err
	}
	s.times = append(s.times, at)
	if len(s.columns) == 1 {
		s.columns[0].values = append(s.columns[0].values, r.Value)
	} else {
		if !r.PerSecond {
			r.Count /= since
		}
		for i, v := range []float64{r.Count, r.P50, r.P90, r.P99} {
			s.columns[i].values = append(s.columns[i].values, v)
		}
	}
	p.span(at)
	return nil
}

// begin names the series of a row.
func (p *pivot) begin(r *Row) *pivoted {
	kind := r.Kind
	if f := p.namer.own[r.Family]; kind == "" && f != nil {
		kind = f.Kind
	}
	if kind == "" && !math.IsNaN(r.Count) {
		kind = metric.Histogram
	}
	words := []string{""}
	switch kind {
	case metric.Counter:
		words = []string{"rate"}
	case metric.Histogram:
		words = []string{"rate", "p50", "p90", "p99"}
	}
	name := r.Target + "/" + r.Family
	if r.Label != "" {
		name += "(" + r.Label + ")"
	}
	s := &pivoted{}
	for _, word := range words {
		c := &column{counter: kind == metric.Counter && !r.PerSecond, series: analysis.Series{
			Name: strings.TrimSuffix(name+"."+word, "."), Family: p.namer.family(r.Family), Statistic: word, Label: r.Label,
			Container: r.Target, Service: service(r), Pattern: r.Pattern,
		}}
		s.columns = append(s.columns, c)
	}
	return s
}

// service is a row's workload in its namespace, else what the target's name tells.
func service(r *Row) string {
	parts := strings.Split(r.Target, "/")
	if r.Workload == "" || strings.HasPrefix(r.Target, "/") {
		return serviceOf(r.Target)
	}
	workload := r.Workload[strings.LastIndexByte(r.Workload, '/')+1:]
	if len(parts) >= 3 {
		return parts[0] + "/" + workload
	}
	return workload
}

func (p *pivot) finish() (*table, error) {
	if len(p.order) == 0 {
		return nil, &Fault{Source: p.source, What: "it has no rows"}
	}
	var last []float64
	for _, s := range p.order {
		if equalTimes(last, s.times) {
			s.times = last // one copy of what most of them share
		}
		last = s.times
		for _, c := range s.columns {
			c.times = s.times
			p.table.columns = append(p.table.columns, c)
		}
	}
	return &p.table, nil
}

func equalTimes(a, b []float64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
