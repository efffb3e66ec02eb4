package report

import (
	"fmt"
	"slices"
	"strings"

	"viperprobe.dev/viperprobe/internal/analysis"
)

type compareSection struct {
	Rows     []compareRow
	Folds    []foldRow
	Sets     []setOf // what the other algorithms chose
	Failures []Failure
	Judged   bool // some row has a score
	CostUnit string
	Chance   string
}

type compareRow struct {
	Algorithm, Help                           string
	Chosen                                    bool
	AP, Recall, Precision, False, Lead, Tenth string
	Episodes, Alarms                          string
	Size, Cost                                string
}

type foldRow struct{ Held, Algorithm, AP, Recall, Precision, Lead, Series string }

type setOf struct {
	Algorithm string
	Series    []string
	More      int
}

// algorithmPlot has nothing but numbers; NaN is never among a score's.
type algorithmPlot struct {
	Algorithm string   `json:"algorithm"`
	Chosen    bool     `json:"chosen"`
	AP        *float64 `json:"ap"`
	Recall    *float64 `json:"recall"`
	Precision *float64 `json:"precision"`
	False     *float64 `json:"false"`
	Lead      *float64 `json:"lead"`
	Cost      float64  `json:"cost"`
	Size      int      `json:"size"`
}

// listedSet bounds the series that are named of each algorithm's set.
const listedSet = 50

func (in Input) compareSection(main int, d *plots) compareSection {
	s := compareSection{Failures: in.Failures, CostUnit: d.CostUnit}
	order := make([]int, len(in.Results))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return byScore(in.Results[a], in.Results[b]) })
	for _, i := range order {
		r := in.Results[i]
		row := compareRow{Algorithm: r.Algorithm, Help: helpOf(r.Algorithm), Chosen: i == main, Size: thousands(int64(len(r.Critical))),
			Cost: number(r.Cost), AP: "–", Recall: "–", Precision: "–", False: "–", Lead: "–", Tenth: "–"}
		plot := algorithmPlot{Algorithm: r.Algorithm, Chosen: i == main, Cost: roundTo(r.Cost, 6), Size: len(r.Critical)}
		if sc := r.Score; sc != nil {
			s.Judged = true
			d.Chance, s.Chance = sc.Chance, fmt.Sprintf("%.2f", sc.Chance)
			row.AP, row.Recall, row.Precision = fmt.Sprintf("%.3f", sc.AP), percent(sc.Recall), percent(sc.Precision)
			row.Episodes = fmt.Sprintf("%d of %d", sc.Events.Detected, sc.Events.Episodes)
			row.Alarms = fmt.Sprintf("%d of %d", sc.Events.True, sc.Events.Alarms)
			row.False = number(sc.FalsePerHour)
			plot.AP, plot.Recall, plot.Precision, plot.False = finite(sc.AP, 5), finite(sc.Recall, 5), finite(sc.Precision, 5), finite(sc.FalsePerHour, 5)
			if sc.Events.Detected > 0 {
				row.Lead, row.Tenth, plot.Lead = duration(sc.MedianLead), duration(sc.TenthLead), finite(sc.MedianLead, 5)
			}
		}
		s.Rows, d.Compare = append(s.Rows, row), append(d.Compare, plot)
		s.Folds = append(s.Folds, in.folds(r)...)
		s.Sets = append(s.Sets, setNames(r))
	}
	slices.SortStableFunc(s.Folds, func(a, b foldRow) int { return strings.Compare(a.Held, b.Held) })
	return s
}

// byScore puts the best average precision first, and results without a score last.
func byScore(a, b analysis.Result) int {
	value := func(r analysis.Result) float64 {
		if r.Score == nil {
			return -1
		}
		return r.Score.AP
	}
	switch x, y := value(a), value(b); {
	case x > y:
		return -1
	case x < y:
		return 1
	}
	return 0
}

func (in Input) folds(r analysis.Result) (out []foldRow) {
	for _, f := range r.Folds {
		row := foldRow{Held: strings.Join(f.Held, ", "), Algorithm: r.Algorithm, AP: fmt.Sprintf("%.3f", f.Score.AP), Lead: "–",
			Recall: percent(f.Score.Recall), Precision: percent(f.Score.Precision), Series: thousands(int64(len(f.Series)))}
		if f.Score.Events.Detected > 0 {
			row.Lead = duration(f.Score.MedianLead)
		}
		if f.Score.Events.Episodes == 0 {
			row.Recall = "no violation"
		}
		if f.Score.Events.Alarms == 0 {
			row.Precision = "no alarm"
		}
		out = append(out, row)
	}
	return out
}

func setNames(r analysis.Result) setOf {
	s := setOf{Algorithm: r.Algorithm}
	for _, c := range r.Critical {
		if len(s.Series) == listedSet {
			s.More = len(r.Critical) - listedSet
			break
		}
		s.Series = append(s.Series, c.Name)
	}
	return s
}
