package recording

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
)

// An axis is the rows of a recording: cells of one width, without the long stretches
// in which nothing was recorded.
type axis struct {
	start, step float64 // seconds; cell i is around start + i*step
	segments    []segment
	rows        int
	markStep    float64 // what marks come in
}

// A segment is rows without a long gap.
type segment struct {
	cell int64 // of its first row
	n    int   // rows
	row  int   // its first
}

var errOneRow = errors.New("only one time has values; want many rows")

// newAxis lays rows where columns have samples.
func newAxis(columns []*column, o Options, limit int) (*axis, error) {
	unique := map[*float64][]float64{}
	var steps []float64
	for _, c := range columns {
		if len(c.times) == 0 {
			continue
		}
		if unique[&c.times[0]] == nil {
			unique[&c.times[0]] = c.times
		}
		if s := medianStep(c.times); !math.IsNaN(s) {
			steps = append(steps, s)
		}
	}
	x := &axis{start: math.Inf(1), step: o.Step.Seconds()}
	if x.step == 0 && len(steps) == 0 {
		return nil, errOneRow
	}
	if x.step == 0 {
		slices.Sort(steps)
		x.step = plain(steps[(len(steps)-1)/2])
	}
	for _, times := range unique {
		x.start = min(x.start, times[0])
	}
	var cells []int64
	for _, times := range unique {
		for _, t := range times {
			if n := len(cells); n == 0 || cells[n-1] != x.cellOf(t) {
				cells = append(cells, x.cellOf(t))
			}
		}
		slices.Sort(cells)
		cells = slices.Compact(cells)
	}
	gap := o.Split.gap(x.step)
	for i, cell := range cells {
		last := len(x.segments) - 1
		if i == 0 || cell-cells[i-1] > gap {
			x.segments = append(x.segments, segment{cell: cell, n: 1})
			continue
		}
		x.segments[last].n = int(cell-x.segments[last].cell) + 1
	}
	for i := range x.segments {
		x.segments[i].row = x.rows
		x.rows += x.segments[i].n
	}
	if x.rows > limit {
		return nil, fmt.Errorf("%d rows of %g s, at most %d are read; take less time or a longer step", x.rows, x.step, limit)
	}
	return x, nil
}

// plain takes the noise of a clock off a step: 0.9993 s is 1 s.
func plain(step float64) float64 {
	digits := math.Pow(10, math.Floor(math.Log10(step))-1)
	if rounded := math.Round(step/digits) * digits; math.Abs(rounded-step) < 0.01*step {
		return rounded
	}
	return step
}

func (x *axis) cellOf(t float64) int64 { return int64(math.Floor((t-x.start)/x.step + 0.5 + 1e-9)) }

// rowFrom is the first row at or after a time; rows when there is none.
func (x *axis) rowFrom(t float64) int {
	cell := x.cellOf(t)
	i := sort.Search(len(x.segments), func(i int) bool { s := x.segments[i]; return s.cell+int64(s.n) > cell })
	if i == len(x.segments) {
		return x.rows
	}
	s := x.segments[i]
	return s.row + int(max(0, cell-s.cell))
}

// hold is the rows for which a mark speaks: up to the next, but at most two of the
// steps that marks come in.
func (x *axis) hold(marks []mark, i int) (from, to int) {
	end := marks[i].time + 2*max(x.step, x.markStep)
	if i+1 < len(marks) {
		end = min(end, marks[i+1].time)
	} else {
		end = min(end, marks[i].time+max(x.step, x.markStep))
	}
	from = x.rowFrom(marks[i].time)
	return from, max(x.rowFrom(end), from)
}

// times are those of all rows.
func (x *axis) times() []float64 {
	out := make([]float64, 0, x.rows)
	for _, s := range x.segments {
		for i := range s.n {
			out = append(out, x.start+float64(s.cell+int64(i))*x.step)
		}
	}
	return out
}

// medianStep is the median distance of rising times, NaN of fewer than two.
func medianStep(times []float64) float64 {
	if len(times) < 2 {
		return math.NaN()
	}
	d := make([]float64, len(times)-1)
	for i := range d {
		d[i] = times[i+1] - times[i]
	}
	slices.SortFunc(d, cmp.Compare[float64])
	return d[len(d)/2]
}
