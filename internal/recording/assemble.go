package recording

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"viperprobe.dev/viperprobe/internal/analysis"
)

// assemble puts what tables say on one grid.
func assemble(tables []*table, o Options) (*Recording, error) {
	limits := o.Limits.withDefaults()
	source := tables[0].source
	if err := place(tables, o.Split); err != nil {
		return nil, err
	}
	columns, err := unite(tables)
	if err != nil {
		return nil, err
	}
	n := newNamer(o.Families)
	columns = slices.DeleteFunc(columns, func(c *column) bool { return n.self(c.series.Family) })
	if len(columns) == 0 {
		return nil, &Fault{Source: source, What: "it has no series"}
	}
	x, err := newAxis(columns, o, limits.Rows)
	if err != nil {
		return nil, &Fault{Source: source, What: err.Error()}
	}
	if n := int64(x.rows) * int64(len(columns)); n > limits.Values {
		return nil, &Fault{Source: source, What: fmt.Sprintf("%d series of %d rows are %d values, at most %d are read; take fewer series, less time or a longer step",
			len(columns), x.rows, n, limits.Values)}
	}
	r := &Recording{Recording: analysis.Recording{Step: x.step}, Times: x.times()}
	for _, c := range columns {
		s := c.series
		if s.Values, err = x.lay(c); err != nil {
			return nil, &Fault{source, 0, s.Name, err.Error()}
		}
		r.Series = append(r.Series, s)
	}
	if err := r.mark(tables, x, o); err != nil {
		return nil, err
	}
	return r, nil
}

// place moves the times of tables after each other where each is a run of its own.
func place(tables []*table, s Split) error {
	end := math.Inf(-1)
	for _, t := range tables {
		if s.by != "file" {
			if t.restarted && len(tables) > 1 {
				return &Fault{Source: t.source, What: "its times begin again with each run, so the other files cannot be laid beside it; want times of a clock, or --split file"}
			}
			continue
		}
		name := strings.TrimSuffix(filepath.Base(t.source), filepath.Ext(t.source))
		if t.first > end { // times of a clock, in the order of the files
			end = t.last
		} else {
			t.shift(end + pause - t.first)
			end = t.last
		}
		t.hasRun = true
		if t.marks == nil {
			t.marks = []mark{{time: t.first, slo: -1}, {time: t.last, slo: -1}}
		}
		for i := range t.marks {
			t.marks[i].run = name
		}
	}
	return nil
}

func (t *table) shift(by float64) {
	moved := map[*float64][]float64{}
	for _, c := range t.columns {
		if len(c.times) == 0 {
			continue
		}
		times := moved[&c.times[0]]
		if times == nil {
			for _, at := range c.times {
				times = append(times, at+by)
			}
			moved[&c.times[0]] = times
		}
		c.times = times
	}
	for i := range t.marks {
		t.marks[i].time += by
	}
	t.first, t.last = t.first+by, t.last+by
}

// unite puts columns of one name into one, in the order in which they came.
func unite(tables []*table) ([]*column, error) {
	var out []*column
	at := map[string]int{}
	sources := map[string]string{}
	for _, t := range tables {
		for _, c := range t.columns {
			i, known := at[c.series.Name]
			if !known {
				at[c.series.Name], sources[c.series.Name] = len(out), t.source
				out = append(out, c)
				continue
			}
			whole, err := merge(out[i], c)
			if err != nil {
				return nil, &Fault{t.source, 0, c.series.Name, fmt.Sprintf("%v, in %s; with --split file each file is a run of its own", err, sources[c.series.Name])}
			}
			out[i] = whole
		}
	}
	return out, nil
}

// merge joins two columns in time.
func merge(a, b *column) (*column, error) {
	if len(a.times) > 0 && len(b.times) > 0 && a.times[0] > b.times[0] {
		a, b = b, a
	}
	out := &column{series: a.series, counter: a.counter, times: slices.Concat(a.times, b.times), values: slices.Concat(a.values, b.values)}
	if len(a.times) == 0 || len(b.times) == 0 || a.times[len(a.times)-1] < b.times[0] {
		return out, nil
	}
	sort.Stable(byTime{out})
	for i := 1; i < len(out.times); i++ {
		if out.times[i] == out.times[i-1] {
			return nil, fmt.Errorf("it has a value at %s already", clockTime(out.times[i]))
		}
	}
	return out, nil
}

