// Package recording reads what was measured, by us or by others, for analysis:
// CSV and Parquet files, folders of them, stored rows, and a Prometheus server.
// It writes the files, too. It is the home of the Parquet library and of the
// client of the Prometheus HTTP API.
//
// Whatever the source, samples are put on one grid of rows: a cell is the mean of
// its samples, short gaps are interpolated, totals of counters become rates. What a
// source gets wrong is told with its file, line and column, and nothing of it is
// guessed.
package recording

import (
	"fmt"
	"time"

	"viperprobe.dev/viperprobe/internal/analysis"
	"viperprobe.dev/viperprobe/internal/metric"
)

// A Recording is one for analysis, with the times of its rows.
type Recording struct {
	analysis.Recording
	Times []float64 // unix seconds at which rows begin; they jump where nothing was recorded
	Notes []string  // what a reader must know, in whole sentences
}

// Options say how a source is read. The zero value is useful.
type Options struct {
	Families []*metric.Family // known ones: their names on /metrics are read as their own, and what the agent says of itself is left out
	Step     time.Duration    // of the rows; 0: what the samples come in
	Split    Split            // the zero value: by column run, else by gaps
	SLO      []Expression     // a row is a violation where any is; none: column slo
	Limits   Limits
}

// Limits bound what is read, since a mistyped path may lead anywhere. Zero fields
// have the defaults given.
type Limits struct {
	Bytes  int64 // of all files, or of a server's answers: 4 GiB
	Rows   int   // of the grid, and lines of a wide file: 10 million
	Series int   // 50,000
	Values int64 // on the grid, and read: 100 million, which are 800 MB
}

func (l Limits) withDefaults() Limits {
	if l.Bytes == 0 {
		l.Bytes = 4 << 30
	}
	if l.Rows == 0 {
		l.Rows = 10_000_000
	}
	if l.Series == 0 {
		l.Series = 50_000
	}
	if l.Values == 0 {
		l.Values = 100_000_000
	}
	return l
}

// A Fault is one thing wrong with a source.
type Fault struct {
	Source string // file, or address
	Line   int    // 1 is the first; 0 when it is about none
	Column string // name; "" when it is about none
	What   string // what is wrong, and what to do
}

// Error is "file:line: column "name": what", without the parts that are unknown.
func (f *Fault) Error() string {
	text := f.Source
	if f.Line > 0 {
		text += fmt.Sprintf(":%d", f.Line)
	}
	if f.Column != "" {
		text += fmt.Sprintf(": column %q", clip(f.Column))
	}
	return text + ": " + f.What
}

// clip keeps what a file says from filling a terminal.
func clip(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "..."
	}
	return s
}

// A column is one series as it was read.
type column struct {
	series  analysis.Series // without values
	counter bool            // values are totals
	times   []float64       // unix seconds, rising; wide tables share one slice among their columns
	values  []float64       // NaN: missing
}

// A mark says what a row was: of which run, and whether the SLO was violated.
type mark struct {
	time          float64
	run, workload string
	slo           int8 // 1 violated, 0 not, -1 unknown
}

// A table is what one file says, or one server.
type table struct {
	source       string
	columns      []*column
	marks        []mark // rising in time; nil if there is no such column
	hasRun       bool
	hasSLO       bool
	restarted    bool // times began again with a run: they are no clock's
	first, last  float64
	measuredFrom bool // first and last are set
}

func (t *table) span(at float64) {
	if !t.measuredFrom || at < t.first {
		t.first = at
	}
	if !t.measuredFrom || at > t.last {
		t.last = at
	}
	t.measuredFrom = true
}

// A budget counts what all tables of a source have used of the limits.
type budget struct {
	Limits
	series int
	values int64
}

func (b *budget) addSeries(source string, n int) error {
	if b.series += n; b.series > b.Series {
		return &Fault{Source: source, What: fmt.Sprintf("more than %d series; select fewer", b.Series)}
	}
	return nil
}

func (b *budget) addValues(source string, line int, n int64) error {
	if b.values += n; b.values > b.Values {
		return &Fault{Source: source, Line: line, What: fmt.Sprintf("more than %d values; take fewer series, less time or a longer step", b.Values)}
	}
	return nil
}
