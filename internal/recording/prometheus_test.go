package recording_test

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/recording"
	"viperprobe.dev/viperprobe/internal/store"
	"viperprobe.dev/viperprobe/internal/web"
)

var start = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

const scrapes = 100 // of 10 s

// fill puts into db what a Prometheus would have scraped.
func fill(t *testing.T, db *tsdb.DB) {
	t.Helper()
	app := db.Appender(t.Context())
	float := func(at int64, v float64, ls ...string) {
		if _, err := app.Append(0, labels.FromStrings(ls...), at, v); err != nil {
			t.Fatal(err)
		}
	}
	for i := range scrapes {
		at, n := start.Add(time.Duration(i)*10*time.Second).UnixMilli(), float64(i)
		web := []string{"namespace", "shop", "pod", "web-0", "container", "web"}
		float(at, 50*n, append(web, "__name__", "http_requests_total")...)
		float(at, 20+math.Sin(n), append(web, "__name__", "threads")...)
		float(at, 7*n, append(web, "__name__", "jobs_count")...)
		// A tenth of the requests take longer than 0.1 s and none longer than 1 s.
		float(at, 90*n, append(web, "__name__", "latency_seconds_bucket", "le", "0.1")...)
		float(at, 100*n, append(web, "__name__", "latency_seconds_bucket", "le", "1")...)
		float(at, 100*n, append(web, "__name__", "latency_seconds_bucket", "le", "+Inf")...)
		float(at, 8*n, append(web, "__name__", "latency_seconds_sum")...)
		float(at, 100*n, append(web, "__name__", "latency_seconds_count")...)
		float(at, n, "__name__", "up", "instance", "10.0.0.1:80", "job", "db")
		h := &histogram.Histogram{Schema: 2, Count: uint64(40 * i), Sum: n, PositiveSpans: []histogram.Span{{Offset: -8, Length: 1}}, PositiveBuckets: []int64{int64(40 * i)}}
		for _, name := range []string{"viperprobe_runq_latency_seconds", "native_seconds"} {
			if _, err := app.AppendHistogram(0, labels.FromStrings(append(web, "__name__", name)...), at, h, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
}

// server is the Prometheus API over real PromQL.
func server(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	db, err := tsdb.Open(dir, slog.New(slog.DiscardHandler), nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := store.OpenReadOnly(dir, store.QueryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	w := httptest.NewServer(web.Handler(web.Options{Recent: store.NewRecent(store.RecentOptions{}), Store: &s.Reader, Families: catalogue.Families()}))
	t.Cleanup(w.Close)
	return "prom" + strings.TrimPrefix(w.URL, "http")
}

func read(t *testing.T, source string, o recording.Options) (*recording.Recording, error) {
	t.Helper()
	p, err := recording.ParsePrometheus(source, recording.Prometheus{From: start.Add(time.Minute), To: start.Add(10 * time.Minute), Step: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	o.Families = catalogue.Families()
	return recording.ReadPrometheus(t.Context(), p, o)
}

func TestPrometheus(t *testing.T) {
	r, err := read(t, server(t)+"/?match="+url.QueryEscape(`{namespace="shop"}`)+"&match=up", recording.Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, s := range r.Series {
		if len(s.Values) != 55 {
			t.Errorf("%s has %d values", s.Name, len(s.Values))
		}
		name := strings.NewReplacer(`{container="web",namespace="shop",pod="web-0"}`, "{web}").Replace(s.Name)
		got[name] = fmt.Sprintf("%s %s %s %s %.4g", s.Family, s.Statistic, s.Container, s.Service, s.Values[20])
	}
	want := map[string]string{
		"http_requests_total{web}.rate":             "http_requests_total rate shop/web-0/web shop/web 5",
		"threads{web}":                              "threads  shop/web-0/web shop/web 20.76",
		"jobs_count{web}.rate":                      "jobs_count rate shop/web-0/web shop/web 0.7",
		"latency_seconds{web}.p50":                  "latency_seconds p50 shop/web-0/web shop/web 0.05556",
		"latency_seconds{web}.p90":                  "latency_seconds p90 shop/web-0/web shop/web 0.1",
		"latency_seconds{web}.p99":                  "latency_seconds p99 shop/web-0/web shop/web 0.91",
		"latency_seconds{web}.rate":                 "latency_seconds rate shop/web-0/web shop/web 10",
		"viperprobe_runq_latency_seconds{web}.p50":  "runq_latency p50 shop/web-0/web shop/web 0.2293",
		"viperprobe_runq_latency_seconds{web}.p90":  "runq_latency p90 shop/web-0/web shop/web 0.2457",
		"viperprobe_runq_latency_seconds{web}.p99":  "runq_latency p99 shop/web-0/web shop/web 0.2496",
		"viperprobe_runq_latency_seconds{web}.rate": "runq_latency rate shop/web-0/web shop/web 4",
		"native_seconds{web}.p50":                   "native_seconds p50 shop/web-0/web shop/web 0.2293",
		"native_seconds{web}.p90":                   "native_seconds p90 shop/web-0/web shop/web 0.2457",
		"native_seconds{web}.p99":                   "native_seconds p99 shop/web-0/web shop/web 0.2496",
		"native_seconds{web}.rate":                  "native_seconds rate shop/web-0/web shop/web 4",
		`up{instance="10.0.0.1:80",job="db"}`:       "up  10.0.0.1:80 db 26",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if r.Step != 10 || r.Times[0] != float64(start.Add(time.Minute).Unix()) {
		t.Errorf("rows of %g s from %g", r.Step, r.Times[0])
	}
}

// More steps than a server answers at once are asked for in parts.
func TestPrometheusInParts(t *testing.T) {
	r, err := read(t, server(t)+"/?match=up&step=50ms&start="+start.Format(time.RFC3339), recording.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(r.Series[0].Values); len(r.Series) != 1 || n != 12_001 {
		t.Errorf("%d values of %d series, want 12,001 of 1", n, len(r.Series))
	}
}

func TestPrometheusFaults(t *testing.T) {
	address := server(t)
	for query, tc := range map[string]struct {
		limits recording.Limits
		want   string
	}{
		"match=nothing":                        {want: "the selectors match no series that have values"},
		"match=" + url.QueryEscape(`{a=~"["}`): {want: "error parsing regexp"},
		"match=up&step=1ns":                    {want: "want a step of 1ms at the least"},
		"match=up&start=2026-11-25T00:00:00Z":  {want: "the time asked for is empty: 2026-11-25T00:00:00Z to 2026-11-24T10:10:00Z"},
		"match=up&step=1s":                     {recording.Limits{Rows: 100}, "more than 100 rows"},
		"match=up":                             {recording.Limits{Bytes: 100}, "answers of more than 100 bytes"},
		"match=latency_seconds_bucket":         {recording.Limits{Series: 2}, "more than 2 series"},
	} {
		_, err := read(t, address+"/?"+query, recording.Options{Limits: tc.limits})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", query, err, tc.want)
		}
	}
	for source, want := range map[string]string{
		"prom://":                       "want prom://host:port/?match=SELECTOR",
		"prom://h/":                     "say which series with ?match=SELECTOR",
		"prom://a:secret@h/?match={a=1": `prom://a:xxxxx@h/?match={a=1: parameter match: the brace of selector "{a=1" is never closed`,
		"prom://h/?match={}":            "want a selector such as up",
		"prom://h/?match=up&step=0":     "parameter step: want a duration, such as 15s, have \"0\"",
		"prom://h/?match=up&end=noon":   "parameter end: want a time in unix seconds or RFC 3339, have \"noon\"",
		"prom://h/?match=up&stop=1":     "parameter stop: unknown; want match, start, end, step or window",
	} {
		if _, err := recording.ParsePrometheus(source, recording.Prometheus{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", source, err, want)
		}
	}
}

// Each bad answer to query_range says on its first line what is told of it.
func TestBadPrometheus(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(err, "no bad answers")
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		first, answer, _ := strings.Cut(string(data), "\n")
		w := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			switch {
			case strings.HasSuffix(r.URL.Path, "/series"):
				fmt.Fprint(w, `{"status":"success","data":[{"__name__":"x"}]}`)
			case strings.HasSuffix(r.URL.Path, "/metadata"):
				fmt.Fprint(w, `{"status":"success","data":{"x":[{"type":"gauge"}]}}`)
			default:
				fmt.Fprint(w, answer)
			}
		}))
		_, err = read(t, "prom"+strings.TrimPrefix(w.URL, "http")+"/?match=x", recording.Options{})
		if want := strings.TrimPrefix(first, "# want: "); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", file, err, want)
		}
		w.Close()
	}
	_, err = read(t, "prom://127.0.0.1:1/?match=x", recording.Options{})
	var failed *url.Error
	if err == nil || errors.As(err, &failed) || !strings.Contains(err.Error(), "ask http://127.0.0.1:1: ") {
		t.Errorf("nobody there: %v", err)
	}
}
