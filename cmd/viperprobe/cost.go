package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"viperprobe.dev/viperprobe/internal/control"
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
)

func newCost() *cobra.Command {
	var r remoteControl
	all, whatIf := false, ""
	c := &cobra.Command{
		Use:   "cost",
		Short: "Say what measuring costs, by family and container",
		Long: `Cost measures for a second what the running instance costs: each BPF program by the
kernel's own statistics (BPF_ENABLE_STATS), less what these bill for themselves, and
with what entering the program costs, which they do not see; the files and passes of the agent by its
threads' CPU time. A program's time is shared among its families and the containers
whose events they counted, by their measured prices (viperprobe metrics FAMILY); what
events cost that no container wants is the gate's. All percents are of one CPU.

-o json prints {node, families, programs}: node is {cpu_percent, programs_percent,
agent_percent, store_percent, kernel_bytes, series}; families are an array of {family,
events_per_second, ns_per_event, cpu_percent, gate_percent, kernel_bytes, series,
containers}, dearest first, where cpu_percent is events_per_second times ns_per_event
and the gate; containers are an array of {target, cpu_percent, events_per_second}. An
event of the snapshot tier is a task or socket, of the file tier a target.

--what-if FILE measures beside it what the policies of FILE, a file or a folder, would
cost with what happens now, in place of those of the same name or beside the others:
their programs are tried for a second in a kernel side of their own, for all events.
--what-if 'add TARGET' prices one more container like TARGET. Nothing is changed; -o
json prints {now, then}, each as above.` + codes(),
		Example: "  viperprobe cost\n  viperprobe cost -o json\n  viperprobe cost --what-if shop.yaml\n  viperprobe cost --what-if 'add redis'",
		Args:    noArgs,
	}
	r.bind(c)
	c.Flags().BoolVar(&all, "all", false, "also families of less than 0.005 %")
	c.Flags().StringVar(&whatIf, "what-if", "", "price a file or folder of policies, or 'add TARGET', beside what is in force")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := r.err(); err != nil {
			return err
		}
		if c.Flags().Changed("what-if") {
			return r.forecast(c, whatIf)
		}
		bill, err := r.client.Cost(c.Context())
		switch {
		case err != nil:
			return refused(err)
		case r.output.value == "json":
			return writeJSON(c.OutOrStdout(), bill)
		}
		return writeBill(c.OutOrStdout(), &bill, all)
	}
	return c
}

func (r *remoteControl) forecast(c *cobra.Command, what string) error {
	var files []policy.File
	add, one := strings.CutPrefix(what, "add ")
	if add = strings.TrimSpace(add); add == "" {
		return usage(fmt.Errorf("--what-if: want a file or folder of policies, or 'add TARGET', have %q", what))
	}
	if !one {
		var err error
		if files, err = control.Read([]string{what}); err != nil {
			return usage(err)
		}
		add = ""
	}
	f, err := r.client.Forecast(c.Context(), files, add)
	switch {
	case err != nil:
		return refused(err)
	case r.output.value == "json":
		return writeJSON(c.OutOrStdout(), f)
	}
	return writeForecast(c.OutOrStdout(), &f)
}

