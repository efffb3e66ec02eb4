package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
)

func newQuery(p parts) *cobra.Command {
	var s selection
	output := oneOf("table", "csv", "json")
	c := &cobra.Command{
		Use:   "query FAMILY",
		Short: "Print what was stored of one family",
		Long: `Query prints one row for each window, or step, of a family: totals of counters (or,
with --rate, per second), last values of gauges, and count, sum and quantiles of
what a histogram saw since the row before. It asks the instance that runs at --url,
or reads the store in --store. Intervals that were not measured are told on
standard error.

-o csv has the header time,target,label,value; of histograms
time,target,label,count,sum,p50,p90,p99. -o json adds, to rows of which not all
events were looked at, ratio and the standard_error of what was counted since the
row before.` + codes(),
		Example: `  viperprobe query runq_latency --since 5m --by pod
  viperprobe query tcp_sent_bytes --rate --step 10s --target 'redis*' -o csv
  viperprobe query cpu_usage --since 2026-11-24T08:00:00Z --store ./viperprobe.data`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(fmt.Errorf("want one family, have %d; `viperprobe export` takes several", len(args)))
			}
			return nil
		},
	}
	s.bind(c, "5m")
	s.flags.output(&output)
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := p.withProbes(s.probes)
		if err != nil {
			return usage(err)
		}
		f, err := oneFamily(args[0], p.families)
		if err := errors.Join(err, s.check(time.Now())); err != nil {
			return usage(err)
		}
		if s.rate && f.Kind == metric.Gauge {
			return usage(fmt.Errorf("--rate: %s is a gauge and has no rate", f.Name))
		}
		r, err := s.open(c.Context())
		if err != nil {
			return err
		}
		n := 0
		err = printRows(c.OutOrStdout(), output.value, f, counted(r.Range(c.Context(), s.query(f)), &n))
		if err == nil && n == 0 {
			s.tellNothing(c, f.Name)
		}
		return errors.Join(err, s.tellGaps(c, r), r.Close())
	}
	return c
}

// oneFamily finds a family by its name or an alias.
func oneFamily(name string, catalogue []*metric.Family) (*metric.Family, error) {
	found, err := policy.Resolve([]string{name}, catalogue)
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		if f.Is(name) {
			return f, nil
		}
	}
	return nil, fmt.Errorf("%q stands for %d families; name one of them (`viperprobe metrics %s` lists them)", name, len(found), name)
}
