package recording

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/api"
	prom "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

// A Prometheus says what to read through the HTTP API of a Prometheus, or of anything
// else that has it.
type Prometheus struct {
	URL       string   // http://host:9090; may hold user:password@
	Match     []string // series selectors
	From, To  time.Time
	Step      time.Duration
	Window    time.Duration     // of rates; 0: four steps, which should be a scrape interval each at the least
	Transport http.RoundTripper // nil: http.DefaultTransport
}

// IsPrometheus tells a source that ParsePrometheus reads.
func IsPrometheus(source string) bool {
	return strings.HasPrefix(source, "prom://") || strings.HasPrefix(source, "proms://")
}

// ParsePrometheus reads prom://host:port/path?match=SELECTOR&start=...&end=...&step=...&window=...,
// or proms:// for HTTPS. match may be repeated; times are RFC 3339 or unix seconds, steps
// durations. What the address does not say is as in p.
func ParsePrometheus(source string, p Prometheus) (Prometheus, error) {
	u, err := url.Parse(source)
	if err != nil || u.Host == "" || !IsPrometheus(source) {
		return p, fmt.Errorf("want prom://host:port/?match=SELECTOR, have %q", clip(source))
	}
	form := u.Query()
	for _, key := range sortedKeys(form) {
		value := form.Get(key)
		switch key {
		case "match", "match[]":
			p.Match = append(p.Match, form[key]...)
		case "start":
			p.From, err = parseMoment(value)
		case "end":
			p.To, err = parseMoment(value)
		case "step":
			p.Step, err = parseSpan(value)
		case "window":
			p.Window, err = parseSpan(value)
		default:
			err = errors.New("unknown; want match, start, end, step or window")
		}
		if err != nil {
			return p, fmt.Errorf("%s: parameter %s: %w", u.Redacted(), key, err)
		}
	}
	if len(p.Match) == 0 {
		return p, fmt.Errorf(`%s: say which series with ?match=SELECTOR, such as match={namespace="shop"}`, u.Redacted())
	}
	for _, m := range p.Match {
		if _, _, err := cutSelector(m); err != nil {
			return p, fmt.Errorf("%s: parameter match: %w", u.Redacted(), err)
		}
	}
	u.Scheme = map[string]string{"prom": "http", "proms": "https"}[u.Scheme]
	u.RawQuery, u.Fragment = "", ""
	p.URL = strings.TrimSuffix(u.String(), "/")
	return p, nil
}

