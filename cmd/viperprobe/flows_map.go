package main

import (
	"cmp"
	"context"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/probe"
	"viperprobe.dev/viperprobe/internal/store"
)

// outsideName is what --outside sums addresses under.
const outsideName = "outside"

// A flowMap reads flows and joins what both ends told of each.
type flowMap struct {
	reader
	*selection
	by      store.Grouping
	outside bool
}

// A flowHalf is what one end told of a flow, by family.
type flowHalf map[string]float64

// halves are what client and server told of one flow; nil: nothing.
type halves struct{ client, server flowHalf }

func (m *flowMap) read(ctx context.Context, families []*metric.Family) ([]*flowEdge, error) {
	pairs, groups := map[[2]string]*halves{}, map[string]string{}
	for _, f := range families {
		if !strings.HasPrefix(f.Name, "flow_") {
			continue
		}
		if err := m.family(ctx, f, pairs, groups); err != nil {
			return nil, err
		}
	}
	seconds, err := m.measured(ctx, flowFamily(families, "agent_targets"))
	if err != nil {
		return nil, err
	}
	sums := map[[3]string]*flowEdge{}
	for labels, h := range pairs {
		e := h.edge()
		if e.silent() {
			continue
		}
		e.Client = m.group(labels[0], groups)
		name, port := splitServer(labels[1])
		e.Server, e.Port, e.Seconds = m.group(name, groups), port, seconds
		if sum := sums[e.key()]; sum != nil {
			sum.add(e)
		} else {
			sums[e.key()] = e
		}
	}
	edges := make([]*flowEdge, 0, len(sums))
	for _, e := range sums {
		edges = append(edges, e)
	}
	slices.SortFunc(edges, func(a, b *flowEdge) int {
		return cmp.Or(cmp.Compare(b.ToServer+b.ToClient, a.ToServer+a.ToClient), slices.Compare([]string{a.Client, a.Server, a.Port}, []string{b.Client, b.Server, b.Port}))
	})
	return edges, nil
}

// family takes what both ends told of one family in the whole time: counters in sum,
// gauges as they were at last.
func (m *flowMap) family(ctx context.Context, f *metric.Family, pairs map[[2]string]*halves, groups map[string]string) error {
	q := m.query(f)
	q.By, q.Step, q.Rate = store.ByTarget, m.to.Sub(m.from), f.Kind == metric.Counter
	latest := map[flowHalfKey]time.Time{}
	for row, err := range m.Range(ctx, q) {
		if err != nil {
			return err
		}
		groups[row.Target] = m.groupOf(&row)
		pair := pairs[row.Labels]
		if pair == nil {
			pair = &halves{}
			pairs[row.Labels] = pair
		}
		half := &pair.server
		if row.Target == row.Labels[0] {
			half = &pair.client
		}
		if *half == nil {
			*half = flowHalf{}
		}
		key := flowHalfKey{row.Labels, row.Target}
		switch {
		case f.Kind == metric.Counter:
			(*half)[f.Name] += row.Value * q.Step.Seconds()
		case row.Time.After(latest[key]):
			(*half)[f.Name], latest[key] = row.Value, row.Time
		}
	}
	return nil
}

type flowHalfKey struct {
	labels [2]string
	target string
}

// edge joins both ends: bytes and connections as the client told them, since it knows
// of those that failed as well, else as the server did.
func (h *halves) edge() *flowEdge {
	e := &flowEdge{Retransmits: h.client["flow_retransmits"] + h.server["flow_retransmits"]}
	if h.client != nil {
		e.ToServer, e.ToClient = h.client["flow_sent_bytes"], h.client["flow_received_bytes"]
	} else {
		e.ToServer, e.ToClient = h.server["flow_received_bytes"], h.server["flow_sent_bytes"]
	}
	told := h.client
	if told == nil {
		told = h.server
	}
	e.Connections, e.Connects, e.Failures, e.RTT = told["flow_connections"], told["flow_connects"], told["flow_connect_failures"], told["flow_srtt"]
	if e.Connects > 0 {
		e.ConnectTime = told["flow_connect_time"] / e.Connects
	}
	return e
}

// measured is how many seconds of the time asked for were measured.
func (m *flowMap) measured(ctx context.Context, f *metric.Family) (float64, error) {
	whole := m.to.Sub(m.from)
	if f == nil {
		return whole.Seconds(), nil
	}
	q := store.Query{Family: f, From: m.from, To: m.to, By: store.ByTarget}
	const rows = 600
	if whole > rows*time.Second {
		q.Step = whole / rows
	}
	var first, last time.Time
	n := 0
	for row, err := range m.Range(ctx, q) {
		if err != nil {
			return 0, err
		}
		if n++; n == 1 {
			first = row.Time
		}
		last = row.Time
	}
	if n < 2 {
		return min(1, whole.Seconds()), nil
	}
	span := last.Sub(first)
	return min(whole, span+span/time.Duration(n-1)).Seconds(), nil
}

// groupOf is what a target that told something is summed under.
func (m *flowMap) groupOf(r *store.Row) string {
	switch {
	case m.by == store.ByPod && r.Pod != "":
		return path.Join(r.Namespace, r.Pod)
	case m.by == store.ByNamespace && r.Namespace != "":
		return r.Namespace
	case m.by == store.ByWorkload && r.Workload != "":
		return path.Join(r.Namespace, r.Workload)
	case m.by == store.ByPattern && r.Pattern != "":
		return r.Pattern
	}
	return r.Target
}

// group is what an end of a flow is summed under: one that told nothing is its name.
func (m *flowMap) group(name string, groups map[string]string) string {
	if group, told := groups[name]; told {
		return group
	}
	if m.outside && isOutside(name) {
		return outsideName
	}
	return name
}

// isOutside reports whether an end of a flow is no target.
func isOutside(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil || name == probe.FlowInternet || name == outsideName
}

// splitServer takes the port off a server; other has none.
func splitServer(label string) (name, port string) {
	i := strings.LastIndexByte(label, ':')
	if i < 0 || strings.Trim(label[i+1:], "0123456789") != "" {
		return label, ""
	}
	return strings.TrimSuffix(strings.TrimPrefix(label[:i], "["), "]"), label[i+1:]
}