type byTime struct{ *column }

func (c byTime) Len() int           { return len(c.times) }
func (c byTime) Less(i, j int) bool { return c.times[i] < c.times[j] }
func (c byTime) Swap(i, j int) {
	c.times[i], c.times[j] = c.times[j], c.times[i]
	c.values[i], c.values[j] = c.values[j], c.values[i]
}

// leastCoverage is the share of rows with samples from which gaps are filled.
const leastCoverage = 0.9

// lay puts a column on the axis.
func (x *axis) lay(c *column) ([]float64, error) {
	values := c.values
	if c.counter {
		values = x.rates(c)
	}
	out, covered, err := x.resample(c.times, values, 0)
	if err != nil || covered >= leastCoverage {
		return out, err
	}
	out, _, err = x.resample(c.times, values, -1)
	return out, err
}

func (x *axis) resample(times, values []float64, gap int) (out []float64, covered float64, err error) {
	out = make([]float64, 0, x.rows)
	for _, s := range x.segments {
		lo := sort.Search(len(times), func(i int) bool { return x.cellOf(times[i]) >= s.cell })
		hi := sort.Search(len(times), func(i int) bool { return x.cellOf(times[i]) >= s.cell+int64(s.n) })
		grid := analysis.Grid{Start: x.start + (float64(s.cell)-0.5)*x.step, Step: x.step, N: s.n}
		part, share, err := analysis.Resample(times[lo:hi], values[lo:hi], grid, gap)
		if err != nil {
			return nil, 0, err
		}
		out = append(out, part...)
		covered += share * float64(s.n) / float64(x.rows)
	}
	return out, covered, nil
}

// rates are a counter's increases per second since the sample before. What a restart
// lost, or a gap hides, is unknown.
func (x *axis) rates(c *column) []float64 {
	out := make([]float64, len(c.values))
	last := -1
	for i, v := range c.values {
		out[i] = math.NaN()
		if math.IsNaN(v) {
			continue
		}
		if last >= 0 && v >= c.values[last] && c.times[i]-c.times[last] <= gapRows*x.step {
			out[i] = (v - c.values[last]) / (c.times[i] - c.times[last])
		}
		last = i
	}
	return out
}

// mark lays runs and the SLO on the rows.
func (r *Recording) mark(tables []*table, x *axis, o Options) (err error) {
	var runs, slos []mark
	var runSource, sloSource string
	for _, t := range tables {
		if t.hasRun {
			runs, runSource = append(runs, t.marks...), t.source
		}
		if t.hasSLO {
			slos, sloSource = append(slos, t.marks...), t.source
		}
	}
	if len(runs) > 0 && (o.Split.by == "" || o.Split.by == "file") {
		r.Runs, err = runRows(runSource, x.sorted(runs), x)
	} else {
		r.Runs = o.Split.sections(x)
	}
	if err != nil {
		return err
	}
	if len(o.SLO) > 0 {
		return r.judge(o.SLO)
	}
	if len(slos) == 0 {
		return nil
	}
	var known []bool
	if r.SLO, known, err = sloRows(sloSource, x.sorted(slos), x); err == nil {
		r.noteSilent(known, "of slo")
	}
	return err
}

// sorted sorts marks by time and notes the step in which they come.
func (x *axis) sorted(marks []mark) []mark {
	slices.SortStableFunc(marks, func(a, b mark) int {
		switch {
		case a.time < b.time:
			return -1
		case a.time > b.time:
			return 1
		}
		return 0
	})
	times := make([]float64, len(marks))
	for i, m := range marks {
		times[i] = m.time
	}
	x.markStep = 0
	if s := medianStep(times); s > 0 {
		x.markStep = s
	}
	return marks
}
