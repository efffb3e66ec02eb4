package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
)

func newExport(p parts) *cobra.Command {
	var s selection
	output := oneOf("csv")
	c := &cobra.Command{
		Use:   "export [FAMILY...]",
		Short: "Print what was stored of many families as CSV",
		Long: `Export prints what query prints, of the families named (or classes, tiers; all when
none is; --rate leaves gauges as they are), with the header
time,family,target,label,value,count,sum,p50,p90,p99. Times are RFC 3339, values base
units. Intervals that were not measured are told on standard error.` + codes(),
		Example: `  viperprobe export --since 1h > samples.csv
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
		if err := errors.Join(err, s.check(time.Now())); err != nil {
			return usage(err)
		}
		r, err := s.open(c.Context())
		if err != nil {
			return err
		}
		err = s.export(c.Context(), c.OutOrStdout(), r, families)
		return errors.Join(err, s.tellGaps(c, r), r.Close())
	}
	return c
}

func (s *selection) export(ctx context.Context, w io.Writer, r reader, families []*metric.Family) error {
	out := newRowsCSV(w, strings.Split("time,family,target,label,value,count,sum,p50,p90,p99", ","))
	for _, f := range families {
		for row, err := range r.Range(ctx, s.query(f)) {
			if err != nil {
				return errors.Join(err, out.flush())
			}
			cells := []string{row.Time.UTC().Format(stamp), f.Name, row.Target, row.Label()}
			if f.Kind == metric.Histogram {
				cells = append(append(cells, ""), histogramCells(row)...)
			} else {
				cells = append(cells, number(row.Value), "", "", "", "", "")
			}
			out.write(cells)
		}
	}
	return out.flush()
}
