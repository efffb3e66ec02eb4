package recording

import (
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"viperprobe.dev/viperprobe/internal/analysis"
	"viperprobe.dev/viperprobe/internal/metric"
)

// An Expression says when a row violates the SLO: when a series is above, or below, a
// value.
type Expression struct {
	text      string
	series    analysis.Series // container (a glob; "" any), family and statistic
	labels    bool            // its container was given by labels
	below     bool
	orEqual   bool
	value     float64
	unit      string // as written: "ms", "MiB", ""
	scale     float64
	dimension metric.Unit // of the unit
	own       map[string]*metric.Family
}

// units are what a value may be written in.
var units = map[string]struct {
	scale     float64
	dimension metric.Unit
}{
	"ns": {1e-9, metric.Seconds}, "us": {1e-6, metric.Seconds}, "µs": {1e-6, metric.Seconds}, "ms": {1e-3, metric.Seconds},
	"s": {1, metric.Seconds}, "m": {60, metric.Seconds}, "h": {3600, metric.Seconds},
	"B": {1, metric.Bytes}, "kB": {1e3, metric.Bytes}, "KB": {1e3, metric.Bytes}, "MB": {1e6, metric.Bytes}, "GB": {1e9, metric.Bytes},
	"KiB": {1 << 10, metric.Bytes}, "MiB": {1 << 20, metric.Bytes}, "GiB": {1 << 30, metric.Bytes},
	"%": {0.01, metric.One}, "": {1, ""},
}

// suffixes are what names of series from elsewhere say about their unit.
var suffixes = []struct {
	suffix    string
	scale     float64 // of base units: 1000 milliseconds
	dimension metric.Unit
}{
	{"_milliseconds", 1e3, metric.Seconds}, {"_ms", 1e3, metric.Seconds}, {"_microseconds", 1e6, metric.Seconds}, {"_us", 1e6, metric.Seconds},
	{"_nanoseconds", 1e9, metric.Seconds}, {"_ns", 1e9, metric.Seconds}, {"_seconds", 1, metric.Seconds}, {"_bytes", 1, metric.Bytes},
}

// ParseExpression reads SERIES [STATISTIC] >|<|>=|<= VALUE, such as "request_latency p99
// > 50ms" or "web/requests rate < 10". SERIES is a name as in a header; its container
// may be a glob. A value's unit is a time, a size or %; without, it is in the series'
// own unit.
func ParseExpression(text string, families []*metric.Family) (Expression, error) {
	n := newNamer(families)
	e := Expression{text: text, own: n.own}
	at := strings.IndexAny(text[strings.LastIndexByte(text, '}')+1:], "<>")
	if at < 0 {
		return e, fmt.Errorf("want SERIES [STATISTIC] > VALUE, such as \"request_latency p99 > 50ms\", have %q", text)
	}
	at += strings.LastIndexByte(text, '}') + 1
	left, right := strings.TrimSpace(text[:at]), text[at+1:]
	e.below = text[at] == '<'
	if rest, ok := strings.CutPrefix(right, "="); ok {
		e.orEqual, right = true, rest
	}
	if space := strings.LastIndexAny(left, " \t}"); space > 0 && statistics.MatchString(left[space+1:]) {
		left = strings.TrimSpace(left[:space+1]) + "." + left[space+1:]
	}
	if strings.ContainsAny(left[strings.LastIndexByte(left, '}')+1:], " \t") {
		return e, fmt.Errorf("%q: %q is no statistic; want rate, mean, p99 or such", text, left[strings.LastIndexAny(left, " \t")+1:])
	}
	var err error
	if e.series, _, err = n.read(left); err != nil {
		return e, fmt.Errorf("%q: %w", text, err)
	}
	if _, err := path.Match(e.series.Container, ""); err != nil {
		return e, fmt.Errorf("%q: container %q: %w", text, e.series.Container, err)
	}
	e.labels = strings.Contains(left, "{")
	return e, e.readValue(strings.TrimSpace(right))
}

func (e *Expression) readValue(text string) error {
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZµ%")
	if digits == "" || strings.HasSuffix(text, "e") {
		digits = text
	}
	e.unit = text[len(digits):]
	u, known := units[e.unit]
	x, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if err != nil || !known || math.IsNaN(x) || math.IsInf(x, 0) {
		return fmt.Errorf("%q: want a number with or without a unit, such as 50ms, 1.5 or 64MiB, have %q", e.text, text)
	}
	e.value, e.scale, e.dimension = x, u.scale, u.dimension
	return nil
}

