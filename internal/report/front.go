package report

import (
	"fmt"

	"viperprobe.dev/viperprobe/internal/analysis"
)

type frontSection struct {
	Rows     []frontRow
	CostUnit string
}

type frontRow struct {
	Algorithm, Cost, AP, Error, Lead string
	Series                           []string
	Chosen                           bool
}

type frontPlot struct {
	Algorithm string       `json:"algorithm"`
	Points    []frontPoint `json:"points"`
}

type frontPoint struct {
	Cost   float64  `json:"cost"`
	AP     float64  `json:"ap"`
	Low    float64  `json:"low"`
	High   float64  `json:"high"`
	Lead   *float64 `json:"lead"`
	Series []string `json:"series"`
	Chosen bool     `json:"chosen"`
}

// frontSection is the cheapest selection for each prediction, of the algorithms that search.
func (in Input) frontSection(d *plots) frontSection {
	s := frontSection{CostUnit: d.CostUnit}
	for _, r := range in.Results {
		plot := frontPlot{Algorithm: r.Algorithm}
		for _, p := range r.Front {
			names := in.names(p.Series)
			plot.Points = append(plot.Points, frontPoint{Cost: roundTo(p.Cost, 5), AP: roundTo(p.AP, 4), Low: roundTo(max(0, p.AP-p.Error), 4),
				High: roundTo(min(1, p.AP+p.Error), 4), Lead: finite(p.Lead, 4), Series: names, Chosen: p.Chosen})
			s.Rows = append(s.Rows, frontRow{Algorithm: r.Algorithm, Cost: number(p.Cost), AP: fmt.Sprintf("%.3f", p.AP), Error: fmt.Sprintf("%.3f", p.Error),
				Lead: duration(p.Lead), Series: names, Chosen: p.Chosen})
		}
		if len(plot.Points) > 0 {
			d.Fronts = append(d.Fronts, plot)
		}
	}
	return s
}

func (in Input) names(series []int) (out []string) {
	for _, i := range series {
		out = append(out, in.Recording.Series[i].Name)
	}
	return out
}

type droppedSection struct {
	Total, Kept string
	Groups      []dropGroup
}

type dropGroup struct {
	Reason, Meaning string
	Count           int
	Share           string // width of the bar, in percent
	Rows            []analysis.Drop
	More            int
}

// listedDrops bounds the rows of each reason.
const listedDrops = 1000

// droppedSection says what was thrown out before selection; it is the same for all algorithms.
func (in Input) droppedSection(r analysis.Result) droppedSection {
	n := len(in.Recording.Series)
	s := droppedSection{Total: plural(len(r.Dropped), "series was", "series were"), Kept: thousands(int64(n - len(r.Dropped)))}
	for _, g := range []dropGroup{
		{Reason: "constant", Meaning: "never, or hardly ever, move"},
		{Reason: "gaps", Meaning: "have too few values"},
		{Reason: analysis.Duplicate, Meaning: "run as another one of their container does"},
	} {
		for _, d := range r.Dropped {
			if d.Reason != g.Reason {
				continue
			}
			if g.Count++; g.Count <= listedDrops {
				g.Rows = append(g.Rows, d)
			} else {
				g.More++
			}
		}
		g.Share = fmt.Sprintf("%.1f", 100*float64(g.Count)/float64(max(1, n)))
		s.Groups = append(s.Groups, g)
	}
	return s
}
