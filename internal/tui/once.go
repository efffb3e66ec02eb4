package tui

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/store"
)

// WriteJSON prints rows as an array of {target, values}.
func WriteJSON(w io.Writer, rows []store.TopRow) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(rows)
}

// WriteCSV prints one line for each row and family, in the order of families:
// histograms fill count and the columns after it, everything else value.
func WriteCSV(w io.Writer, rows []store.TopRow, families []*metric.Family) error {
	c := csv.NewWriter(w)
	c.Write([]string{"id", "node", "namespace", "pod", "container", "workload", "cgroup", "kind", "family", "value", "count", "sum", "p50", "p90", "p99"})
	for _, r := range rows {
		t := r.Target
		for _, f := range families {
			v, ok := r.Values[f.Name]
			if !ok {
				continue
			}
			line := []string{string(t.ID), t.Node, t.Namespace, t.Pod, t.Container, t.Workload, t.Cgroup, string(t.Kind), f.Name, "", "", "", "", "", ""}
			if f.Kind == metric.Histogram {
				line[10], line[11] = strconv.FormatUint(v.Hist.Count(), 10), exact(v.Sum())
				line[12], line[13], line[14] = exact(v.Stat("p50")), exact(v.Stat("p90")), exact(v.Stat("p99"))
			} else {
				line[9] = exact(v.Number)
			}
			c.Write(line)
		}
	}
	c.Flush()
	return c.Error()
}

// exact prints a number for programs; nothing for NaN.
func exact(x float64) string {
	if x != x {
		return ""
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}

// WriteTable prints rows as text, as the terminal shows them but with all columns.
func WriteTable(w io.Writer, rows []store.TopRow, families []*metric.Family) error {
	columns := columnsOf(families)
	name := len("TARGET")
	for _, r := range rows {
		name = max(name, len([]rune(r.Name)))
	}
	all := spans(columns, 0, 1<<20)
	for _, line := range head(columns, all, name, "TARGET") {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " ")); err != nil {
			return err
		}
	}
	for i := range rows {
		if _, err := fmt.Fprintln(w, strings.TrimRight(fit(rows[i].Name, name)+cells(columns, all, &rows[i], plain), " ")); err != nil {
			return err
		}
	}
	return nil
}

func plain(_ int, text string) string { return text }

// head is the three lines above the rows: titles, and units.
func head(columns []column, all []span, name int, label string) [3]string {
	lines := [3]string{strings.Repeat(" ", name), strings.Repeat(" ", name), fit(label, name)}
	for _, s := range all {
		lines[0] += right(s.above, s.width())
		lines[1] += right(s.below, s.width())
		for _, i := range s.columns {
			lines[2] += right(columns[i].unit(), s.each+gap)
		}
	}
	return lines
}

// cells is a row's numbers; paint colours the padded text of column i.
func cells(columns []column, all []span, r *store.TopRow, paint func(i int, text string) string) string {
	var b strings.Builder
	for _, s := range all {
		for _, i := range s.columns {
			text := "-"
			if x, ok := columns[i].value(r); ok {
				text = columns[i].format(x)
			}
			b.WriteString(paint(i, right(text, s.each+gap)))
		}
	}
	return b.String()
}
