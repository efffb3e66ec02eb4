package report

import (
	"fmt"
	"math"

	"viperprobe.dev/viperprobe/internal/analysis"
)

// drawnChosen bounds the plots of chosen series; the table has all of them.
const drawnChosen = 24

type chosenSection struct {
	Algorithm, Help string
	Rows            []chosenRow
	HasThreshold    bool
	HasStability    bool
	Left            string // what was not drawn
	SLO             bool
	Held            bool // some run is held out by name
	Whys            bool // the table has the sentences too: not every series is drawn
}

type chosenRow struct {
	Name, Family, Statistic, Container string
	Threshold                          string // "above 3.2 ms, mean over 15 s"
	Precision, Recall, Stability       string
	Why                                string
	Plot                               int // index into plots.Chosen, or -1
	Alt                                string
}

type seriesPlot struct {
	Name      string     `json:"name"`
	Unit      string     `json:"unit"`
	At        []int      `json:"at"` // rows
	Values    []*float64 `json:"values"`
	Threshold *float64   `json:"threshold"`
	Label     string     `json:"label"`
}

func (in Input) chosenSection(r analysis.Result, d *plots) chosenSection {
	s := chosenSection{Algorithm: r.Algorithm, Help: helpOf(r.Algorithm), SLO: in.Recording.SLO != nil, Held: len(in.Options.HoldOut) > 0}
	for n, c := range r.Critical {
		row := chosenRow{Name: c.Name, Family: familyOf(c), Statistic: c.Statistic, Container: c.Container, Why: c.Why, Plot: -1,
			Threshold: "–", Precision: "–", Recall: "–", Stability: "–"}
		unit := in.unit(c.Series)
		if !math.IsNaN(c.Threshold) {
			side := "above"
			if !c.Above {
				side = "below"
			}
			row.Threshold = fmt.Sprintf("%s %s, mean over %s", side, quantity(c.Threshold, unit), duration(c.Window))
			row.Precision, row.Recall = percent(c.Precision), percent(c.Recall)
			s.HasThreshold = true
		}
		if c.Stability > 0 {
			row.Stability = percent(c.Stability)
			s.HasStability = true
		}
		if n < drawnChosen {
			row.Plot = len(d.Chosen)
			plot, alt := in.seriesPlot(c, unit)
			row.Alt = alt
			d.Chosen = append(d.Chosen, plot)
		}
		s.Rows = append(s.Rows, row)
	}
	if len(r.Critical) > drawnChosen {
		s.Whys = true
		s.Left = fmt.Sprintf("The first %d of %d are drawn; the table has all of them.", drawnChosen, len(r.Critical))
	}
	return s
}

// familyOf is a family, with the label in parentheses where it has several series.
func familyOf(c analysis.Critical) string {
	if c.Label == "" {
		return c.Family
	}
	return c.Family + "(" + c.Label + ")"
}

// seriesPlot draws a series over all runs; lines do not cross from one to the next.
func (in Input) seriesPlot(c analysis.Critical, unit string) (seriesPlot, string) {
	values := in.Recording.Series[c.Series].Values
	low, high := bounds(values)
	s := scaleFor(unit, max(math.Abs(low), math.Abs(high)))
	p := seriesPlot{Name: c.Name, Unit: s.unit}
	for _, run := range in.Recording.Runs {
		part := values[run.From:run.To]
		at, v := extremes(part, max(2, seriesPoints*len(part)/max(1, len(values))))
		for i := range at {
			p.At = append(p.At, run.From+at[i])
			p.Values = append(p.Values, finite(v[i]*s.factor, 5))
		}
		p.At, p.Values = append(p.At, run.To), append(p.Values, nil)
	}
	alt := fmt.Sprintf("%s over all runs, between %s and %s", c.Name, quantity(low, unit), quantity(high, unit))
	if !math.IsNaN(c.Threshold) {
		p.Threshold = finite(c.Threshold*s.factor, 6)
		p.Label = quantity(c.Threshold, unit)
		alt += ", threshold " + p.Label
	}
	if in.Recording.SLO != nil {
		alt += "; violations of the SLO are shaded"
	}
	return p, alt + "."
}

// finite is a number for JSON: NaN and infinities have none.
func finite(v float64, digits int) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	v = roundTo(v, digits)
	return &v
}

func helpOf(algorithm string) string {
	for _, a := range analysis.Algorithms() {
		if a.Name == algorithm {
			return a.Help
		}
	}
	return ""
}
