package recording

import (
	"fmt"
	"strings"
)

// A wide collects the rows of a file with one column for each series. Times rise
// within a run; with a new run they may begin again.
type wide struct {
	table
	file                             string
	header                           []string
	budget                           *budget
	columns                          []*column // by column of the file; nil: no series
	timeAt, runAt, sloAt, workloadAt int
	clock                            clock
	times                            []float64
	seen                             map[string]bool // runs
	offset                           float64         // added to the times of a file that begins again
	lastRaw                          float64
}

// pause stands between runs whose times begin again.
const pause = 1e6

func (w *wide) fault(line, column int, what string) error {
	return &Fault{w.file, line, w.header[column], what}
}

// addText adds a row of text.
func (w *wide) addText(line int, cells []string) error {
	if err := w.begin(line, cells); err != nil {
		return err
	}
	for i, c := range w.columns {
		if c == nil {
			continue
		}
		x, err := readNumber(cells[i])
		if err != nil {
			return w.fault(line, i, err.Error())
		}
		c.values = append(c.values, x)
	}
	return nil
}

// begin adds the time and the mark of a row, by the cells that are no values.
func (w *wide) begin(line int, cells []string) error {
	at, err := w.clock.read(cells[w.timeAt])
	if err != nil {
		return w.fault(line, w.timeAt, err.Error())
	}
	m := mark{slo: -1}
	if w.runAt >= 0 {
		m.run = strings.TrimSpace(cells[w.runAt])
	}
	if w.workloadAt >= 0 {
		m.workload = strings.TrimSpace(cells[w.workloadAt])
	}
	if w.sloAt >= 0 {
		if m.slo, err = readViolation(cells[w.sloAt]); err != nil {
			return w.fault(line, w.sloAt, err.Error())
		}
	}
	return w.addMark(line, at, m)
}

func (w *wide) addMark(line int, at float64, m mark) error {
	n := len(w.times)
	if n >= w.budget.Rows {
		return &Fault{Source: w.file, Line: line, What: fmt.Sprintf("more than %d rows; take less time or a longer step", w.budget.Rows)}
	}
	if err := w.budget.addValues(w.file, line, int64(len(w.header)-1)); err != nil {
		return err
	}
	changed := n > 0 && m.run != w.marks[n-1].run
	if changed && w.seen[m.run] {
		return w.fault(line, w.runAt, fmt.Sprintf("run %q begins again; put its rows together", clip(m.run)))
	}
	if n == 0 {
		w.seen = map[string]bool{}
	}
	w.seen[m.run] = true
	switch {
	case n > 0 && at == w.lastRaw && !changed:
		return w.fault(line, w.timeAt, "the time of the row above again; want one row for each time, or a column run")
	case n > 0 && at <= w.lastRaw && changed:
		w.offset, w.restarted = w.times[n-1]+pause-at, true
	case n > 0 && at < w.lastRaw:
		return w.fault(line, w.timeAt, "earlier than the row above; sort the rows by time, or give each run its name in a column run")
	}
	w.lastRaw = at
	at += w.offset
	if n > 0 && at <= w.times[n-1] {
		return w.fault(line, w.timeAt, "too near to the row above to be told from it")
	}
	m.time = at
	w.times, w.marks = append(w.times, at), append(w.marks, m)
	return nil
}

func (w *wide) finish() (*table, error) {
	if len(w.times) == 0 {
		return nil, &Fault{Source: w.file, What: "it has a header and no rows"}
	}
	for _, c := range w.columns {
		if c != nil {
			c.times = w.times
			w.table.columns = append(w.table.columns, c)
		}
	}
	w.hasRun, w.hasSLO = w.runAt >= 0, w.sloAt >= 0
	if !w.hasRun && !w.hasSLO {
		w.marks = nil
	}
	w.span(w.times[0])
	w.span(w.times[len(w.times)-1])
	return &w.table, nil
}
