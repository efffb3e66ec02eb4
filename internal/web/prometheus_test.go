package web

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/internal/promtest"
)

// eventually polls until ok is true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); <-tick.C {
		if ok() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

type promResponse struct {
	Status    string `json:"status"`
	ErrorType string `json:"errorType"`
	Error     string `json:"error"`
	Data      any    `json:"data"`
	code      int
}

func promGet(base, path string) (promResponse, error) {
	resp, err := http.Get(base + path)
	if err != nil {
		return promResponse{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return promResponse{}, err
	}
	r := promResponse{code: resp.StatusCode}
	return r, json.Unmarshal(body, &r)
}

// values are the results of an instant query, in order.
func values(t *testing.T, base, query string) []any {
	t.Helper()
	r, err := promGet(base, "/api/v1/query?query="+url.QueryEscape(query))
	if err != nil || r.Status != "success" {
		return nil
	}
	var out []any
	results, _ := r.Data.(map[string]any)["result"].([]any)
	for _, one := range results {
		m := one.(map[string]any)
		for _, key := range []string{"value", "histogram"} {
			if v, ok := m[key].([]any); ok {
				out = append(out, v[1])
			}
		}
	}
	return out
}

func TestRealPrometheusScrapes(t *testing.T) {
	srv := usual(t, Options{})
	_, text, _ := get(t, srv, "/metrics")
	lines := 0
	for l := range strings.Lines(text) {
		if l[0] != '#' {
			lines++
		}
	}
	for _, c := range []struct {
		name  string
		flags []string
		want  map[string]string
	}{
		{"text", nil, map[string]string{
			`scrape_samples_scraped`: fmt.Sprint(lines),
			`viperprobe_runq_latency_seconds_bucket{container="web",le="0.001953125"}`:         "70",
			`histogram_quantile(0.5, viperprobe_runq_latency_seconds_bucket{container="web"})`: "0.0013834635416666667",
		}},
		{"native", []string{"--enable-feature=native-histograms"}, map[string]string{
			`histogram_count(viperprobe_runq_latency_seconds{container="web"})`: "70",
			`histogram_sum(viperprobe_runq_latency_seconds{container="web"})`:   "0.035",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			base := "http://" + promtest.Start(t, strings.TrimPrefix(srv.URL, "http://"), time.Second, c.flags...)
			eventually(t, "a scrape that Prometheus accepts", func() bool {
				up := values(t, base, `up{job="viperprobe"}`)
				return len(up) == 1 && up[0] == "1"
			})
			c.want[`viperprobe_tcp_sent_bytes_total{container="web"}`] = "10000"
			c.want[`viperprobe_tcp_sent_bytes_total{container="job",target=""}`] = "5000"
			c.want[`viperprobe_tcp_sent_bytes_total{container="job",target!=""}`] = "4000"
			for query, want := range c.want {
				if got := values(t, base, query); len(got) != 1 || got[0] != want {
					t.Errorf("%s = %v, want %s", query, got, want)
				}
			}
			if c.name == "native" {
				sameAsPrometheus(t, srv.URL, base)
			}
		})
	}
}

// sameAsPrometheus asks both servers the same and compares what they say.
func sameAsPrometheus(t *testing.T, ours, theirs string) {
	for _, path := range []string{
		"/api/v1/query?query=1%2B1&time=4", "/api/v1/query?query=vector(1)&time=1700000000.5", `/api/v1/query?query="text"&time=12.05`,
		"/api/v1/query?query=vector(0)/0&time=4", "/api/v1/query?query=vector(-1)/0&time=4", "/api/v1/query?query=vector(1e-9)&time=-4.004",
		"/api/v1/query?query=vector(1e300)&time=4", "/api/v1/query?query=no_such_metric&time=4",
		`/api/v1/query?query=label_replace(vector(1),"a","é\"\\","","")&time=4`,
		"/api/v1/query_range?query=vector(time())&start=0&end=4&step=2s", "/api/v1/query_range?query=1&start=2026-01-01T00:00:00Z&end=2026-01-01T00:01:00Z&step=30",
		"/api/v1/query?query=&time=4", "/api/v1/query?query=sum(&time=4", "/api/v1/query?query=1&time=yesterday",
		"/api/v1/query_range?query=1&start=0&end=4", "/api/v1/query_range?query=1&start=4&end=0&step=1", "/api/v1/query_range?query=1&start=0&end=4&step=0",
		"/api/v1/query_range?query=1&start=0&end=400000&step=1", "/api/v1/query_range?query=1&start=x&end=4&step=1",
		"/api/v1/query_range?query=1&start=0&end=4&step=1e300", "/api/v1/query?query=1&timeout=x",
		"/api/v1/series", "/api/v1/series?match[]={", "/api/v1/labels?start=x", "/api/v1/labels?match[]=no_such_metric",
		"/api/v1/label/__name__/values?match[]=no_such_metric", "/api/v1/series?match[]=no_such_metric",
	} {
		a, err := promGet(ours, path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		b, err := promGet(theirs, path)
		if err != nil {
			t.Errorf("%s: Prometheus: %v", path, err)
			continue
		}
		a.Error, b.Error = "", "" // words differ between versions; kind and status do not
		if a.code != b.code {
			t.Errorf("%s: status %d, Prometheus %d", path, a.code, b.code)
		}
		if diff := cmp.Diff(b, a, cmp.AllowUnexported(promResponse{}), cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".code" }, cmp.Ignore())); diff != "" {
			t.Errorf("%s (-Prometheus +ours):\n%s", path, diff)
		}
	}
	const native = `viperprobe_runq_latency_seconds{container="web"}`
	if diff := cmp.Diff(values(t, theirs, native), values(t, ours, native)); diff != "" {
		t.Errorf("%s (-Prometheus +ours):\n%s", native, diff)
	}
}
