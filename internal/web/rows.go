package web

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/store"
)

// A rowLine is one line of the answer to /api/query: a row, or the fault that
// ended it. Quantiles of nothing are null.
type rowLine struct {
	Time   time.Time `json:"time,omitzero"`
	Target string    `json:"target"`
	Labels []string  `json:"labels,omitempty"`

	Namespace string `json:"namespace,omitempty"`
	Pod       string `json:"pod,omitempty"`
	Workload  string `json:"workload,omitempty"`
	Pattern   string `json:"pattern,omitempty"`

	Value  float64  `json:"value"`
	Hist   *rowHist `json:"histogram,omitempty"`
	Ratio  float64  `json:"ratio,omitempty"`          // not all events were looked at: the value is an estimate ...
	Spread float64  `json:"standard_error,omitempty"` // ... with this standard error, since the row before
	Error  string   `json:"error,omitempty"`
}

type rowHist struct {
	Count float64  `json:"count"`
	Sum   float64  `json:"sum"`
	P50   *float64 `json:"p50"`
	P90   *float64 `json:"p90"`
	P99   *float64 `json:"p99"`
}

type gapLine struct {
	Node   string    `json:"node"`
	Reason string    `json:"reason"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
}

// rows answers /api/query?family=&target=&start=&end=&step=&by=&rate= with JSON
// lines, in the order of store.Reader.Range. Of the times, both may be left out.
func (s *server) rows(w http.ResponseWriter, r *http.Request) {
	q, err := s.rowQuery(r.URL.Query())
	if err != nil {
		s.refuse(w, http.StatusBadRequest, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := bufio.NewWriterSize(w, 64<<10)
	e := json.NewEncoder(out)
	for row, err := range s.Store.Range(r.Context(), q) {
		var line any
		if err != nil {
			line = fault{err.Error()}
		} else {
			line = encodeRow(row, q.Family)
		}
		if e.Encode(line) != nil {
			return // the client went away
		}
	}
	if err := out.Flush(); err != nil {
		s.Log.Debug("write answer", "err", err)
	}
}

func (s *server) rowQuery(form url.Values) (store.Query, error) {
	p := params{form: form}
	q := store.Query{
		Target: form.Get("target"), By: store.Grouping(form.Get("by")), Rate: form.Get("rate") == "true",
		Step: p.duration("step", 0),
	}
	q.From, q.To = p.lately()
	for _, f := range s.Families {
		if f.Is(form.Get("family")) {
			q.Family = f
		}
	}
	switch {
	case s.Store == nil:
		return q, errors.New("there is no store here")
	case q.Family == nil:
		return q, fmt.Errorf("invalid parameter %q: unknown family %q", "family", form.Get("family"))
	}
	return q, p.err
}

func (s *server) gaps(w http.ResponseWriter, r *http.Request) {
	p := params{form: r.URL.Query()}
	from, to := p.lately()
	if s.Store == nil {
		p.fail("start", errors.New("there is no store here"))
	}
	var gaps []store.Gap
	err := p.err
	if err == nil {
		gaps, err = s.Store.Gaps(r.Context(), from, to)
	}
	if err != nil {
		s.refuse(w, http.StatusBadRequest, err)
		return
	}
	lines := []gapLine{}
	for _, g := range gaps {
		lines = append(lines, gapLine{g.Node, g.Reason, g.From, g.To})
	}
	s.json(w, lines)
}

func encodeRow(r store.Row, f *metric.Family) rowLine {
	line := rowLine{
		Time: r.Time, Target: r.Target, Value: r.Value, Labels: r.Labels[:len(f.Labels)],
		Namespace: r.Namespace, Pod: r.Pod, Workload: r.Workload, Pattern: r.Pattern,
	}
	line.Ratio, line.Spread = r.Ratio, r.Error
	if f.Kind == metric.Histogram {
		number := func(x float64) *float64 {
			if math.IsNaN(x) {
				return nil
			}
			return &x
		}
		line.Hist = &rowHist{r.Count, r.Sum, number(r.P50), number(r.P90), number(r.P99)}
	}
	return line
}

func decodeRow(line rowLine) store.Row {
	r := store.Row{
		Time: line.Time, Target: line.Target, Value: line.Value, Ratio: line.Ratio, Error: line.Spread,
		Namespace: line.Namespace, Pod: line.Pod, Workload: line.Workload, Pattern: line.Pattern,
	}
	copy(r.Labels[:], line.Labels)
	if h := line.Hist; h != nil {
		number := func(x *float64) float64 {
			if x == nil {
				return math.NaN()
			}
			return *x
		}
		r.Count, r.Sum, r.P50, r.P90, r.P99 = h.Count, h.Sum, number(h.P50), number(h.P90), number(h.P99)
	}
	return r
}