// writeForecast prints what would be other than it is.
func writeForecast(w io.Writer, f *metric.Forecast) error {
	t := newTable(w, "NODE", "NOW", "THEN")
	a, b := &f.Now.Node, &f.Then.Node
	t.row("% of one CPU", cent(a.CPUPercent), cent(b.CPUPercent))
	t.row("programs", cent(a.ProgramsPercent), cent(b.ProgramsPercent))
	t.row("agent", cent(a.AgentPercent), cent(b.AgentPercent))
	t.row("store", cent(a.StorePercent), cent(b.StorePercent))
	t.row("kernel memory", binary(a.KernelBytes)+"B", binary(b.KernelBytes)+"B")
	for _, cpus := range []string{"8", "64", "128"} {
		t.row("on "+cpus+" CPUs", binary(a.KernelBytesOn[cpus])+"B", binary(b.KernelBytesOn[cpus])+"B")
	}
	t.row("series", strconv.Itoa(a.Series), strconv.Itoa(b.Series))
	if err := t.flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	t = newTable(w, "FAMILY", "EVENTS/S", "% CPU NOW", "THEN")
	now := map[string]metric.FamilyCost{}
	for _, c := range f.Now.Families {
		now[c.Family] = c
	}
	for _, c := range f.Then.Families {
		was := "off"
		if n, ok := now[c.Family]; ok {
			was = cent(n.CPUPercent)
		}
		if c.CPUPercent >= least || was == "off" {
			t.row(c.Family, strconv.FormatFloat(c.EventsPerSecond, 'f', 0, 64), was, cent(c.CPUPercent))
		}
		delete(now, c.Family)
	}
	for _, n := range f.Now.Families {
		if _, gone := now[n.Family]; gone && n.CPUPercent >= least {
			t.row(n.Family, "0", cent(n.CPUPercent), "off")
		}
	}
	return t.flush()
}

// least is the percent below which a family is left out of the table.
const least = 0.005

// costly is how many containers the table names.
const costly = 10

func writeBill(w io.Writer, b *metric.Bill, all bool) error {
	n := &b.Node
	fmt.Fprintf(w, "%% of one CPU: %s = programs %s + agent %s + store %s; kernel memory %sB; %d series\n", cent(n.CPUPercent),
		cent(n.ProgramsPercent), cent(n.AgentPercent), cent(n.StorePercent), binary(n.KernelBytes), n.Series)
	fmt.Fprintf(w, "kernel memory on 8 CPUs: %sB, on 64: %sB, on 128: %sB\n\n", binary(n.KernelBytesOn["8"]), binary(n.KernelBytesOn["64"]), binary(n.KernelBytesOn["128"]))
	t := newTable(w, "FAMILY", "TIER", "EVENTS/S", "NS EACH", "% CPU", "GATE %", "KERNEL", "SERIES", "DEAREST CONTAINER")
	hidden := 0
	for i := range b.Families {
		f := &b.Families[i]
		if f.CPUPercent < least && !all {
			hidden++
			continue
		}
		dearest := ""
		if len(f.Containers) > 0 {
			dearest = fmt.Sprintf("%s %s", f.Containers[0].Target, cent(f.Containers[0].CPUPercent))
		}
		events, each := "", "" // of sums, such as bytes, nothing tells how many there were
		if f.EventsPerSecond > 0 {
			events, each = strconv.FormatFloat(f.EventsPerSecond, 'f', 0, 64), strconv.FormatFloat(f.NsPerEvent, 'f', 0, 64)
		}
		t.row(f.Family, string(f.Tier), events, each,
			cent(f.CPUPercent), cent(f.GatePercent), binary(f.KernelBytes), strconv.Itoa(f.Series), dearest)
	}
	if err := t.flush(); err != nil {
		return err
	}
	if hidden > 0 {
		fmt.Fprintf(w, "and %d families below %g %%; --all shows them\n", hidden, least)
	}
	return writePayers(w, b)
}

// writePayers lists the containers whose measuring costs most.
func writePayers(w io.Writer, b *metric.Bill) error {
	payers := b.Payers()
	fmt.Fprintln(w)
	t := newTable(w, "CONTAINER", "% CPU")
	for i, p := range payers {
		if i == costly {
			break
		}
		t.row(p.Target, cent(p.CPUPercent))
	}
	if err := t.flush(); err != nil {
		return err
	}
	if len(payers) > costly {
		fmt.Fprintf(w, "and %d more\n", len(payers)-costly)
	}
	return nil
}

func cent(x float64) string { return strconv.FormatFloat(x, 'f', 3, 64) }

// binary writes bytes with a binary prefix: 6.5Mi.
func binary(n int) string {
	x, prefix := float64(n), ""
	for _, p := range []string{"Ki", "Mi", "Gi"} {
		if x < 1024 {
			break
		}
		x, prefix = x/1024, p
	}
	return strconv.FormatFloat(x, 'f', 1, 64) + prefix
}
