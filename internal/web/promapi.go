package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"

	"viperprobe.dev/viperprobe/internal/metric"
)

// compatible is the Prometheus whose API this is, which clients ask for.
const compatible = "3.14.0"

// prometheus adds the query API of Prometheus.
func (s *server) prometheus(mux *http.ServeMux) {
	for path, answer := range map[string]func(context.Context, *params) answer{
		"query":               s.query,
		"query_range":         s.queryRange,
		"series":              s.series,
		"labels":              s.labelNames,
		"label/{name}/values": s.labelValues,
		"metadata":            s.metadata,
		"status/buildinfo":    s.buildinfo,
	} {
		h := func(w http.ResponseWriter, r *http.Request) { s.promAnswer(w, r, answer) }
		mux.HandleFunc("GET /api/v1/"+path, h)
		mux.HandleFunc("POST /api/v1/"+path, h)
	}
}

// An answer is what one handler says: data already encoded, or a fault.
type answer struct {
	data            []byte
	warnings, infos []string
	err             error
}

// A badData error is the client's fault; a missing one names what is not there.
type (
	badData struct{ error }
	missing struct{ error }
)

func bad(format string, args ...any) answer { return answer{err: badData{fmt.Errorf(format, args...)}} }

func (s *server) promAnswer(w http.ResponseWriter, r *http.Request, f func(context.Context, *params) answer) {
	w.Header().Set("Content-Type", "application/json")
	a := answer{}
	if s.Store == nil {
		a.err = missing{errors.New("there is no store here")}
	} else if err := r.ParseForm(); err != nil {
		a.err = badData{fmt.Errorf("parse form: %w", err)}
	} else {
		p := &params{form: r.Form, name: r.PathValue("name")}
		ctx := r.Context()
		if d := p.duration("timeout", 0); d > 0 {
			limited, cancel := context.WithTimeout(ctx, d)
			defer cancel()
			ctx = limited
		}
		if a = f(ctx, p); a.err == nil && p.err != nil {
			a.err = badData{p.err}
		}
	}
	status, body := http.StatusOK, []byte(nil)
	if a.err != nil {
		kind, code := faultOf(a.err)
		status = code
		body = append(append(body, `{"status":"error","errorType":"`...), kind...)
		body = append(appendString(append(body, `","error":`...), a.err.Error()), '}')
	} else {
		body = append(append(body, `{"status":"success","data":`...), a.data...)
		if len(a.warnings) > 0 {
			body = appendStrings(append(body, `,"warnings":`...), a.warnings)
		}
		if len(a.infos) > 0 {
			body = appendStrings(append(body, `,"infos":`...), a.infos)
		}
		body = append(body, '}')
	}
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil {
		s.Log.Debug("write answer", "err", err)
	}
}

// faultOf is Prometheus' word and status for an error.
func faultOf(err error) (kind string, status int) {
	var (
		data     badData
		none     missing
		canceled promql.ErrQueryCanceled
		timeout  promql.ErrQueryTimeout
		inside   promql.ErrStorage
	)
	switch {
	case errors.As(err, &data):
		return "bad_data", http.StatusBadRequest
	case errors.As(err, &none):
		return "not_found", http.StatusNotFound
	case errors.As(err, &canceled), errors.Is(err, context.Canceled):
		return "canceled", 499
	case errors.As(err, &timeout), errors.Is(err, context.DeadlineExceeded):
		return "timeout", http.StatusServiceUnavailable
	case errors.As(err, &inside):
		return "internal", http.StatusInternalServerError
	}
	return "execution", http.StatusUnprocessableEntity
}

func (s *server) query(ctx context.Context, p *params) answer {
	at := p.time("time", time.Now())
	if p.err != nil {
		return answer{}
	}
	r, err := s.Store.Instant(ctx, p.form.Get("query"), at)
	return result(p.form.Get("query"), r, err)
}

// maxPoints is how many steps one range query may have, as with Prometheus.
const maxPoints = 11_000

