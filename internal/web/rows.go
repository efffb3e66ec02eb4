package web

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
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
	Value  float64   `json:"value"`
	Hist   *rowHist  `json:"histogram,omitempty"`
	Error  string    `json:"error,omitempty"`
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
// lines, in the order of store.Reader.Range.
func (s *server) rows(w http.ResponseWriter, r *http.Request) {
	q, err := s.rowQuery(r.URL.Query())
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		s.json(w, rowLine{Error: err.Error()})
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := bufio.NewWriterSize(w, 64<<10)
	e := json.NewEncoder(out)
	for row, err := range s.Store.Range(r.Context(), q) {
		line := encodeRow(row, q.Family)
		if err != nil {
			line = rowLine{Error: err.Error()}
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
		From: p.needTime("start"), To: p.needTime("end"), Step: p.duration("step", 0),
	}
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
	from, to := p.needTime("start"), p.needTime("end")
	if s.Store == nil {
		p.fail("start", errors.New("there is no store here"))
	}
	var gaps []store.Gap
	err := p.err
	if err == nil {
		gaps, err = s.Store.Gaps(r.Context(), from, to)
	}
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		s.json(w, rowLine{Error: err.Error()})
		return
	}
	lines := []gapLine{}
	for _, g := range gaps {
		lines = append(lines, gapLine{g.Node, g.Reason, g.From, g.To})
	}
	s.json(w, lines)
}

func encodeRow(r store.Row, f *metric.Family) rowLine {
	line := rowLine{Time: r.Time, Target: r.Target, Value: r.Value, Labels: r.Labels[:len(f.Labels)]}
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
	r := store.Row{Time: line.Time, Target: line.Target, Value: line.Value}
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

// A Remote reads the store of a running instance through its API. It is safe for
// concurrent use.
type Remote struct {
	URL    string // http://127.0.0.1:9733; may hold user:password@
	Client *http.Client
}

// maxLine bounds one line of an answer.
const maxLine = 1 << 20

// Range is store.Reader.Range over there.
func (m *Remote) Range(ctx context.Context, q store.Query) iter.Seq2[store.Row, error] {
	form := url.Values{
		"family": {q.Family.Name}, "target": {q.Target}, "by": {string(q.By)}, "rate": {strconv.FormatBool(q.Rate)},
		"start": {q.From.Format(time.RFC3339Nano)}, "end": {q.To.Format(time.RFC3339Nano)}, "step": {strconv.FormatFloat(q.Step.Seconds(), 'f', -1, 64)},
	}
	return func(yield func(store.Row, error) bool) {
		body, err := m.get(ctx, "/api/query", form)
		if err != nil {
			yield(store.Row{}, err)
			return
		}
		defer body.Close()
		lines := bufio.NewScanner(body)
		lines.Buffer(nil, maxLine)
		for lines.Scan() {
			var line rowLine
			err := json.Unmarshal(lines.Bytes(), &line)
			if err == nil && line.Error != "" {
				err = errors.New(line.Error)
			}
			if !yield(decodeRow(line), err) || err != nil {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(store.Row{}, fmt.Errorf("read answer of %s: %w", m.host(), err))
		}
	}
}

// Gaps is store.Reader.Gaps over there.
func (m *Remote) Gaps(ctx context.Context, from, to time.Time) ([]store.Gap, error) {
	body, err := m.get(ctx, "/api/gaps", url.Values{"start": {from.Format(time.RFC3339Nano)}, "end": {to.Format(time.RFC3339Nano)}})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var lines []gapLine
	if err := json.NewDecoder(io.LimitReader(body, 64<<20)).Decode(&lines); err != nil {
		return nil, fmt.Errorf("read answer of %s: %w", m.host(), err)
	}
	var gaps []store.Gap
	for _, l := range lines {
		gaps = append(gaps, store.Gap{Node: l.Node, Reason: l.Reason, From: l.From, To: l.To})
	}
	return gaps, nil
}

// Close does nothing: each call has a connection of its own.
func (m *Remote) Close() error { return nil }

// host is the address without a password.
func (m *Remote) host() string {
	if u, err := url.Parse(m.URL); err == nil {
		return u.Redacted()
	}
	return "the server"
}

func (m *Remote) get(ctx context.Context, path string, form url.Values) (io.ReadCloser, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(m.URL, "/")+path+"?"+form.Encode(), nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", m.host(), err)
	}
	res, err := m.Client.Do(r)
	if err != nil {
		return nil, err
	}
	if res.StatusCode == http.StatusOK {
		return res.Body, nil
	}
	defer res.Body.Close()
	var line rowLine
	if err := json.NewDecoder(io.LimitReader(res.Body, maxLine)).Decode(&line); err != nil || line.Error == "" {
		if res.StatusCode == http.StatusUnauthorized {
			return nil, fmt.Errorf("ask %s: it wants a password; put it into the address: http://USER:PASSWORD@HOST:PORT", m.host())
		}
		return nil, fmt.Errorf("ask %s: it answered %s; is it a viperprobe of this version?", m.host(), res.Status)
	}
	return nil, errors.New(line.Error)
}
