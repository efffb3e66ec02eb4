package main

import (
	"viperprobe.dev/viperprobe/internal/analysis"
)

// What analyze -o json prints of one algorithm. Scripts rely on the first five fields.
type jsonAnalysis struct {
	Algorithm  string          `json:"algorithm"`
	K          int             `json:"k"`          // clusters, of all containers
	Silhouette *float64        `json:"silhouette"` // mean over containers, by their series; null without clusters
	Clusters   []jsonCluster   `json:"clusters"`
	Critical   []jsonCritical  `json:"critical"`
	Task       string          `json:"task"`
	Containers []jsonContainer `json:"containers"`
	Summaries  []jsonSummary   `json:"summaries"`
	Cost       jsonCost        `json:"cost"`
	Score      *jsonScore      `json:"score"` // on held-out runs; null if there is nothing to judge by
	Folds      []jsonFold      `json:"folds"`
	Front      []jsonPoint     `json:"front"`
	Edges      []jsonEdge      `json:"edges"`
	Guiding    string          `json:"guiding,omitempty"`
	Dropped    []jsonDrop      `json:"dropped"`
	Notes      []string        `json:"notes"`
}

type jsonCluster struct {
	Members        []string `json:"members"`
	Representative string   `json:"representative"`
	Container      string   `json:"container"`
}

type jsonCritical struct {
	Series    string   `json:"series"`
	Why       string   `json:"why"`
	Family    string   `json:"family"`
	Statistic string   `json:"statistic"`
	Label     string   `json:"label"`
	Container string   `json:"container"`
	Service   string   `json:"service"`
	Pattern   string   `json:"pattern"`
	Window    float64  `json:"window_seconds"`
	Threshold *float64 `json:"threshold"`
	Above     bool     `json:"above"`
	Precision float64  `json:"precision"`
	Recall    float64  `json:"recall"`
	Stability float64  `json:"stability"`
}

type jsonContainer struct {
	Container  string        `json:"container"`
	K          int           `json:"k"`
	Silhouette *float64      `json:"silhouette"`
	Choices    []jsonKChoice `json:"choices"`
}

type jsonKChoice struct {
	K          int      `json:"k"`
	Silhouette *float64 `json:"silhouette"`
}

type jsonSummary struct {
	Scope      string           `json:"scope"`
	Name       string           `json:"name"`
	Containers int              `json:"containers"`
	Families   []jsonFamilyUses `json:"families"`
}

type jsonFamilyUses struct {
	Family     string `json:"family"`
	Containers int    `json:"containers"`
}

type jsonCost struct {
	Total   float64  `json:"total"`
	Known   bool     `json:"known"` // false: the total counts what must be switched on
	Unknown []string `json:"unknown"`
}

type jsonScore struct {
	Recall       float64  `json:"recall"`
	Precision    float64  `json:"precision"`
	FalsePerHour float64  `json:"false_alarms_per_hour"`
	MedianLead   float64  `json:"median_lead_seconds"`
	TenthLead    float64  `json:"tenth_lead_seconds"`
	AP           *float64 `json:"average_precision"`
	Chance       *float64 `json:"chance"`
	Brier        *float64 `json:"brier"`
	Episodes     int      `json:"episodes"`
	Detected     int      `json:"detected"`
	Alarms       int      `json:"alarms"`
	Hours        float64  `json:"hours"`
}

type jsonFold struct {
	Held   []string  `json:"held"`
	Series []string  `json:"series"`
	Score  jsonScore `json:"score"`
}

type jsonPoint struct {
	Series []string `json:"series"`
	Cost   float64  `json:"cost"`
	AP     *float64 `json:"average_precision"`
	Error  *float64 `json:"error"`
	Lead   float64  `json:"median_lead_seconds"`
	Chosen bool     `json:"chosen"`
}

type jsonEdge struct {
	Cause         string  `json:"cause"`
	Effect        string  `json:"effect"`
	CauseService  string  `json:"cause_service"`
	EffectService string  `json:"effect_service"`
	F             float64 `json:"f"`
	P             float64 `json:"p"`
	Q             float64 `json:"q"`
}

