package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"viperprobe.dev/viperprobe/internal/policy"
)

func newProbes() *cobra.Command {
	var r remoteControl
	c := &cobra.Command{
		Use:   "probes [NAME...]",
		Short: "Say where application probes are attached, and why others are not",
		Long: `Probes lists the application probes that the running instance has looked for in files
of its targets: functions and USDT probes that patterns and policies declare. They
count where app_calls or app_latency are on:

  viperprobe set redis app_calls,app_latency on --for 10m

-o json prints an array of {probe, origin, file, targets, state, reason, hits}; state
is attached, stopped (it was hit more often than its limit) or missing.` + codes(),
		Example: "  viperprobe probes\n  viperprobe probes query -o json",
	}
	r.bind(c)
	c.RunE = func(c *cobra.Command, names []string) error {
		if err := r.err(); err != nil {
			return err
		}
		found, err := r.client.AppProbes(c.Context())
		if err != nil {
			return refused(err)
		}
		for _, name := range names {
			if !slices.ContainsFunc(found, func(s policy.AppStatus) bool { return s.Probe == name }) {
				return fmt.Errorf("no application probe called %s was looked for; `viperprobe probes` lists those that were", name)
			}
		}
		found = slices.DeleteFunc(found, func(s policy.AppStatus) bool { return len(names) > 0 && !slices.Contains(names, s.Probe) })
		if r.output.value == "json" {
			return writeJSON(c.OutOrStdout(), found)
		}
		if len(found) == 0 {
			fmt.Fprintln(c.ErrOrStderr(), "viperprobe: no application probe was looked for; switch app_calls or app_latency on for a target: `viperprobe set TARGET app_calls on`")
			return nil
		}
		t := newTable(c.OutOrStdout(), "PROBE", "STATE", "HITS", "FILE", "TARGETS", "DECLARED", "REASON")
		for _, s := range found {
			t.row(s.Probe, s.State, strconv.FormatUint(s.Hits, 10), s.File, strings.Join(s.Targets, ","), s.Origin, s.Reason)
		}
		return t.flush()
	}
	return c
}
