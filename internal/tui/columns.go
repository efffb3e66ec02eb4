package tui

import (
	"strings"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/store"
)

// A column is one number of each row.
type column struct {
	family *metric.Family
	stat   string // "p50", "p90", "p99" of histograms; "" otherwise
}

func columnsOf(families []*metric.Family) []column {
	var cs []column
	for _, f := range families {
		if f.Kind != metric.Histogram {
			cs = append(cs, column{family: f})
			continue
		}
		for _, stat := range []string{"p50", "p90", "p99"} {
			cs = append(cs, column{f, stat})
		}
	}
	return cs
}

// value is the column's number in row r; ok is false when there is none.
func (c column) value(r *store.TopRow) (x float64, ok bool) {
	v, ok := r.Values[c.family.Name]
	if !ok {
		return 0, false
	}
	x = v.Stat(c.stat)
	return x, x == x
}

// title is the family's name on two lines, without the unit that the third says.
func title(f *metric.Family) (above, below string) {
	words := strings.Split(strings.TrimSuffix(f.Name, "_bytes"), "_")
	if len(words) == 1 {
		return "", words[0]
	}
	best := 1 << 30
	for i := 1; i < len(words); i++ {
		a, b := strings.Join(words[:i], " "), strings.Join(words[i:], " ")
		if n := max(len(a), len(b)); n < best {
			above, below, best = a, b, n
		}
	}
	return above, below
}

// unit is the third line of a column's head.
func (c column) unit() string {
	f := c.family
	switch {
	case f.Kind == metric.Histogram:
		return c.stat
	case f.Kind == metric.Counter && f.Unit == metric.Seconds:
		return "%" // seconds per second
	case f.Kind == metric.Counter && f.Unit == metric.Bytes:
		return "B/s"
	case f.Kind == metric.Counter:
		return "/s"
	case f.Unit == metric.Bytes:
		return "B"
	case f.Unit == metric.Seconds:
		return "s"
	}
	return ""
}

// numberWidth holds every formatted number ("1023Mi", "99.9µs", "-").
const numberWidth = 6

// A span is the adjacent columns of one family, under one title.
type span struct {
	columns      []int // indices into the model's columns
	above, below string
	each         int // width of each column, without the gap ahead of it
}

// gap is the space ahead of a column.
const gap = 2

func (s span) width() int { return len(s.columns) * (s.each + gap) }

// spans groups columns [from:] by family and stops before they are wider than
// room; the first is always there.
func spans(cs []column, from, room int) []span {
	var out []span
	for i := from; i < len(cs); {
		s := span{each: numberWidth}
		s.above, s.below = title(cs[i].family)
		for f := cs[i].family; i < len(cs) && cs[i].family == f; i++ {
			s.columns = append(s.columns, i)
		}
		if n := max(len(s.above), len(s.below)); n+gap > s.width() {
			s.each = (n+gap+len(s.columns)-1)/len(s.columns) - gap
		}
		if room -= s.width(); room < 0 && len(out) > 0 {
			break
		}
		out = append(out, s)
	}
	return out
}
