package recording_test

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"viperprobe.dev/viperprobe/internal/recording"
)

// scraped starts Debian's Prometheus on what registry has, five times a second, and gives its address.
func scraped(t *testing.T, registry *prometheus.Registry) string {
	t.Helper()
	target := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	t.Cleanup(target.Close)
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf("global: {scrape_interval: 200ms, scrape_timeout: 200ms}\nscrape_configs: [{job_name: web, static_configs: [{targets: [%q]}]}]\n",
		strings.TrimPrefix(target.URL, "http://"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "prometheus", "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address, "--log.level=warn", "--enable-feature=native-histograms")
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v (Debian package prometheus): run `make tools`", err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // killed
	})
	return address
}

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
	source := "prom://" + scraped(t, registry) + "/?match=" + `{job="web",__name__=~"classic_.*|native_.*|threads|jobs"}` + "&step=200ms&window=2s"
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
