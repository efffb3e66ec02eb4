package main

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"viperprobe.dev/viperprobe/internal/control"
)

func newExplain() *cobra.Command {
	var r remoteControl
	c := &cobra.Command{
		Use:   "explain TARGET",
		Short: "Say which rule gives a target each of its families",
		Long: `Explain says for each family that some rule switches on or off for a target which
rule decides: a flag, the line of a policy, or a live change. TARGET is a glob on
the target's id, name, container, pod or cgroup path, and must match one.

A family that is wanted and does not work on this machine IS unsupported.

-o json prints an array of {family, ratio, labels, policy, line, origin, until,
unsupported}; ratio is 1 for on, 0 for off, and between them the share of events to
look at, labels are there where a rule says in which series the family is told, and
unsupported why it does not work here.` + codes(),
		Example: "  viperprobe explain redis\n  viperprobe explain node -o json",
		Args:    arguments("a TARGET", 1),
	}
	r.bind(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := r.err(); err != nil {
			return err
		}
		found, err := r.client.Explain(c.Context(), args[0])
		if err != nil {
			return refused(err)
		}
		if len(found) != 1 {
			return whichTarget(args[0], found)
		}
		if names := found[0].Unjudged; len(names) > 0 {
			fmt.Fprintf(c.ErrOrStderr(), "viperprobe: labels of this target are unknown (docs/policies.md), so policies that select by labels do not hold for it: %s\n", few(names))
		}
		if r.output.value == "json" {
			return writeJSON(c.OutOrStdout(), found[0].Reasons)
		}
		t := newTable(c.OutOrStdout(), "FAMILY", "IS", "BY", "WHERE", "UNTIL")
		for _, reason := range found[0].Reasons {
			until, where := "", ""
			if !reason.Until.IsZero() {
				until = reason.Until.Format(time.DateTime)
			}
			if reason.Origin != reason.Policy {
				where = reason.Origin
			}
			state := is(reason.Ratio, "", reason.Labels)
			if reason.Unsupported != "" {
				state = "unsupported"
			}
			t.row(reason.Family, state, reason.Policy, where, until)
		}
		return t.flush()
	}
	return c
}

// maxNames is how many names a message lists.
const maxNames = 5

func whichTarget(name string, found []control.Explanation) error {
	if len(found) == 0 {
		return fmt.Errorf("no target is called %s; `viperprobe top --once` lists them", name)
	}
	var ids []string
	for _, x := range found {
		if len(ids) == maxNames {
			ids = append(ids, "...")
			break
		}
		ids = append(ids, fmt.Sprintf("%s (%s, id %s)", x.Target.Name(), x.Target.Cgroup, x.Target.ID))
	}
	return usage(fmt.Errorf("%s matches %d targets: %s; give the id or the cgroup of one", name, len(found), strings.Join(ids, ", ")))
}

func newDiff() *cobra.Command {
	var r remoteControl
	c := &cobra.Command{
		Use:   "diff FILE...",
		Short: "Say what policies would change, before they are in force",
		Long: `Diff says for each target of the running instance which families would go on or off,
be sampled or have its series otherwise, if the documents of FILE, a file or a folder, were among its policies: in place of
those of the same name, or beside the others. Nothing is changed.

-o json prints an array of {target, on[], off[], ratios[{family, ratio}],
labels[{family, labels}]}.` + codes(),
		Example: "  viperprobe diff shop.yaml",
		Args:    cobra.ArbitraryArgs,
	}
	r.bind(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := r.err(); err != nil {
			return err
		}
		if len(args) == 0 {
			return usage(errors.New("diff wants at least one FILE"))
		}
		files, err := control.Read(args)
		if err != nil {
			return usage(err)
		}
		differences, err := r.client.Diff(c.Context(), files)
		switch {
		case err != nil:
			return refused(err)
		case r.output.value == "json":
			return writeJSON(c.OutOrStdout(), differences)
		case len(differences) == 0:
			fmt.Fprintln(c.ErrOrStderr(), "viperprobe: nothing would change")
			return nil
		}
		t := newTable(c.OutOrStdout(), "TARGET", "ON", "OFF", "RATIO", "LABELS")
		for _, d := range differences {
			var ratios, series []string
			for _, r := range d.Ratios {
				ratios = append(ratios, r.Family+" "+onOff(r.Ratio))
			}
			for _, s := range d.Labels {
				series = append(series, s.Family+" "+cmp.Or(s.Labels.String(), "all"))
			}
			t.row(d.Target.Name(), few(d.On), few(d.Off), few(ratios), few(series))
		}
		return t.flush()
	}
	return c
}

// few lists names, or the first of them.
func few(names []string) string {
	if len(names) > maxNames {
		return strings.Join(names[:maxNames], " ") + " and " + strconv.Itoa(len(names)-maxNames) + " more"
	}
	return strings.Join(names, " ")
}
