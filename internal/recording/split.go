package recording

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"viperprobe.dev/viperprobe/internal/analysis"
)

// A Split says where one run ends and the next begins.
type Split struct {
	by     string        // "": by column run, else by gaps; none, file, gap, length
	length time.Duration // of gaps, 0: ten rows; or of runs
}

// ParseSplit reads none; file (each file of a folder is a run, whatever its times);
// gap or gap=30s (runs end where that long nothing was recorded); or the length of
// runs, such as 10m.
func ParseSplit(text string) (Split, error) {
	word, rest, given := strings.Cut(text, "=")
	switch {
	case text == "":
		return Split{}, nil
	case !given && (word == "none" || word == "file" || word == "gap"):
		return Split{by: word}, nil
	case given && word == "gap":
	case !given:
		word, rest = "length", text
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d <= 0 || word != "gap" && word != "length" {
		return Split{}, fmt.Errorf("want none, file, gap, gap=30s, or the length of runs such as 10m, have %q", text)
	}
	return Split{word, d}, nil
}

// gapRows is how many empty rows end a run, or a stretch of rows, by default.
const gapRows = 10

func (s Split) gap(step float64) int64 {
	if s.by == "gap" && s.length > 0 {
		return max(1, int64(math.Round(s.length.Seconds()/step)))
	}
	return gapRows
}

// sections cuts the rows of an axis into runs; none: all rows are one.
func (s Split) sections(x *axis) []analysis.Section {
	var out []analysis.Section
	add := func(from, to int) {
		name := fmt.Sprint(len(out) + 1)
		out = append(out, analysis.Section{Name: name, From: from, To: to})
	}
	switch s.by {
	case "none":
		return nil
	case "length":
		rows := max(1, int(math.Round(s.length.Seconds()/x.step)))
		for _, g := range x.segments {
			end := g.row + g.n
			for at := g.row; at < end; {
				to := at + rows
				if end-to < rows/2 || to > end {
					to = end
				}
				add(at, to)
				at = to
			}
		}
		return out
	}
	if len(x.segments) < 2 {
		return nil
	}
	for _, g := range x.segments {
		add(g.row, g.row+g.n)
	}
	return out
}

// runRows lays the runs that marks name on rows.
func runRows(source string, marks []mark, x *axis) ([]analysis.Section, error) {
	var out []analysis.Section
	seen := map[string]bool{}
	last := -1 // of out, while its run goes on
	for i, m := range marks {
		from, to := x.hold(marks, i)
		if m.run == "" {
			last = -1
		}
		if m.run == "" || from >= to {
			continue
		}
		if last >= 0 && out[last].Name == m.run {
			out[last].To = max(out[last].To, to)
			continue
		}
		if seen[m.run] {
			return nil, &Fault{Source: source, What: fmt.Sprintf("run %q begins again; runs must not overlap", clip(m.run))}
		}
		seen[m.run] = true
		if n := len(out); n > 0 {
			from = max(from, out[n-1].To)
		}
		if from < to {
			out = append(out, analysis.Section{Name: m.run, Workload: m.workload, From: from, To: to})
			last = len(out) - 1
		}
	}
	if len(out) == 0 {
		return nil, &Fault{Source: source, What: "no row of the series lies in a run; are the times of both from one clock?"}
	}
	return out, nil
}

// sloRows lays what marks say of the SLO on rows. known is false for rows without a word.
func sloRows(source string, marks []mark, x *axis) (slo, known []bool, err error) {
	slo, known = make([]bool, x.rows), make([]bool, x.rows)
	for i, m := range marks {
		if m.slo < 0 {
			continue
		}
		from, to := x.hold(marks, i)
		for r := from; r < to; r++ {
			known[r] = true
			slo[r] = slo[r] || m.slo == 1
		}
	}
	if !slices.Contains(known, true) {
		return nil, nil, &Fault{Source: source, What: "no row of the series has a value of slo; are the times of both from one clock?"}
	}
	return slo, known, nil
}

// noteSilent notes how many rows nothing is known of.
func (r *Recording) noteSilent(known []bool, of string) {
	silent := 0
	for _, k := range known {
		if !k {
			silent++
		}
	}
	if silent > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%d of %d rows have no value %s: they count as not violated.", silent, len(known), of))
	}
}
