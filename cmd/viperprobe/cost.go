package main

import (
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"viperprobe.dev/viperprobe/internal/metric"
)

func newCost() *cobra.Command {
	var r remoteControl
	all := false
	c := &cobra.Command{
		Use:   "cost",
		Short: "Say what measuring costs, by family and container",
		Long: `Cost measures for a second what the running instance costs: each BPF program by the
kernel's own statistics (BPF_ENABLE_STATS), the files and passes of the agent by its
threads' CPU time. A program's time is shared among its families and the containers
whose events they counted, by their measured prices (viperprobe metrics FAMILY); what
events cost that no container wants is the gate's. All percents are of one CPU.

-o json prints {node, families, programs}: node is {cpu_percent, programs_percent,
agent_percent, store_percent, kernel_bytes, series}; families are an array of {family,
events_per_second, ns_per_event, cpu_percent, gate_percent, kernel_bytes, series,
containers}, dearest first, where cpu_percent is events_per_second times ns_per_event
and the gate; containers are an array of {target, cpu_percent, events_per_second}. An
event of the snapshot tier is a task or socket, of the file tier a target.` + codes(),
		Example: "  viperprobe cost\n  viperprobe cost -o json",
		Args:    noArgs,
	}
	r.bind(c)
	c.Flags().BoolVar(&all, "all", false, "also families of less than 0.005 %")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := r.err(); err != nil {
			return err
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

// least is the percent below which a family is left out of the table.
const least = 0.005

// costly is how many containers the table names.
const costly = 10

func writeBill(w io.Writer, b *metric.Bill, all bool) error {
	n := &b.Node
	fmt.Fprintf(w, "%% of one CPU: %s = programs %s + agent %s + store %s; kernel memory %sB; %d series\n\n", cent(n.CPUPercent),
		cent(n.ProgramsPercent), cent(n.AgentPercent), cent(n.StorePercent), binary(n.KernelBytes), n.Series)
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
		t.row(f.Family, string(f.Tier), strconv.FormatFloat(f.EventsPerSecond, 'f', 0, 64), strconv.FormatFloat(f.NsPerEvent, 'f', 0, 64),
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
