package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"viperprobe.dev/viperprobe/internal/control"
	"viperprobe.dev/viperprobe/internal/policy"
)

// A remoteControl is the flags of commands that change a running instance.
type remoteControl struct {
	flags
	client control.Client
	output choice
	during span
	why    string
}

func (r *remoteControl) bind(c *cobra.Command) {
	r.FlagSet, r.output = c.Flags(), oneOf("table", "json")
	r.StringVar(&r.client.Path, "control", defaultControl, "socket of the running instance")
	r.flags.output(&r.output)
}

func (r *remoteControl) bindChange(c *cobra.Command, during time.Duration) {
	r.bind(c)
	r.during = span(during)
	r.text(&r.during, "for", "duration", "take it back by itself after this time; 0: it stays until it is unset, or the instance ends")
	r.bindWhy()
}

func (r *remoteControl) bindWhy() { r.StringVar(&r.why, "why", "", "a reason, for the record") }

// refused gives what the instance refuses the exit code of wrong usage.
func refused(err error) error {
	var r *control.RefusedError
	if errors.As(err, &r) {
		return usage(err)
	}
	return err
}

const selectorHelp = `A target is named by a glob on its id, name, container, pod or cgroup path (* does
not cross /, and /** at the end means the tree), or selected by what it is, as
key=glob joined by commas, with the keys namespace, pod, container, workload,
pattern, cgroup and kind (container, service, cgroup, node, remainder), and label.NAME:

  namespace=shop,pattern=redis,label.app=web

Changes win over flags and policies, the later over the earlier. They are in force
when the command returns, hold for targets to come as well, and are recorded with
who made them. They end with the instance; policies are for what should stay.`

func newSet() *cobra.Command {
	var r remoteControl
	var files []string
	c := &cobra.Command{
		Use:   "set TARGET FAMILY on|off|RATIO|sum|histogram|labels=LABELS...",
		Short: "Switch families on or off for some targets, sample or sum them, while it runs",
		Long: `Set switches families of some targets of the running instance on or off. FAMILY is
a family, class or tier, or all, or several joined by commas. RATIO is the share of
events to look at, 0.001 to 1: values are estimates of all of them then, and cost less.
Of a class or tier it holds for the families that can be sampled, and the others
stay as they are; ` + "`viperprobe metrics FAMILY`" + ` tells of each. With sum, what
counts in all takes the place of a histogram, which goes (runq_delay that of
runq_latency): it costs less. With histogram, of a class, its histograms alone go on.
LABELS say which series a family with labels has: labels=class one for each class,
labels=class:read,class:write these two and other for the rest, labels=none a single
one. What is left out is summed. A share, a form and labels may be asked for at once.

With -f, what documents of kind CriticalMetrics say is put in force: exactly the
families of each set are on for the targets that it is of. ` + "`viperprobe analyze -o yaml`" + `
writes them.

` + selectorHelp + codes("3 a family that is named does not work here"),
		Example: `  viperprobe set redis block_latency on --for 10m
  viperprobe set namespace=shop,container=web network,requests on --why 'slow checkout'
  viperprobe set '/system.slice/**' event off
  viperprobe set '/system.slice/**' runq_latency 0.1
  viperprobe set redis cpu,requests sum
  viperprobe set redis syscalls 0.1 labels=class:read,class:write
  viperprobe set -f shop.yaml --for 1h`,
	}
	c.Args = func(c *cobra.Command, args []string) error {
		if len(files) == 0 {
			if len(args) < 3 {
				return usage(fmt.Errorf("set wants a TARGET, a FAMILY and %s, has %d arguments", wishWords, len(args)))
			}
			return nil
		}
		return noArgs(c, args)
	}
	r.bindChange(c, 0)
	r.StringArrayVarP(&files, "file", "f", nil, "documents of kind CriticalMetrics, in place of TARGET and FAMILY: a file or a folder; may be repeated")
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(files) > 0 {
			return r.setCritical(c, files)
		}
		w := control.Wish{Selector: args[0], Families: strings.Split(args[1], ",")}
		if err := parseTo(args[2:], &w); err != nil {
			return usage(errors.Join(append(r.faults, err)...))
		}
		return r.set(c, w)
	}
	return c
}

