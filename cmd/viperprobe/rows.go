package main

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"iter"
	"math"
	"strconv"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/store"
	"viperprobe.dev/viperprobe/internal/tui"
)

// stamp is RFC 3339 with the milliseconds that a store keeps.
const stamp = "2006-01-02T15:04:05.000Z07:00"

// printRows prints rows of one family. What came before a fault is printed too.
func printRows(w io.Writer, format string, f *metric.Family, rows iter.Seq2[store.Row, error]) error {
	switch format {
	case "csv":
		return printCSV(w, f, rows)
	case "json":
		return printJSON(w, f, rows)
	}
	unit := unitName(f.Unit)
	header := []string{"TIME", "TARGET", "LABEL"}
	if f.Kind == metric.Histogram {
		header = append(header, "COUNT", "SUM", "P50", "P90", "P99")
	} else {
		header = append(header, "VALUE")
	}
	if unit != "" {
		header = append(header, "("+unit+")")
	}
	t := newTable(w, header...)
	for r, err := range rows {
		if err != nil {
			t.flush()
			return err
		}
		cells := []string{r.Time.Local().Format("2006-01-02 15:04:05.000"), tui.Printable(r.Target), tui.Printable(r.Label())}
		if f.Kind == metric.Histogram {
			t.row(append(cells, rounded(r.Count), rounded(r.Sum), rounded(r.P50), rounded(r.P90), rounded(r.P99))...)
		} else {
			t.row(append(cells, rounded(r.Value))...)
		}
	}
	return t.flush()
}

func printCSV(w io.Writer, f *metric.Family, rows iter.Seq2[store.Row, error]) error {
	header := []string{"time", "target", "label", "value"}
	if f.Kind == metric.Histogram {
		header = []string{"time", "target", "label", "count", "sum", "p50", "p90", "p99"}
	}
	out := csv.NewWriter(w) // it keeps its first fault until Flush
	_ = out.Write(header)
	for r, err := range rows {
		if err != nil {
			out.Flush()
			return err
		}
		cells := []string{r.Time.UTC().Format(stamp), r.Target, r.Label()}
		if f.Kind == metric.Histogram {
			cells = append(cells, number(r.Count), number(r.Sum), number(r.P50), number(r.P90), number(r.P99))
		} else {
			cells = append(cells, number(r.Value))
		}
		_ = out.Write(cells)
	}
	out.Flush()
	return out.Error()
}

// A jsonRow is a row as `query -o json` prints it.
type jsonRow struct {
	Time   string   `json:"time"`
	Target string   `json:"target"`
	Label  string   `json:"label"`
	Value  *float64 `json:"value,omitempty"`
	*jsonHist
	*jsonSampled
}

// jsonSampled is what a row says of an estimate.
type jsonSampled struct {
	Ratio float64 `json:"ratio"`
	Error float64 `json:"standard_error,omitempty"`
}

type jsonHist struct {
	Count float64  `json:"count"`
	Sum   float64  `json:"sum"`
	P50   *float64 `json:"p50"`
	P90   *float64 `json:"p90"`
	P99   *float64 `json:"p99"`
}

// printJSON prints an array, row by row: it may be long.
func printJSON(w io.Writer, f *metric.Family, rows iter.Seq2[store.Row, error]) error {
	e, between := json.NewEncoder(w), "["
	for r, err := range rows {
		if err != nil {
			return err
		}
		row := jsonRow{Time: r.Time.UTC().Format(stamp), Target: r.Target, Label: r.Label()}
		if f.Kind == metric.Histogram {
			row.jsonHist = &jsonHist{r.Count, r.Sum, orNull(r.P50), orNull(r.P90), orNull(r.P99)}
		} else {
			row.Value = orNull(r.Value)
		}
		if r.Ratio > 0 {
			row.jsonSampled = &jsonSampled{r.Ratio, r.Error}
		}
		if _, err := io.WriteString(w, between); err != nil {
			return err
		}
		if err := e.Encode(row); err != nil {
			return err
		}
		between = ","
	}
	if between == "[" {
		between = "[]"
	} else {
		between = "]"
	}
	_, err := io.WriteString(w, between+"\n")
	return err
}

func orNull(x float64) *float64 {
	if math.IsNaN(x) {
		return nil
	}
	return &x
}

// number prints all digits; nothing for NaN.
func number(x float64) string {
	if math.IsNaN(x) {
		return ""
	}
	return strconv.FormatFloat(x, 'f', -1, 64)
}

func rounded(x float64) string {
	if math.IsNaN(x) {
		return ""
	}
	if x == math.Trunc(x) && math.Abs(x) < 1e15 {
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	return strconv.FormatFloat(x, 'g', 6, 64)
}