func (s *server) queryRange(ctx context.Context, p *params) answer {
	from, to, step := p.needTime("start"), p.needTime("end"), p.needDuration("step")
	switch {
	case p.err != nil:
		return answer{}
	case to.Before(from):
		return bad(`invalid parameter "end": end timestamp must not be before start time`)
	case step < time.Millisecond:
		return bad(`invalid parameter "step": zero or negative query resolution step widths are not accepted. Try a positive integer`)
	case to.Sub(from)/step > maxPoints:
		return bad("exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)")
	}
	r, err := s.Store.Steps(ctx, p.form.Get("query"), from, to, step)
	return result(p.form.Get("query"), r, err)
}

func result(query string, r *promql.Result, err error) answer {
	if err != nil {
		return bad(`invalid parameter "query": %w`, err)
	}
	if r.Err != nil {
		return answer{err: r.Err}
	}
	warnings, infos := r.Warnings.AsStrings(query, 10, 10)
	return answer{data: appendValue(nil, r.Value), warnings: warnings, infos: infos}
}

func (s *server) series(ctx context.Context, p *params) answer {
	matches, limit := s.selectors(p), p.limit()
	from, to := p.span()
	if p.err == nil && len(matches) == 0 {
		return bad("no match[] parameter provided")
	}
	if p.err != nil {
		return answer{}
	}
	found, err := s.Store.Series(ctx, matches, from, to, limit)
	data := []byte{'['}
	for i := range found {
		data = appendLabels(comma(data, i), found[i])
	}
	return answer{data: append(data, ']'), err: err}
}

func (s *server) labelNames(ctx context.Context, p *params) answer {
	matches, limit := s.selectors(p), p.limit()
	from, to := p.span()
	if p.err != nil {
		return answer{}
	}
	names, err := s.Store.LabelNames(ctx, matches, from, to)
	return list(names, limit, err)
}

func (s *server) labelValues(ctx context.Context, p *params) answer {
	matches, limit := s.selectors(p), p.limit()
	from, to := p.span()
	if p.err != nil {
		return answer{}
	}
	values, err := s.Store.LabelValues(ctx, p.name, matches, from, to)
	return list(values, limit, err)
}

func list(words []string, limit int, err error) answer {
	a := answer{err: err}
	if limit > 0 && len(words) > limit {
		words, a.warnings = words[:limit], []string{"results truncated due to limit"}
	}
	a.data = appendStrings(nil, words)
	return a
}

func (s *server) selectors(p *params) [][]*labels.Matcher {
	texts := p.form["match[]"]
	if len(texts) == 0 || p.err != nil {
		return nil
	}
	matches, err := s.Store.Selectors(texts)
	if err != nil {
		p.fail("match[]", err)
	}
	return matches
}

// metadata is the catalogue in Prometheus' form.
func (s *server) metadata(_ context.Context, p *params) answer {
	limit, only := p.limit(), p.form.Get("metric")
	families := slices.SortedFunc(slices.Values(s.Families), func(a, b *metric.Family) int { return cmp.Compare(a.PromName(), b.PromName()) })
	data, n := []byte{'{'}, 0
	for _, f := range families {
		if only != "" && f.PromName() != only || limit > 0 && n >= limit {
			continue
		}
		data = append(appendString(comma(data, n), f.PromName()), `:[{"type":"`...)
		data = append(append(data, f.Kind...), `","help":`...)
		data = append(appendString(data, f.Help), `,"unit":""}]`...)
		n++
	}
	return answer{data: append(data, '}')}
}

func (s *server) buildinfo(context.Context, *params) answer {
	data := append([]byte(nil), `{"version":"`+compatible+`","revision":"","branch":"","buildUser":"","buildDate":"","goVersion":`...)
	data = append(appendString(data, runtime.Version()), `,"viperprobe":`...)
	return answer{data: append(appendString(data, s.Version), '}')}
}

func comma(data []byte, i int) []byte {
	if i > 0 {
		data = append(data, ',')
	}
	return data
}
