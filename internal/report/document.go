package report

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"viperprobe.dev/viperprobe/internal/analysis"
)

// A document is what the template prints: every text that a reader sees, and the data of the plots.
type document struct {
	Title, Command, Version string
	Policy                  string // content security policy
	Style                   template.CSS
	Scripts                 []template.JS
	Data                    template.JS
	Licences                []string

	Lead    string // one sentence
	Tiles   []tile
	Chosen  chosenSection
	Compare compareSection
	Fronts  frontSection
	Shapes  shapesSection
	Causes  causesSection
	Dropped droppedSection
	Notes   []noteGroup
	Method  []fact
}

// A tile is a figure with its name.
type tile struct{ Value, Name, Detail string }

// A fact is a line of a definition list.
type fact struct{ Name, Text string }

type noteGroup struct {
	Algorithm string
	Notes     []string
}

// plots is the data of the plots, by section.
type plots struct {
	Step       float64          `json:"step"` // seconds a row
	Rows       int              `json:"rows"`
	Runs       []runSpan        `json:"runs"`
	Violations [][2]int         `json:"violations"` // rows, the end excluded
	Chosen     []seriesPlot     `json:"chosen"`
	Compare    []algorithmPlot  `json:"compare"`
	CostUnit   string           `json:"costUnit"`
	Fronts     []frontPlot      `json:"fronts"`
	Chance     float64          `json:"chance"`
	Silhouette []silhouettePlot `json:"silhouettes"`
	Shapes     []shapePlot      `json:"shapes"`
	Learnt     []float64        `json:"learnt"` // minutes at which runs meet, in the shapes
	Graph      *graphPlot       `json:"graph"`
}

type runSpan struct {
	Name     string `json:"name"`
	Workload string `json:"workload"`
	From     int    `json:"from"`
	To       int    `json:"to"`
	Held     bool   `json:"held"` // by name: nothing learnt from it
}

func makeDocument(in Input) (document, error) {
	main, err := in.chosen()
	if err != nil {
		return document{}, err
	}
	in.Recording.Step = cmp.Or(in.Recording.Step, 1)
	if len(in.Recording.Runs) == 0 {
		in.Recording.Runs = []analysis.Section{{Name: "all", To: in.rows()}}
	}
	result := in.Results[main]
	// Lists that stay empty are [] in JSON, not null.
	d := plots{Step: in.Recording.Step, Rows: in.rows(), Runs: in.runs(), Violations: violations(in.Recording.SLO), Chosen: []seriesPlot{}, Compare: []algorithmPlot{},
		CostUnit: in.costUnit(result), Fronts: []frontPlot{}, Silhouette: []silhouettePlot{}, Shapes: []shapePlot{}, Learnt: []float64{}}
	p := document{Title: cmp.Or(in.Title, "recording"), Command: in.Command, Version: in.Version, Style: template.CSS(asset("style.css"))}
	p.Chosen = in.chosenSection(result, &d)
	p.Compare = in.compareSection(main, &d)
	p.Fronts = in.frontSection(&d)
	if p.Shapes, err = in.shapesSection(&d); err != nil {
		return document{}, err
	}
	p.Causes = in.causesSection(&d)
	p.Dropped = in.droppedSection(result)
	p.Lead, p.Tiles = in.lead(result), in.tiles(result)
	p.Notes = in.notes(result)
	p.Method = in.method(result)
	if p.Data, err = embedded(d); err != nil {
		return document{}, fmt.Errorf("encode plots: %w", err)
	}
	for _, name := range []string{"d3.min.js", "plot.umd.min.js", "draw.js", "plots.js", "page.js"} {
		p.Scripts = append(p.Scripts, template.JS(asset(name)))
	}
	p.Licences = []string{"D3 7.9.0\n" + asset("d3.LICENSE"), "Observable Plot 0.6.17\n" + asset("plot.LICENSE")}
	p.Policy = securityPolicy(p.Scripts)
	return p, nil
}