func newFull() *cobra.Command {
	var r remoteControl
	c := &cobra.Command{
		Use:   "full TARGET",
		Short: "Measure everything of some targets, for a while",
		Long: `Full switches on every family of some targets, those on demand too. It is taken
back by itself, after 10 minutes unless --for says otherwise.

` + selectorHelp + codes("3 some of it is not in force"),
		Example: "  viperprobe full redis --for 2m\n  viperprobe full namespace=shop --why incident",
		Args:    arguments("a TARGET", 1),
	}
	r.bindChange(c, 10*time.Minute)
	c.RunE = func(c *cobra.Command, args []string) error {
		if r.during <= 0 && len(r.faults) == 0 {
			r.faults = append(r.faults, errors.New("--for: want more than 0: everything costs too much to stay"))
		}
		return r.set(c, control.Wish{Selector: args[0], Families: []string{"all"}, Ratio: 1})
	}
	return c
}

// wishWords are what set can ask of families, for messages.
const wishWords = "on, off, sum, histogram, labels=LABELS or a share of events such as 0.1"

// parseTo reads on, off or a number, which the instance judges, a form and labels: at least
// one of them, each at most once.
func parseTo(words []string, w *control.Wish) error {
	w.Ratio = 1
	given := map[string]bool{}
	for _, word := range words {
		kind := "a share"
		text, labels := strings.CutPrefix(word, "labels=")
		var err error
		switch {
		case labels:
			kind = "labels"
			w.Labels, err = policy.ParseLabels(text)
		case word == policy.SumForm || word == policy.HistogramForm:
			kind, w.Form = "a form", word
		case word == "on":
		case word == "off":
			w.Ratio = 0
		default:
			if w.Ratio, err = strconv.ParseFloat(word, 64); err != nil {
				err = fmt.Errorf("want %s, have %q", wishWords, word)
			}
		}
		if err != nil {
			return err
		}
		if given[kind] {
			return fmt.Errorf("%s twice, have %q", kind, word)
		}
		given[kind] = true
	}
	return nil
}

func (r *remoteControl) set(c *cobra.Command, w control.Wish) error {
	if err := r.err(); err != nil {
		return err
	}
	w.For, w.Why = time.Duration(r.during), r.why
	x, err := r.client.Set(c.Context(), w)
	if err != nil {
		return refused(err)
	}
	if err := r.noteNobody(c.Context(), c.ErrOrStderr(), w.Selector); err != nil {
		return err
	}
	return r.tell(c.OutOrStdout(), c.ErrOrStderr(), []control.Change{x})
}

// setCritical puts documents in force.
func (r *remoteControl) setCritical(c *cobra.Command, paths []string) error {
	if err := r.err(); err != nil {
		return err
	}
	files, err := control.Read(paths)
	if err != nil {
		return usage(err)
	}
	changes, err := r.client.SetCritical(c.Context(), control.Critical{Files: files, For: time.Duration(r.during), Why: r.why})
	if err != nil {
		return refused(err)
	}
	return r.tell(c.OutOrStdout(), c.ErrOrStderr(), changes)
}

// noteNobody says when no target has the name that was given.
func (r *remoteControl) noteNobody(ctx context.Context, w io.Writer, selector string) error {
	if strings.Contains(selector, "=") {
		return nil
	}
	found, err := r.client.Explain(ctx, selector)
	if err == nil && len(found) == 0 {
		fmt.Fprintf(w, "viperprobe: no target is called %s now; it holds for those to come\n", selector)
	}
	return err
}

// writeUnsupported notes what was switched on in vain as a part of something larger.
func writeUnsupported(w io.Writer, all []control.Unsupported) {
	var names []string
	for _, u := range all {
		if !u.Named {
			names = append(names, u.Family)
		}
	}
	if len(names) > 0 {
		fmt.Fprintf(w, "viperprobe: of these do not work here: %s; `viperprobe doctor` says why\n", few(names))
	}
}

// tell prints changes that were made, and ends with exit code 3 where one is not in
// force in full, or names a family that does not work here.
func (r *remoteControl) tell(w, notes io.Writer, changes []control.Change) error {
	var faults []error
	for _, x := range changes {
		if x.Fault != "" {
			faults = append(faults, fmt.Errorf("not in force in full: %s", x.Fault))
		}
		for _, u := range x.Unsupported {
			if u.Named {
				faults = append(faults, fmt.Errorf("%s does not work here: %s", u.Family, u.Reason))
			}
		}
	}
	var err error
	if r.output.value == "json" {
		err = writeJSON(w, changes)
	} else {
		err = writeChanges(w, changes)
		for _, x := range changes {
			writeUnsupported(notes, x.Unsupported)
		}
	}
	if err == nil && len(faults) > 0 {
		return &exitError{exitPartial, errors.Join(faults...)}
	}
	return err
}