// matches tells whether the expression means a series, whatever its statistic.
func (e *Expression) matches(s *analysis.Series) bool {
	if s.Family != e.series.Family && s.Name != e.series.Family {
		return false
	}
	c := e.series.Container
	if c == "" {
		return true
	}
	if e.labels {
		return s.Container == c
	}
	for _, name := range []string{s.Container, s.Service, s.Container[strings.LastIndexByte(s.Container, '/')+1:]} {
		if ok, _ := path.Match(c, name); ok {
			return true
		}
	}
	return false
}

// limit is the value in a series' unit.
func (e *Expression) limit(s *analysis.Series) (float64, error) {
	if e.unit == "" {
		return e.value, nil
	}
	scale, dimension := 1.0, metric.Unit("")
	if f := e.own[s.Family]; f != nil {
		dimension = f.Unit
	} else {
		for _, x := range suffixes {
			if strings.HasSuffix(s.Family, x.suffix) {
				scale, dimension = x.scale, x.dimension
				break
			}
		}
	}
	if dimension != "" && e.dimension != metric.One && dimension != e.dimension && s.Statistic != "rate" {
		return 0, fmt.Errorf("--slo %q: %s is not in %s", e.text, s.Name, map[metric.Unit]string{metric.Seconds: "seconds", metric.Bytes: "bytes"}[e.dimension])
	}
	return e.value * e.scale * scale, nil
}

// judge marks the rows at which any expression is true, and takes the series that they
// speak of from the others: they would predict themselves.
func (r *Recording) judge(all []Expression) error {
	r.SLO = make([]bool, len(r.Times))
	known, out := make([]bool, len(r.Times)), map[string]bool{}
	for i := range all {
		e := &all[i]
		chosen, err := r.chosen(e)
		if err != nil {
			return err
		}
		for _, s := range chosen {
			limit, err := e.limit(s)
			if err != nil {
				return err
			}
			for row, v := range s.Values {
				known[row] = known[row] || !math.IsNaN(v)
				r.SLO[row] = r.SLO[row] || !e.below && v > limit || e.below && v < limit || e.orEqual && v == limit
			}
			out[s.Name] = true
			for _, same := range r.Series {
				if same.Family == s.Family && same.Container == s.Container && same.Statistic != "rate" && same.Statistic != "count" {
					out[same.Name] = true
				}
			}
		}
	}
	r.Series = slices.DeleteFunc(r.Series, func(s analysis.Series) bool { return out[s.Name] })
	r.noteSilent(known, "of what the SLO speaks of")
	r.Notes = append(r.Notes, fmt.Sprintf("%d series that the SLO speaks of were left out: they would predict themselves.", len(out)))
	return nil
}

// chosen are the series of an expression, which have one statistic.
func (r *Recording) chosen(e *Expression) ([]*analysis.Series, error) {
	var found []*analysis.Series
	var have []string
	for i := range r.Series {
		s := &r.Series[i]
		if !e.matches(s) {
			continue
		}
		if !slices.Contains(have, s.Statistic) {
			have = append(have, s.Statistic)
		}
		found = append(found, s)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("--slo %q: no series is called %s", e.text, e.series.Name)
	}
	if e.series.Statistic == "" && len(have) > 1 {
		slices.Sort(have)
		return nil, fmt.Errorf("--slo %q: %s has the statistics %s; say which", e.text, e.series.Family, strings.Join(have, ", "))
	}
	if e.series.Statistic != "" {
		found = slices.DeleteFunc(found, func(s *analysis.Series) bool { return s.Statistic != e.series.Statistic })
		switch {
		case len(found) == 0 && slices.Equal(have, []string{""}):
			return nil, fmt.Errorf("--slo %q: %s has no statistics; leave %s out", e.text, e.series.Family, e.series.Statistic)
		case len(found) == 0:
			return nil, fmt.Errorf("--slo %q: %s has the statistics %s, not %s", e.text, e.series.Family, strings.Join(have, ", "), e.series.Statistic)
		}
	}
	if !slices.ContainsFunc(found, func(s *analysis.Series) bool {
		return slices.ContainsFunc(s.Values, func(v float64) bool { return !math.IsNaN(v) })
	}) {
		return nil, errors.New("--slo " + strconv.Quote(e.text) + ": its series have no values")
	}
	return found, nil
}