// securityPolicy lets run what we wrote into the file, known by its hash, and nothing else; nothing may be loaded.
// Plot writes style elements into its drawings.
func securityPolicy(scripts []template.JS) string {
	var hashes []string
	for _, s := range scripts {
		sum := sha256.Sum256([]byte(s))
		hashes = append(hashes, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	}
	return "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'unsafe-inline'; script-src " + strings.Join(hashes, " ")
}

func (in Input) rows() int {
	if len(in.Recording.Series) == 0 {
		return 0
	}
	return len(in.Recording.Series[0].Values)
}

func (in Input) runs() (out []runSpan) {
	for _, r := range in.Recording.Runs {
		out = append(out, runSpan{r.Name, r.Workload, r.From, r.To, slices.Contains(in.Options.HoldOut, r.Name)})
	}
	return out
}

// violations are the stretches of violated rows.
func violations(slo []bool) [][2]int {
	out := [][2]int{}
	for i, v := range slo {
		if !v {
			continue
		}
		if n := len(out); n > 0 && out[n-1][1] == i {
			out[n-1][1] = i + 1
		} else {
			out = append(out, [2]int{i, i + 1})
		}
	}
	return out
}

// lead says the outcome in a sentence.
func (in Input) lead(r analysis.Result) string {
	s := fmt.Sprintf("Of %s, %s matter", plural(len(in.Recording.Series), "series", "series"), thousands(int64(len(r.Critical))))
	if len(r.Critical) == 1 {
		s += "s"
	}
	s += ", as " + r.Algorithm + " sees it."
	if r.Score == nil {
		return s + " Nothing was held out, so this report cannot say how well they predict."
	}
	e := r.Score.Events
	if r.Task == analysis.Diagnosis {
		return s + fmt.Sprintf(" On runs that it had not seen, the set told %d of %d violations.", e.Detected, e.Episodes)
	}
	s += fmt.Sprintf(" On runs that it had not seen, the set announced %d of %d violations", e.Detected, e.Episodes)
	if e.Detected > 0 {
		s += fmt.Sprintf(", half of them at least %s ahead", duration(r.Score.MedianLead))
	}
	return s + fmt.Sprintf("; %d of %d alarms were right.", e.True, e.Alarms)
}

func (in Input) tiles(r analysis.Result) []tile {
	out := []tile{{thousands(int64(len(r.Critical))), "series chosen", "of " + thousands(int64(len(in.Recording.Series)))}}
	if s := r.Score; s != nil {
		out = append(out,
			tile{percent(s.Recall), "recall", fmt.Sprintf("%d of %d violations announced", s.Events.Detected, s.Events.Episodes)},
			tile{percent(s.Precision), "precision", fmt.Sprintf("%d of %d alarms right", s.Events.True, s.Events.Alarms)},
			tile{duration(s.MedianLead), "median lead time", "nine of ten at least " + duration(s.TenthLead)})
	}
	cost := tile{number(r.Cost), "cost", in.costUnit(r)}
	for _, other := range in.Results {
		if other.Algorithm == "all" && other.Cost > 0 {
			cost.Detail = strings.TrimPrefix(fmt.Sprintf("%s; everything: %s", cost.Detail, number(other.Cost)), "; ")
		}
	}
	return append(out, cost)
}

// notes gathers what readers must know; what every algorithm says is said once.
func (in Input) notes(r analysis.Result) (out []noteGroup) {
	if doubts := in.doubts(r); len(doubts) > 0 {
		out = append(out, noteGroup{"How far to trust the figures", doubts})
	}
	if len(in.Notes) > 0 {
		out = append(out, noteGroup{"The recording", in.Notes})
	}
	count := map[string]int{}
	for _, r := range in.Results {
		for _, n := range r.Notes {
			count[n]++
		}
	}
	all := noteGroup{Algorithm: "All algorithms"}
	for _, n := range in.Results[0].Notes {
		if count[n] == len(in.Results) && !slices.Contains(all.Notes, n) {
			all.Notes = append(all.Notes, n)
		}
	}
	if len(all.Notes) > 0 {
		out = append(out, all)
	}
	for _, r := range in.Results {
		own := noteGroup{Algorithm: r.Algorithm}
		for _, n := range r.Notes {
			if !slices.Contains(all.Notes, n) {
				own.Notes = append(own.Notes, n)
			}
		}
		if len(own.Notes) > 0 {
			out = append(out, own)
		}
	}
	return out
}
