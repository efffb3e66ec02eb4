package main

import (
	"context"
	"errors"
	"io"
	"iter"
	"math"
	"os"
	"strings"
	"time"

	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
	"viperprobe.dev/viperprobe/internal/recording"
	"viperprobe.dev/viperprobe/internal/store"
)

func newExport(p parts) *cobra.Command {
	var s selection
	output := oneOf("csv", "parquet")
	c := &cobra.Command{
		Use:   "export [FAMILY...]",
		Short: "Write what was stored of many families as CSV or Parquet",
		Long: `Export writes what query prints, of the families named (or classes, tiers; all when
none is; --rate leaves gauges as they are), with the columns
time,family,target,label,value,count,sum,p50,p90,p99,kind,per_second,workload,pattern.
In CSV, times are RFC 3339 and missing values empty; in Parquet, timestamps in
milliseconds and null. Values are base units. ` + "`viperprobe analyze`" + ` reads both.
Intervals that were not measured are told on standard error.` + codes(),
		Example: `  viperprobe export --since 1h > samples.csv
  viperprobe export -o parquet --since 1d > samples.parquet
  viperprobe export cpu runq_latency --since 1d --step 1m --rate > samples.csv`,
	}
	s.bind(c, "15d")
	s.flags.output(&output)
	c.RunE = func(c *cobra.Command, names []string) error {
		p, err := p.withProbes(s.probes)
		if err != nil {
			return usage(err)
		}
		if len(names) == 0 {
			names = []string{"all"}
		}
		families, err := policy.Resolve(names, p.families)
		if f, ok := c.OutOrStdout().(*os.File); ok && output.value == "parquet" && term.IsTerminal(f.Fd()) {
			err = errors.Join(err, errors.New("-o parquet: not for a terminal; write it to a file with > samples.parquet"))
		}
		if err := errors.Join(err, s.check(time.Now())); err != nil {
			return usage(err)
		}
		r, err := s.open(c.Context())
		if err != nil {
			return err
		}
		n := 0
		err = export(c.OutOrStdout(), output.value, counted(s.rows(c.Context(), r, families), &n))
		if err == nil && n == 0 {
			s.tellNothing(c, strings.Join(names, ", "))
		}
		return errors.Join(err, s.tellGaps(c, r), r.Close())
	}
	return c
}

// export writes rows. What came before a fault is written too.
func export(w io.Writer, format string, rows iter.Seq2[recording.Row, error]) error {
	var out interface {
		Write(recording.Row) error
		Close() error
	} = recording.NewCSVWriter(w)
	if format == "parquet" {
		out = recording.NewParquetWriter(w)
	}
	for row, err := range rows {
		if err == nil {
			err = out.Write(row)
		}
		if err != nil {
			return errors.Join(err, out.Close())
		}
	}
	return out.Close()
}

// rows are what was stored of families, one after the other.
func (s *selection) rows(ctx context.Context, r reader, families []*metric.Family) iter.Seq2[recording.Row, error] {
	return func(yield func(recording.Row, error) bool) {
		for _, f := range families {
			for row, err := range r.Range(ctx, s.query(f)) {
				if !yield(s.encode(f, &row), err) {
					return
				}
			}
		}
	}
}

func (s *selection) encode(f *metric.Family, r *store.Row) recording.Row {
	nan := math.NaN()
	out := recording.Row{
		Time: r.Time, Family: f.Name, Kind: f.Kind, PerSecond: s.rate && f.Kind != metric.Gauge, Target: r.Target, Label: r.Label(),
		Workload: r.Workload, Pattern: r.Pattern, Value: r.Value, Count: nan, Sum: nan, P50: nan, P90: nan, P99: nan,
	}
	if f.Kind == metric.Histogram {
		out.Value, out.Count, out.Sum, out.P50, out.P90, out.P99 = nan, r.Count, r.Sum, r.P50, r.P90, r.P99
	}
	return out
}