type jsonDrop struct {
	Series string `json:"series"`
	Reason string `json:"reason"`
	Detail string `json:"detail"`
}

// encodeResult is a result with names for numbers of series.
func (x *analyzed) encodeResult(r analysis.Result) jsonAnalysis {
	out := jsonAnalysis{
		Algorithm: r.Algorithm, Task: string(r.Task), Guiding: r.Guiding, Score: encodeScore(r.Score),
		Clusters: []jsonCluster{}, Critical: []jsonCritical{}, Containers: []jsonContainer{}, Summaries: []jsonSummary{},
		Folds: []jsonFold{}, Front: []jsonPoint{}, Edges: []jsonEdge{}, Dropped: []jsonDrop{},
		Cost:  jsonCost{r.Cost, r.CostKnown, append([]string{}, r.Unknown...)},
		Notes: append(append([]string{}, x.recording.Notes...), r.Notes...),
	}
	out.shapes(x, r)
	for _, c := range r.Critical {
		out.Critical = append(out.Critical, jsonCritical{c.Name, c.Why, c.Family, c.Statistic, c.Label, c.Container, c.Service, c.Pattern,
			c.Window, orNull(c.Threshold), c.Above, c.Precision, c.Recall, c.Stability})
	}
	for _, s := range r.Summaries {
		uses := []jsonFamilyUses{}
		for _, f := range s.Families {
			uses = append(uses, jsonFamilyUses{f.Family, f.Containers})
		}
		out.Summaries = append(out.Summaries, jsonSummary{s.Scope, s.Name, s.Containers, uses})
	}
	for _, f := range r.Folds {
		out.Folds = append(out.Folds, jsonFold{f.Held, x.names(f.Series), *encodeScore(&f.Score)})
	}
	for _, p := range r.Front {
		out.Front = append(out.Front, jsonPoint{x.names(p.Series), p.Cost, orNull(p.AP), orNull(p.Error), p.Lead, p.Chosen})
	}
	for _, e := range r.Edges {
		out.Edges = append(out.Edges, jsonEdge{x.name(e.Cause), x.name(e.Effect), e.CauseService, e.EffectService, e.F, e.P, e.Q})
	}
	for _, d := range r.Dropped {
		out.Dropped = append(out.Dropped, jsonDrop{d.Name, d.Reason, d.Detail})
	}
	return out
}

// shapes encodes the clusters. A duplicate stands beside the series that was kept in
// its place.
func (out *jsonAnalysis) shapes(x *analyzed, r analysis.Result) {
	twins := map[int][]int{}
	for _, d := range r.Dropped {
		if d.Reason == analysis.Duplicate {
			twins[d.Like] = append(twins[d.Like], d.Series)
		}
	}
	total, weight := 0.0, 0.0
	for _, s := range r.Containers {
		out.K += s.K
		series := 0.0
		for _, c := range s.Clusters {
			var members []int
			for _, m := range c.Members {
				members = append(append(members, m), twins[m]...)
			}
			out.Clusters = append(out.Clusters, jsonCluster{x.names(members), x.name(c.Representative), s.Container})
			series += float64(len(c.Members))
		}
		total, weight = total+series*s.Silhouette, weight+series
		choices := []jsonKChoice{}
		for _, k := range s.Choices {
			choices = append(choices, jsonKChoice{k.K, orNull(k.Silhouette)})
		}
		out.Containers = append(out.Containers, jsonContainer{s.Container, s.K, orNull(s.Silhouette), choices})
	}
	if weight > 0 {
		out.Silhouette = orNull(total / weight)
	}
}

func encodeScore(s *analysis.Score) *jsonScore {
	if s == nil {
		return nil
	}
	return &jsonScore{s.Recall, s.Precision, s.FalsePerHour, s.MedianLead, s.TenthLead, orNull(s.AP), orNull(s.Chance), orNull(s.Brier),
		s.Events.Episodes, s.Events.Detected, s.Events.Alarms, s.Events.Hours}
}

func (x *analyzed) name(series int) string { return x.recording.Series[series].Name }

func (x *analyzed) names(series []int) []string {
	out := make([]string, len(series))
	for i, s := range series {
		out[i] = x.name(s)
	}
	return out
}
