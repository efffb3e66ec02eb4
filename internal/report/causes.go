package report

import (
	"fmt"
	"slices"
	"strings"

	"viperprobe.dev/viperprobe/internal/analysis"
)

const (
	drawnServices = 40  // in the graph: more cannot be told apart
	listedEdges   = 500 // in the table
)

type causesSection struct {
	Tested   bool // some algorithm looked for causes
	Guiding  string
	Rows     []edgeRow
	More     int
	Services []serviceRow // whom each drives, in words
	Left     string
}

type edgeRow struct{ CauseService, Cause, EffectService, Effect, F, Q string }

type serviceRow struct {
	Name   string
	Drives []string // "cart (3 relations)"
}

type graphPlot struct {
	Nodes []graphNode `json:"nodes"`
	Calls [][2]int    `json:"calls"`
	Edges []graphEdge `json:"edges"`
	Depth int         `json:"depth"`
	Width int         `json:"width"` // most nodes of a layer
}

type graphNode struct {
	Name  string  `json:"name"`
	Layer int     `json:"layer"`
	Place float64 `json:"place"` // within its layer, 0 in the middle
}

type graphEdge struct {
	From  int    `json:"from"`
	To    int    `json:"to"`
	Count int    `json:"count"`
	Text  string `json:"text"`
}

// causesSection draws who drives whom between services. Where it lies on is the graph of calls.
func (in Input) causesSection(d *plots) (s causesSection) {
	for _, r := range in.Results {
		if r.Algorithm != "sieve" && len(r.Edges) == 0 {
			continue
		}
		s.Tested, s.Guiding = true, r.Guiding
		for n, e := range r.Edges {
			if n == listedEdges {
				s.More = len(r.Edges) - n
				break
			}
			s.Rows = append(s.Rows, edgeRow{e.CauseService, in.Recording.Series[e.Cause].Name, e.EffectService, in.Recording.Series[e.Effect].Name, number(e.F), number(e.Q)})
		}
		in.graph(r.Edges, &s, d)
		break
	}
	return s
}

// graph counts relations between services, and places the services by who calls whom.
func (in Input) graph(drives []analysis.Drives, s *causesSection, d *plots) {
	nodes := servicesOf(in.Recording.Calls, drives)
	if len(nodes) > drawnServices {
		s.Left = fmt.Sprintf("%d services are too many to draw; the table has all relations.", len(nodes))
	}
	index := map[string]int{}
	for i, n := range nodes {
		index[n] = i
	}
	g := graphPlot{}
	for _, c := range in.Recording.Calls {
		if pair := [2]int{index[c.Caller], index[c.Callee]}; c.Caller != c.Callee && !slices.Contains(g.Calls, pair) {
			g.Calls = append(g.Calls, pair)
		}
	}
	at := map[[2]int]int{}
	for _, e := range drives {
		key := [2]int{index[e.CauseService], index[e.EffectService]}
		n, ok := at[key]
		if !ok {
			n = len(g.Edges)
			at[key] = n
			g.Edges = append(g.Edges, graphEdge{From: key[0], To: key[1]})
		}
		g.Edges[n].Count++
	}
	for i, name := range nodes {
		row := serviceRow{Name: name}
		for n := range g.Edges {
			e := &g.Edges[n]
			e.Text = fmt.Sprintf("%s drives %s: %s", nodes[e.From], nodes[e.To], plural(e.Count, "relation", "relations"))
			if e.From == i {
				row.Drives = append(row.Drives, fmt.Sprintf("%s (%s)", nodes[e.To], plural(e.Count, "relation", "relations")))
			}
		}
		s.Services = append(s.Services, row)
	}
	if len(nodes) == 0 || len(nodes) > drawnServices {
		return
	}
	g.place(nodes)
	d.Graph = &g
}

func servicesOf(calls []analysis.Call, drives []analysis.Drives) (out []string) {
	add := func(names ...string) {
		for _, n := range names {
			if !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
	}
	for _, c := range calls {
		add(c.Caller, c.Callee)
	}
	for _, e := range drives {
		add(e.CauseService, e.EffectService)
	}
	return out
}

// place puts each service one layer below the deepest of its callers (Sugiyama et al. 1981); calls that close a
// circle do not count. Within a layer, services lie as near to their callers as they can: three sweeps of medians.
func (g *graphPlot) place(names []string) {
	layer := make([]int, len(names))
	for range names {
		for _, c := range g.Calls {
			if deeper := layer[c[0]] + 1; layer[c[1]] < deeper && deeper < len(names) && !g.reaches(c[1], c[0]) {
				layer[c[1]] = deeper
			}
		}
	}
	layers := map[int][]int{}
	for i, l := range layer {
		layers[l] = append(layers[l], i)
		g.Depth, g.Width = max(g.Depth, l+1), max(g.Width, len(layers[l]))
		g.Nodes = append(g.Nodes, graphNode{Name: names[i], Layer: l})
	}
	for range 3 {
		for l := range g.Depth {
			slices.SortStableFunc(layers[l], func(a, b int) int {
				x, y := g.pull(a), g.pull(b)
				switch {
				case x < y:
					return -1
				case x > y:
					return 1
				}
				return strings.Compare(names[a], names[b])
			})
			for n, i := range layers[l] {
				g.Nodes[i].Place = float64(n) - float64(len(layers[l])-1)/2
			}
		}
	}
}

// reaches tells whether calls lead from one service to another.
func (g *graphPlot) reaches(from, to int) bool {
	seen := map[int]bool{from: true}
	for queue := []int{from}; len(queue) > 0; queue = queue[1:] {
		if queue[0] == to {
			return true
		}
		for _, c := range g.Calls {
			if c[0] == queue[0] && !seen[c[1]] {
				seen[c[1]] = true
				queue = append(queue, c[1])
			}
		}
	}
	return false
}

// pull is the mean place of a service's neighbours.
func (g *graphPlot) pull(node int) float64 {
	total, n := 0.0, 0.0
	for _, c := range g.Calls {
		switch node {
		case c[0]:
			total, n = total+g.Nodes[c[1]].Place, n+1
		case c[1]:
			total, n = total+g.Nodes[c[0]].Place, n+1
		}
	}
	return total / max(1, n)
}
