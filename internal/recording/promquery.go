package recording

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	prom "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

// A question is PromQL for one statistic of one family.
type question struct {
	family    string // without _bucket and such
	statistic string // "": what the series says
	query     string
}

// quantiles are those that are read of histograms.
var quantiles = []struct {
	word  string
	value float64
}{{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}}

// questions finds out which series there are, and what to ask of each family.
func (r *promReader) questions(ctx context.Context) ([]question, error) {
	sets, _, err := r.api.Series(ctx, r.Match, r.From, r.To)
	if err != nil {
		return nil, r.fault(err)
	}
	if len(sets) > 20*r.budget.Series {
		return nil, &Fault{Source: r.name, What: fmt.Sprintf("the selectors match %d series; narrow them", len(sets))}
	}
	names := map[string]bool{} // with whether it has buckets
	for _, s := range sets {
		name := string(s[model.MetricNameLabel])
		_, le := s["le"]
		names[name] = names[name] || le && strings.HasSuffix(name, "_bucket")
	}
	kinds, err := r.api.Metadata(ctx, "", "")
	if err != nil {
		kinds = nil // servers need not have it: names tell, too
	}
	var out []question
	for _, name := range slices.Sorted(maps.Keys(names)) {
		for _, m := range r.Match {
			selector, err := within(m, name)
			if err != nil {
				return nil, &Fault{Source: r.name, What: err.Error()}
			}
			more, err := r.about(ctx, name, names, kinds, selector)
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
		}
	}
	return out, nil
}

// about is what to ask of the series of one name.
func (r *promReader) about(ctx context.Context, name string, names map[string]bool, kinds map[string][]prom.Metadata, selector string) ([]question, error) {
	kind := func(name string) prom.MetricType {
		if k := kinds[name]; len(k) > 0 {
			return k[0].Type
		}
		return prom.MetricTypeUnknown
	}
	rate := "rate(" + selector + "[" + model.Duration(r.Window).String() + "])"
	for _, suffix := range []string{"_bucket", "_sum", "_count", "_created"} {
		base, ok := strings.CutSuffix(name, suffix)
		if !ok {
			continue
		}
		of := kind(base)
		histogram := names[base+"_bucket"] || of == prom.MetricTypeHistogram
		switch {
		case suffix == "_bucket" && names[name]:
			return histogramQuestions(base, rate), nil
		case suffix == "_count" && (histogram || of == prom.MetricTypeSummary):
			return []question{{base, "rate", rate}}, nil
		case suffix == "_created" || histogram || of == prom.MetricTypeSummary:
			return nil, nil // a sum says little beside quantiles
		case kind(name) == prom.MetricTypeUnknown:
			return []question{{name, "rate", rate}}, nil
		}
	}
	switch k := kind(name); {
	case k == prom.MetricTypeCounter, strings.HasSuffix(name, "_total"), kind(strings.TrimSuffix(name, "_total")) == prom.MetricTypeCounter:
		return []question{{name, "rate", rate}}, nil
	case k == prom.MetricTypeHistogram, k == prom.MetricTypeUnknown && r.isNative(ctx, selector):
		return append(histogramQuestions(name, rate), question{name, "rate", "histogram_count(" + rate + ")"}), nil
	}
	return []question{{name, "", selector}}, nil
}

func histogramQuestions(family, rate string) (out []question) {
	for _, q := range quantiles {
		out = append(out, question{family, q.word, "histogram_quantile(" + strconv.FormatFloat(q.value, 'g', -1, 64) + ", " + rate + ")"})
	}
	return out
}

// isNative tells native histograms of which the server has no metadata.
func (r *promReader) isNative(ctx context.Context, selector string) bool {
	v, _, err := r.api.Query(ctx, "count(histogram_count("+selector+"))", r.To)
	found, ok := v.(model.Vector)
	return err == nil && ok && len(found) > 0
}

// within is a selector narrowed to one name.
func within(selector, name string) (string, error) {
	own, matchers, err := cutSelector(selector)
	if err != nil {
		return "", err
	}
	narrow := []string{"__name__=" + strconv.Quote(name)}
	if own != "" {
		narrow = append(narrow, "__name__="+strconv.Quote(own))
	}
	if matchers != "" {
		narrow = append(narrow, matchers)
	}
	return "{" + strings.Join(narrow, ",") + "}", nil
}

// cutSelector takes NAME{matchers} apart. What the matchers are is the server's to judge.
func cutSelector(selector string) (name, matchers string, err error) {
	selector = strings.TrimSpace(selector)
	name, rest, braces := strings.Cut(selector, "{")
	if braces {
		if matchers, braces = strings.CutSuffix(rest, "}"); !braces {
			return "", "", fmt.Errorf("the brace of selector %q is never closed", clip(selector))
		}
	}
	name = strings.TrimSpace(name)
	if !model.LegacyValidation.IsValidMetricName(name) && name != "" || name == "" && strings.TrimSpace(matchers) == "" {
		return "", "", fmt.Errorf("want a selector such as up or {namespace=\"shop\"}, have %q", clip(selector))
	}
	return name, strings.TrimSuffix(strings.TrimSpace(matchers), ","), nil
}

// printLabels writes labels as Prometheus does, sorted.
func printLabels(labels map[string]string) string {
	if len(labels) == 0 {
		return ""
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		parts = append(parts, k+"="+strconv.Quote(labels[k]))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// A bounded transport lets only so many bytes of answers through, of all together.
type bounded struct {
	next        http.RoundTripper
	left, limit int64
}

// RoundTrip is http.RoundTripper's.
func (b *bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.next.RoundTrip(r)
	if err == nil {
		res.Body = &boundedBody{res.Body, b}
	}
	return res, err
}

type boundedBody struct {
	io.ReadCloser
	of *bounded
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if atomic.AddInt64(&b.of.left, -int64(n)) < 0 {
		return n, errors.New("answers of more than " + strconv.FormatInt(b.of.limit, 10) + " bytes; select fewer series, less time or a longer step")
	}
	return n, err
}
