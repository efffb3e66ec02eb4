package web

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/store"
)

// What Grafana asks when a data source is saved and a query is built.
func TestGrafanaAsks(t *testing.T) {
	srv := usual(t, Options{})
	now := fmt.Sprint(time.Now().Unix())
	for _, c := range []struct {
		path string
		form url.Values // nil: GET
		want []string
	}{
		{"/api/v1/query", url.Values{"query": {"1+1"}, "time": {"4"}}, []string{`{"status":"success","data":{"resultType":"scalar","result":[4,"2"]}}`}},
		{"/api/v1/status/buildinfo", nil, []string{`"version":"3.`, `"viperprobe":"v0.1.0"`}},
		{"/api/v1/labels", url.Values{"start": {"0"}, "end": {now}}, []string{`["__name__","cgroup","container",`}},
		{"/api/v1/label/container/values?match[]=viperprobe_tcp_sent_bytes_total", nil, []string{`["job","web"]`}},
		{"/api/v1/label/container/values?limit=1", nil, []string{`["job"]`, `"warnings":["results truncated due to limit"]`}},
		{"/api/v1/series", url.Values{"match[]": {`viperprobe_tcp_sent_bytes_total{container="web"}`}},
			[]string{`{"__name__":"viperprobe_tcp_sent_bytes_total","container":"web","namespace":"shop","node":"n1","pod":"web-0","target":`}},
		{"/api/v1/metadata?metric=viperprobe_tcp_sent_bytes_total", nil,
			[]string{`{"viperprobe_tcp_sent_bytes_total":[{"type":"counter","help":"Bytes sent over TCP, \"payload\" only.","unit":""}]}`}},
		{"/api/v1/metadata?limit=1", nil, []string{`{"viperprobe_block_latency_seconds":[{"type":"histogram"`}},
		{"/api/v1/query_range", url.Values{"query": {`sum(rate(viperprobe_tcp_sent_bytes_total{container="web"}[5s]))`},
			"start": {fmt.Sprint(begin().Unix() + 6)}, "end": {fmt.Sprint(begin().Unix() + 10)}, "step": {"1s"}},
			[]string{`"resultType":"matrix"`, `"1000"`}},
		{"/api/v1/query?query=viperprobe_runq_latency_seconds", nil, []string{`"histogram":[`, `{"count":"70","sum":"0.035","buckets":[[0,`}},
	} {
		var body string
		if c.form == nil {
			_, body, _ = get(t, srv, c.path)
		} else {
			resp, err := srv.Client().PostForm(srv.URL+c.path, c.form)
			if err != nil {
				t.Fatal(err)
			}
			body = readAll(t, resp.Body)
			resp.Body.Close()
		}
		want(t, body, c.want...)
		if !json.Valid([]byte(body)) {
			t.Errorf("%s: not JSON: %s", c.path, body)
		}
	}
}

func TestPrometheusAPIWithoutAStore(t *testing.T) {
	srv := httptest.NewServer(Handler(Options{Recent: store.NewRecent(store.RecentOptions{})}))
	defer srv.Close()
	if code, body, _ := get(t, srv, "/api/v1/query?query=1"); code != 404 || !strings.Contains(body, "no store") {
		t.Errorf("%d %s", code, body)
	}
}

func TestQueryLimits(t *testing.T) {
	srv := usual(t, Options{})
	_, body, _ := get(t, srv, "/api/v1/query?query="+url.QueryEscape(`count_over_time(vector(1)[100d:1ms])`))
	want(t, body, `"errorType":"bad_data"`, "are allowed; use a longer step")
	_, body, _ = get(t, srv, "/api/v1/query?timeout=1ms&query="+url.QueryEscape(`count_over_time(vector(1)[90s:1ms])`))
	want(t, body, `"errorType":"timeout"`)
}

// The parameters of every handler, and the texts in answers, are anybody's.
func FuzzPrometheusAPI(f *testing.F) {
	start := begin()
	srv := serve(f, Options{}, batchAt(start, 1, metric.Group{Target: container("web", start), Samples: samples(1)}))
	h := srv.Config.Handler
	f.Add("query", "query=1%2B1&time=4")
	f.Add("query_range", "query=time()&start=0&end=2026-01-01T00:00:00Z&step=5m&timeout=1s")
	f.Add("series", "match[]={__name__!=\"\"}&start=-1e9&end=1e12&limit=3")
	f.Add("labels", "match[]=up")
	f.Add("label/__name__/values", "limit=-1")
	f.Add("metadata", "metric=x&limit=9")
	f.Fuzz(func(t *testing.T, path, query string) {
		u := &url.URL{Path: "/api/v1/" + path, RawQuery: query + "&timeout=100ms"}
		req := httptest.NewRequest("GET", "/", nil)
		req.URL = u
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") && !json.Valid(w.Body.Bytes()) {
			t.Errorf("not JSON: %s", w.Body)
		}
		if w.Code == 500 {
			t.Errorf("our fault: %s", w.Body)
		}
	})
}

func FuzzTimes(f *testing.F) {
	for _, s := range []string{"1.5", "2026-01-01T00:00:00Z", "5m", "-1", "NaN", "1e400", minTime.Format(time.RFC3339Nano)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if at, err := parseTime(text); err == nil && (at.Before(minTime) || at.After(maxTime)) {
			t.Errorf("time %s", at)
		}
		if d, err := parseDuration(text); err == nil && math.IsNaN(d.Seconds()) {
			t.Errorf("duration %s", d)
		}
	})
}