func sortedKeys(form url.Values) []string {
	var keys []string
	for k := range form {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func parseMoment(text string) (time.Time, error) {
	at, err := (&clock{}).read(text)
	return time.UnixMilli(int64(math.Round(at * 1000))), err
}

func parseSpan(text string) (time.Duration, error) {
	d, err := model.ParseDuration(text)
	if err == nil && d > 0 {
		return time.Duration(d), nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return d, nil
	}
	return 0, fmt.Errorf("want a duration, such as 15s, have %q", clip(text))
}

// check is every fault of what is asked for.
func (p *Prometheus) check(l Limits) error {
	switch {
	case p.Step < time.Millisecond:
		return errors.New("want a step of 1ms at the least")
	case !p.To.After(p.From):
		return fmt.Errorf("the time asked for is empty: %s to %s", p.From.UTC().Format(time.RFC3339), p.To.UTC().Format(time.RFC3339))
	case p.To.Sub(p.From)/p.Step >= time.Duration(l.Rows):
		return fmt.Errorf("more than %d rows; take less time or a longer step", l.Rows)
	}
	return nil
}

// ReadPrometheus reads series of a Prometheus: counters as rates, classic and native
// histograms as rate and three quantiles, the rest as it is. What is a counter, and
// what a histogram, is told by the server's metadata, else by the names.
func ReadPrometheus(ctx context.Context, p Prometheus, o Options) (*Recording, error) {
	r := &promReader{Prometheus: p, budget: &budget{Limits: o.Limits.withDefaults()}, namer: newNamer(o.Families), name: redacted(p.URL)}
	if err := p.check(r.budget.Limits); err != nil {
		return nil, &Fault{Source: r.name, What: err.Error()}
	}
	if p.Window == 0 {
		r.Window = 4 * p.Step
	}
	if p.Transport == nil {
		p.Transport = http.DefaultTransport
	}
	client, err := api.NewClient(api.Config{Address: p.URL, RoundTripper: &bounded{next: p.Transport, left: r.budget.Bytes, limit: r.budget.Bytes}})
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", r.name, err)
	}
	r.api = prom.NewAPI(client)
	questions, err := r.questions(ctx)
	if err != nil {
		return nil, err
	}
	t, err := r.ask(ctx, questions)
	if err != nil {
		return nil, err
	}
	o.Step = p.Step
	return assemble([]*table{t}, o)
}

func redacted(address string) string {
	if u, err := url.Parse(address); err == nil {
		return u.Redacted()
	}
	return "the server"
}

// A promReader reads from one server.
type promReader struct {
	Prometheus
	api    prom.API
	budget *budget
	namer  namer
	name   string // of the server, without a password
}

// atOnce is how many questions are asked at a time.
const atOnce = 4

// ask asks questions and makes columns of the answers, in the order of the questions.
func (r *promReader) ask(ctx context.Context, questions []question) (*table, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	answers := make([]model.Matrix, len(questions))
	next := make(chan int)
	var group sync.WaitGroup
	for range atOnce {
		group.Go(func() {
			for i := range next {
				var err error
				if answers[i], err = r.series(ctx, questions[i].query); err != nil {
					stop(err)
				}
			}
		})
	}
	for i := range questions {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	group.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	t := &table{source: r.name}
	for i, q := range questions {
		for _, s := range answers[i] {
			if err := r.add(t, q, s); err != nil {
				return nil, err
			}
		}
	}
	if len(t.columns) == 0 {
		return nil, &Fault{Source: r.name, What: "the selectors match no series that have values in the time asked for"}
	}
	return t, nil
}

// maxPoints is how many steps are asked for at once; servers refuse more than 11,000.
const maxPoints = 10_000

// series asks one question, in as many parts as its time needs.
func (r *promReader) series(ctx context.Context, query string) (model.Matrix, error) {
	whole := map[model.Fingerprint]*model.SampleStream{}
	var out model.Matrix
	for from := r.From; !from.After(r.To); from = from.Add(maxPoints * r.Step) {
		to := from.Add((maxPoints - 1) * r.Step)
		if to.After(r.To) {
			to = r.To
		}
		v, _, err := r.api.QueryRange(ctx, query, prom.Range{Start: from, End: to, Step: r.Step})
		if err != nil {
			return nil, r.fault(err)
		}
		part, ok := v.(model.Matrix)
		if !ok {
			return nil, &Fault{Source: r.name, What: fmt.Sprintf("answers with a %s; want a matrix", v.Type())}
		}
		for _, s := range part {
			key := s.Metric.Fingerprint()
			if whole[key] == nil {
				whole[key], out = s, append(out, s)
				continue
			}
			whole[key].Values = append(whole[key].Values, s.Values...)
		}
	}
	return out, nil
}

func (r *promReader) fault(err error) error {
	var refused *prom.Error
	if errors.As(err, &refused) {
		what, _, _ := strings.Cut(refused.Msg, "\n")
		if refused.Type == prom.ErrBadResponse {
			what = "no answer of a Prometheus: " + what
		}
		if refused.Detail != "" {
			what += ": " + clip(strings.TrimSpace(refused.Detail))
		}
		return &Fault{Source: r.name, What: fmt.Sprintf("%s (%s)", what, refused.Type)}
	}
	var failed *url.Error // it would say the whole question again
	if errors.As(err, &failed) {
		err = failed.Err
	}
	return fmt.Errorf("ask %s: %w", r.name, err)
}

// add makes a column of one series.
func (r *promReader) add(t *table, q question, s *model.SampleStream) error {
	labels := map[string]string{}
	for k, v := range s.Metric {
		if k != model.MetricNameLabel {
			labels[string(k)] = string(v)
		}
	}
	c := &column{}
	name, word := q.family+printLabels(labels), q.statistic
	c.series.Family, c.series.Statistic = r.namer.family(q.family), ""
	identify(&c.series, labels)
	c.series.Label = r.namer.label(q.family, labels)
	if word != "" {
		c.series.Statistic = word
		name += "." + word
	}
	c.series.Name = name
	for _, v := range s.Values {
		x := float64(v.Value)
		if math.IsInf(x, 0) {
			x = math.NaN() // a quantile beyond the last bucket
		}
		c.times = append(c.times, float64(v.Timestamp)/1000)
		c.values = append(c.values, x)
	}
	for i := 1; i < len(c.times); i++ {
		if c.times[i] <= c.times[i-1] {
			return &Fault{r.name, 0, name, "answers with times that do not rise"}
		}
	}
	if len(c.times) == 0 {
		return nil
	}
	if err := r.budget.addSeries(r.name, 1); err != nil {
		return err
	}
	if err := r.budget.addValues(r.name, 0, int64(len(c.values))); err != nil {
		return err
	}
	if n := len(t.columns); n > 0 && equalTimes(t.columns[n-1].times, c.times) {
		c.times = t.columns[n-1].times
	}
	t.span(c.times[0])
	t.span(c.times[len(c.times)-1])
	t.columns = append(t.columns, c)
	return nil
}
