package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"viperprobe.dev/viperprobe/internal/probe"
	"viperprobe.dev/viperprobe/internal/tui"
)

// printFlows prints a line for each edge, with rates per second.
func printFlows(w io.Writer, edges []*flowEdge) error {
	t := newTable(w, "CLIENT", "SERVER", "PORT", "OPEN", "NEW/s", "FAILED/s", "SENT/s", "RECEIVED/s", "RTT", "CONNECT", "RESENT/s")
	for _, e := range edges {
		rate := func(x float64) string {
			if x == 0 {
				return ""
			}
			return tui.Short(x / e.Seconds)
		}
		t.row(tui.Printable(e.Client), tui.Printable(e.Server), e.Port, tui.Short(e.Connections), rate(e.Connects), rate(e.Failures),
			bytesRate(e.ToServer/e.Seconds), bytesRate(e.ToClient/e.Seconds), known(e.RTT), known(e.ConnectTime), rate(e.Retransmits))
	}
	return t.flush()
}

func bytesRate(x float64) string {
	if x == 0 {
		return ""
	}
	return tui.ShortBytes(x) + "B"
}

// known is a time, "" where it is 0: not known.
func known(seconds float64) string {
	if seconds == 0 {
		return ""
	}
	return tui.ShortTime(seconds)
}

// writeDot prints edges for Graphviz. Targets are boxes, what is outside is dashed; the
// more bytes, the thicker the line; where connections fail it is red.
func writeDot(w io.Writer, edges []*flowEdge) error {
	var b strings.Builder
	b.WriteString(`digraph flows {
  rankdir=LR; bgcolor="transparent"; nodesep=0.35; ranksep=1.4;
  node [shape=box, style="rounded,filled", fillcolor="#eef3fb", color="#7a94b8", fontname="Helvetica", fontsize=11, margin="0.14,0.07"];
  edge [color="#5b7083", fontname="Helvetica", fontsize=9, fontcolor="#3d4c59", arrowsize=0.7];
`)
	var names []string
	most := 1.0
	for _, e := range edges {
		names = append(names, e.Client, e.Server)
		most = max(most, e.ToServer+e.ToClient)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		style := ""
		if isOutside(name) || name == probe.FlowOther {
			style = ` [style="rounded,dashed", color="#9aa5b1"]`
		}
		fmt.Fprintf(&b, "  %s%s;\n", quoteDot(name), style)
	}
	for _, e := range edges {
		width := 1 + 3*math.Log1p(e.ToServer+e.ToClient)/math.Log1p(most)
		style := ""
		if e.Failures > 0 {
			style = `, color="#c0392b", fontcolor="#c0392b"`
			if e.Connects == 0 {
				style += `, style=dashed`
			}
		}
		fmt.Fprintf(&b, "  %s -> %s [label=%s, penwidth=%.1f%s];\n", quoteDot(e.Client), quoteDot(e.Server), quoteDot(e.label()), width, style)
	}
	b.WriteString("}\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// label is what is written at an edge: port, connections, bytes each way, round trips.
func (e *flowEdge) label() string {
	var lines []string
	line := func(say bool, format string, args ...any) {
		if say {
			lines = append(lines, fmt.Sprintf(format, args...))
		}
	}
	line(e.Port != "", ":%s", e.Port)
	line(e.Connections > 0, "%s open", tui.Short(e.Connections))
	line(e.Connects > 0, "%s/s new", tui.Short(e.Connects/e.Seconds))
	line(e.Failures > 0, "%s/s failed", tui.Short(e.Failures/e.Seconds))
	lines = []string{strings.Join(lines, "  ")}
	line(e.ToServer+e.ToClient > 0, "→ %sB/s  ← %sB/s", tui.ShortBytes(e.ToServer/e.Seconds), tui.ShortBytes(e.ToClient/e.Seconds))
	line(e.RTT > 0, "rtt %s", tui.ShortTime(e.RTT))
	return strings.Join(lines, "\n")
}

// quoteDot is a string of Graphviz: names come from containers and may hold anything.
func quoteDot(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(tui.Printable(line))
	}
	return `"` + strings.Join(lines, `\n`) + `"`
}
