package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/store"
)

// flowGroupings are what flows can be summed by at both ends.
var flowGroupings = []store.Grouping{store.ByTarget, store.ByPod, store.ByWorkload, store.ByNamespace, store.ByPattern}

func newFlows(p parts) *cobra.Command {
	s := selection{}
	output, by, outside := oneOf("table", "json", "dot"), oneOf(words(flowGroupings)...), false
	c := &cobra.Command{
		Use:   "flows",
		Short: "Show which target talks to which",
		Long: `Flows shows who opened connections to whom: the client, the server and its port,
how many connections are open, how many were opened and failed, bytes each way,
round trips and how long it took to connect. It asks the instance that runs at
--url, or reads the store in --store.

Flows are on demand: they are measured once somebody has switched them on, with
viperprobe set TARGET 'flow_*' on, in a policy, or with viperprobe run --families.

-o json is an array of {client, server, port, seconds, connections, connects,
failures, bytes_to_server, bytes_to_client, retransmits, rtt, connect_time}:
what was counted in so many seconds, and what was open in the last of them; times
in seconds. -o dot is for Graphviz: viperprobe flows -o dot | dot -Tsvg >map.svg` + codes(),
		Example: `  viperprobe flows
  viperprobe flows --since 1h --by workload
  viperprobe flows --target 'shop/**' --outside -o dot | dot -Tsvg >map.svg`,
		Args: noArgs,
	}
	s.bindPlace(c, "1m")
	s.flags.text(&by, "by", "grouping", "sum both ends by target, pod, workload, namespace or pattern")
	c.Flags().BoolVar(&outside, "outside", false, "all addresses that belong to no target as one: outside")
	s.flags.output(&output)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := s.check(time.Now()); err != nil {
			return usage(err)
		}
		r, err := s.open(c.Context())
		if err != nil {
			return err
		}
		m := flowMap{reader: r, selection: &s, by: store.Grouping(by.value), outside: outside}
		edges, err := m.read(c.Context(), p.families)
		if err := errors.Join(err, s.tellGaps(c, r), r.Close()); err != nil {
			return err
		}
		if len(edges) == 0 {
			return s.noFlows()
		}
		switch output.value {
		case "json":
			return writeJSON(c.OutOrStdout(), edges)
		case "dot":
			return writeDot(c.OutOrStdout(), edges)
		}
		return printFlows(c.OutOrStdout(), edges)
	}
	return c
}

// noFlows says why there is nothing to show, and what to do.
func (s *selection) noFlows() error {
	whose := "any target"
	if s.target != "" {
		whose = fmt.Sprintf("a target like %q", s.target)
	}
	return fmt.Errorf("no flows of %s between %s and %s; switch them on with `viperprobe set TARGET 'flow_*' on`, or measure them from the start with `viperprobe run --families 'default,flow_*'`",
		whose, s.from.Format(time.RFC3339), s.to.Format(time.RFC3339))
}

// A flowEdge is what one client, or clients summed, exchanged with one server at one port.
type flowEdge struct {
	Client  string  `json:"client"`
	Server  string  `json:"server"`
	Port    string  `json:"port"`    // "" where there are several
	Seconds float64 `json:"seconds"` // that were measured

	Connections float64 `json:"connections"` // that are open
	Connects    float64 `json:"connects"`
	Failures    float64 `json:"failures"`
	ToServer    float64 `json:"bytes_to_server"`
	ToClient    float64 `json:"bytes_to_client"`
	Retransmits float64 `json:"retransmits"`  // of both ends, as far as both are targets
	RTT         float64 `json:"rtt"`          // mean over open connections, 0 where there is none
	ConnectTime float64 `json:"connect_time"` // mean, 0 where nothing was opened by a target
}

func (e *flowEdge) key() [3]string { return [3]string{e.Client, e.Server, e.Port} }

// silent reports whether nothing was open and nothing counted.
func (e *flowEdge) silent() bool {
	return e.Connections+e.Connects+e.Failures+e.ToServer+e.ToClient+e.Retransmits == 0
}

// add sums b into e: means by how many they are of.
func (e *flowEdge) add(b *flowEdge) {
	e.RTT = mean(e.RTT, e.Connections, b.RTT, b.Connections)
	e.ConnectTime = mean(e.ConnectTime, e.Connects, b.ConnectTime, b.Connects)
	e.Connections += b.Connections
	e.Connects += b.Connects
	e.Failures += b.Failures
	e.ToServer += b.ToServer
	e.ToClient += b.ToClient
	e.Retransmits += b.Retransmits
}

// mean is that of two means of so many; one of 0 is not known.
func mean(a, na, b, nb float64) float64 {
	switch {
	case a == 0:
		return b
	case b == 0 || na+nb == 0:
		return a
	}
	return (a*na + b*nb) / (na + nb)
}

// flowFamily finds a family of flows; nil where this build has none.
func flowFamily(families []*metric.Family, name string) *metric.Family {
	if i := slices.IndexFunc(families, func(f *metric.Family) bool { return f.Name == name }); i >= 0 {
		return families[i]
	}
	return nil
}
