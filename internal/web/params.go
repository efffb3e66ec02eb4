package web

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
)

// params reads the parameters of a request. The first that is wrong is kept in
// err; what is read after it does not matter.
type params struct {
	form url.Values
	name string // of the label in the path
	err  error
}

func (p *params) fail(name string, err error) {
	if p.err == nil {
		p.err = fmt.Errorf("invalid parameter %q: %w", name, err)
	}
}

// Times that can be asked for: what fits into time.Time and TSDB both ways.
var minTime, maxTime = time.Unix(math.MinInt64/1000+62135596801, 0).UTC(), time.Unix(math.MaxInt64/1000-62135596801, 999999999).UTC()

func (p *params) time(name string, otherwise time.Time) time.Time {
	text := p.form.Get(name)
	if text == "" {
		return otherwise
	}
	t, err := parseTime(text)
	if err != nil {
		p.fail(name, err)
	}
	return t
}

func (p *params) needTime(name string) time.Time {
	t, err := parseTime(p.form.Get(name))
	if err != nil {
		p.fail(name, err)
	}
	return t
}

func (p *params) duration(name string, otherwise time.Duration) time.Duration {
	if p.form.Get(name) == "" {
		return otherwise
	}
	return p.needDuration(name)
}

func (p *params) needDuration(name string) time.Duration {
	d, err := parseDuration(p.form.Get(name))
	if err != nil {
		p.fail(name, err)
	}
	return d
}

// span is start and end where they may be left out.
func (p *params) span() (from, to time.Time) {
	from, to = p.time("start", minTime), p.time("end", maxTime)
	if p.err == nil && to.Before(from) {
		p.fail("end", errors.New("end timestamp must not be before start time"))
	}
	return from, to
}

// lately is start and end of our own API: the last 5 minutes unless given.
func (p *params) lately() (from, to time.Time) {
	to = p.time("end", time.Now())
	return p.time("start", to.Add(-5*time.Minute)), to
}

func (p *params) limit() int {
	text := p.form.Get("limit")
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err == nil && n < 0 {
		err = errors.New("limit must be non-negative")
	}
	if err != nil {
		p.fail("limit", err)
	}
	return n
}

// parseTime reads unix seconds or RFC 3339, as Prometheus does.
func parseTime(text string) (time.Time, error) {
	if f, err := strconv.ParseFloat(text, 64); err == nil {
		if math.IsNaN(f) || math.Abs(f) > float64(maxTime.Unix()) {
			return time.Time{}, fmt.Errorf("cannot parse %q to a valid timestamp", text)
		}
		whole, part := math.Modf(f)
		return time.Unix(int64(whole), int64(math.Round(part*1000)*1e6)).UTC(), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	switch text { // what Prometheus writes for the ends of time
	case minTime.Format(time.RFC3339Nano):
		return minTime, nil
	case maxTime.Format(time.RFC3339Nano):
		return maxTime, nil
	}
	return time.Time{}, fmt.Errorf("cannot parse %q to a valid timestamp", text)
}

// parseDuration reads seconds, or a duration such as 5m.
func parseDuration(text string) (time.Duration, error) {
	if f, err := strconv.ParseFloat(text, 64); err == nil {
		if ns := f * float64(time.Second); !math.IsNaN(ns) && ns > math.MinInt64 && ns < math.MaxInt64 {
			return time.Duration(ns), nil
		}
		return 0, fmt.Errorf("cannot parse %q to a valid duration. It overflows int64", text)
	}
	if d, err := model.ParseDuration(text); err == nil {
		return time.Duration(d), nil
	}
	return 0, fmt.Errorf("cannot parse %q to a valid duration", text)
}
