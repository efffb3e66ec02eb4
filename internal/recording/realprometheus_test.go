package recording_test

import (
	"fmt"
	"math"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"viperprobe.dev/viperprobe/internal/promtest"
	"viperprobe.dev/viperprobe/internal/recording"
)

// A real server, not ours: a gauge, a counter, and one distribution as a classic and as a native histogram, of which its
// own metadata and buckets tell what they are.
func TestRealPrometheus(t *testing.T) {
	registry := prometheus.NewRegistry()
	classic := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "classic_seconds", Help: "h", Buckets: []float64{.25, .5, 1}})
	native := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "native_seconds", Help: "h", NativeHistogramBucketFactor: 1.1})
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "threads", Help: "h"})
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "jobs", Help: "a counter without _total"})
	registry.MustRegister(classic, native, gauge, counter)
	gauge.Set(7)
	began := time.Now()
	target := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	t.Cleanup(target.Close)
	address := promtest.Start(t, strings.TrimPrefix(target.URL, "http://"), 200*time.Millisecond, "--enable-feature=native-histograms")
	source := "prom://" + address + "/?match=" + `{job="viperprobe",__name__=~"classic_.*|native_.*|threads|jobs"}` + "&step=200ms&window=2s"
	want := map[string]func(float64) bool{
		"threads":              func(v float64) bool { return v == 7 },
		"jobs.rate":            func(v float64) bool { return v > 0 },
		"classic_seconds.rate": func(v float64) bool { return v > 0 },
		"classic_seconds.p50":  func(v float64) bool { return math.Abs(v-.375) < 1e-9 }, // the middle of its bucket
		"native_seconds.rate":  func(v float64) bool { return v > 0 },
		"native_seconds.p50":   func(v float64) bool { return math.Abs(v-.3) < .03 },
		"native_seconds.p99":   func(v float64) bool { return math.Abs(v-.3) < .03 },
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := began.Add(60 * time.Second); ; <-tick.C {
		classic.Observe(.3)
		native.Observe(.3)
		counter.Inc()
		missing := unlike(t, source, began, want)
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(missing)
		}
	}
}

// unlike says what the server's series lack of what is wanted of their last value; nothing if they have all of it.
func unlike(t *testing.T, source string, from time.Time, want map[string]func(float64) bool) string {
	p, err := recording.ParsePrometheus(source, recording.Prometheus{From: from, To: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	r, err := recording.ReadPrometheus(t.Context(), p, recording.Options{})
	if err != nil {
		return err.Error()
	}
	last := map[string]float64{}
	for _, s := range r.Series {
		name := s.Family
		if s.Statistic != "" {
			name += "." + s.Statistic
		}
		for _, v := range s.Values {
			if !math.IsNaN(v) {
				last[name] = v
			}
		}
	}
	for name, is := range want {
		if v, ok := last[name]; !ok || !is(v) {
			return fmt.Sprintf("%s is %v, of %v", name, v, last)
		}
	}
	return ""
}