func newUnset() *cobra.Command {
	var r remoteControl
	c := &cobra.Command{
		Use:   "unset ID...|all",
		Short: "Take live changes back",
		Long:  "Unset takes back what set and full have changed. `viperprobe changes` lists the ids." + codes("3 some of what is left does not work here"),
		Example: `  viperprobe unset 3
  viperprobe unset all --why 'incident is over'`,
		Args: cobra.ArbitraryArgs,
	}
	r.bind(c)
	r.bindWhy()
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := r.err(); err != nil {
			return err
		}
		ids, err := parseIDs(args)
		if err != nil {
			return usage(err)
		}
		out, err := r.client.Unset(c.Context(), ids, r.why)
		if err != nil {
			return refused(err)
		}
		return r.tell(c.OutOrStdout(), c.ErrOrStderr(), out)
	}
	return c
}

// parseIDs reads ids of changes; none for all.
func parseIDs(args []string) (ids []int64, err error) {
	if len(args) == 1 && args[0] == "all" {
		return nil, nil
	}
	if len(args) == 0 {
		return nil, errors.New("unset wants ids of changes, or all; `viperprobe changes` lists them")
	}
	for _, a := range args {
		id, err := strconv.ParseInt(a, 10, 64)
		if err != nil || id <= 0 {
			return nil, fmt.Errorf("want the id of a change, have %q; `viperprobe changes` lists them", a)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func newChanges() *cobra.Command {
	var r remoteControl
	all := false
	c := &cobra.Command{
		Use:   "changes",
		Short: "List live changes, and who made them",
		Long: `Changes lists what set and full have changed and what is still in force; with
--all, everything that was recorded: changes, their ends, and policies that were
loaded again.

-o json prints {live, recorded, dropped}.` + codes(),
		Example: "  viperprobe changes\n  viperprobe changes --all",
		Args:    noArgs,
	}
	r.bind(c)
	c.Flags().BoolVar(&all, "all", false, "also what is over")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := r.err(); err != nil {
			return err
		}
		changes, err := r.client.Changes(c.Context())
		switch {
		case err != nil:
			return refused(err)
		case r.output.value == "json":
			return writeJSON(c.OutOrStdout(), changes)
		case all:
			return writeChanges(c.OutOrStdout(), changes.Recorded)
		case len(changes.Live) == 0:
			fmt.Fprintln(c.ErrOrStderr(), "viperprobe: no live change is in force; --all lists what was recorded")
			return nil
		}
		return writeChanges(c.OutOrStdout(), changes.Live)
	}
	return c
}

func writeChanges(w io.Writer, changes []control.Change) error {
	t := newTable(w, "ID", "TIME", "ACTION", "TARGET", "FAMILIES", "TO", "UNTIL", "WHO", "WHY")
	for _, x := range changes {
		action, to, until := x.Action, "", ""
		if x.Of > 0 {
			action += " of " + strconv.FormatInt(x.Of, 10)
		}
		target := x.Selector
		if x.Document != "" {
			target = x.Document
		}
		if target != "" {
			to = is(x.Ratio, x.Form, x.Labels)
		}
		if !x.Until.IsZero() {
			until = x.Until.Format(time.DateTime)
		}
		who := "viperprobe"
		if x.Who.Command == control.Governor {
			who = control.Governor
		}
		if x.Who.PID >= 0 {
			who = fmt.Sprintf("uid %d pid %d", x.Who.UID, x.Who.PID)
		}
		t.row(strconv.FormatInt(x.ID, 10), x.Time.Format(time.DateTime), action, target, strings.Join(x.Families, ","), to, until, who, x.Why)
	}
	return t.flush()
}

// is says how families are measured, in the words of set.
func is(ratio float64, form string, l policy.Labels) string {
	var words []string
	if form == "" || ratio != 1 {
		words = append(words, onOff(ratio))
	}
	if form != "" {
		words = append(words, form)
	}
	if l != nil {
		words = append(words, "labels="+l.String())
	}
	return strings.Join(words, " ")
}

func onOff(ratio float64) string {
	switch ratio {
	case 0:
		return "off"
	case 1:
		return "on"
	}
	return strconv.FormatFloat(ratio, 'g', -1, 64)
}

// arguments wants exactly n, and says which.
func arguments(what string, n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return usage(fmt.Errorf("%s wants %s, has %d arguments", c.Name(), what, len(args)))
		}
		return nil
	}
}

// isDefaultControl tells a socket that nobody asked for.
func (s *settings) isDefaultControl() bool {
	return !s.flags.Changed("control") && (s.document == nil || s.document.Line("control") == 0)
}
