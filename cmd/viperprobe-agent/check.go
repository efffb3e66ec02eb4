package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/cgroup"
	"viperprobe.dev/viperprobe/internal/probe"
)

func newCheck() *cobra.Command {
	var root string
	c := &cobra.Command{
		Use:   "check",
		Short: "Load and attach every family once, and say which work here",
		Long:  "Check exits with 0 when all families work, 3 when some do not, 4 when none of BPF does.",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			host, err := cgroup.Find(root)
			if err != nil {
				return err
			}
			view := host.View()
			if view != nil {
				fmt.Fprintln(c.OutOrStdout(), "view:", view)
			}
			refused, err := check(c, host)
			if err == nil && (refused > 0 || view != nil) {
				return codedError{fmt.Errorf("%d families do not work here", refused), exitPartial}
			}
			return err
		},
	}
	c.Flags().StringVar(&root, "root", "/", "where the machine's root is mounted")
	return c
}

func check(c *cobra.Command, host *cgroup.Host) (refused int, err error) {
	all := catalogue.Families()
	reasons := host.Check(all)
	for _, name := range slices.Sorted(maps.Keys(reasons)) {
		if reasons[name] != "" {
			refused++
			fmt.Fprintf(c.OutOrStdout(), "%s: %s\n", name, reasons[name])
		}
	}
	if err := checkRights(); err != nil {
		return refused, codedError{err, exitUnsupported}
	}
	statuses, err := probe.Check(probe.Options{Families: all, Object: catalogue.Object, Cgroup2: host.V2})
	if err != nil {
		return refused, codedError{err, exitUnsupported}
	}
	works := 0
	for _, s := range statuses {
		if s.Works {
			works++
			continue
		}
		refused++
		fmt.Fprintf(c.OutOrStdout(), "%s: %s\n", s.Family.Name, s.Reason)
	}
	if works == 0 {
		return refused, codedError{errors.New("no BPF family works here"), exitUnsupported}
	}
	return refused, nil
}
