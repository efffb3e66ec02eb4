package web

import (
	"bytes"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/promtest"
	"viperprobe.dev/viperprobe/internal/store"
)

func TestMetricsText(t *testing.T) {
	srv := usual(t, Options{Own: func() []Own {
		return []Own{
			{Name: "viperprobe_agent_series", Help: "Live series.", Kind: metric.Gauge, Value: 7},
			{Name: "viperprobe_agent_dropped_total", Help: "Samples lost.", Kind: metric.Counter, Labels: []store.Pair{{Name: "where", Value: "store"}}, Value: 2},
		}
	}})
	_, body, header := get(t, srv, "/metrics")
	if got := header.Get("Content-Type"); !strings.HasPrefix(got, "text/plain; version=0.0.4") {
		t.Errorf("content type %q", got)
	}
	want(t, body,
		`# HELP viperprobe_tcp_sent_bytes_total Bytes sent over TCP, "payload" only.`,
		`# TYPE viperprobe_tcp_sent_bytes_total counter`,
		`viperprobe_tcp_sent_bytes_total{namespace="shop",pod="web-0",container="web",node="n1"} 10000`,
		// The job that lives has the plain labels; the one that ended carries its id.
		`viperprobe_tcp_sent_bytes_total{namespace="shop",pod="job-0",container="job",node="n1"} 5000`,
		`viperprobe_tcp_sent_bytes_total{namespace="shop",pod="job-0",container="job",node="n1",target="0000000000000001"} 4000`,
		`viperprobe_tcp_sent_bytes_total{node="n1",cgroup="/batch/reindex"} 10000`,
		`viperprobe_tcp_sent_bytes_total{node="n1",kind="node"} 10000`,
		`viperprobe_tcp_sent_bytes_total{node="n1",kind="remainder"} 10000`,
		// 2^-10 s is the bound of bucket 40: 1 + 0 of 7. Bucket 42 ends below 2^-9.
		`viperprobe_runq_latency_seconds_bucket{namespace="shop",pod="web-0",container="web",node="n1",le="0.0009765625"} 10`,
		`viperprobe_runq_latency_seconds_bucket{namespace="shop",pod="web-0",container="web",node="n1",le="0.001953125"} 70`,
		`viperprobe_runq_latency_seconds_bucket{namespace="shop",pod="web-0",container="web",node="n1",le="+Inf"} 70`,
		`viperprobe_runq_latency_seconds_sum{namespace="shop",pod="web-0",container="web",node="n1"} 0.035`,
		`viperprobe_block_latency_seconds_count{namespace="shop",pod="web-0",container="web",node="n1",op="write"} 0`,
		`image="registry/web:1"`,
		`viperprobe_agent_series 7`, `viperprobe_agent_dropped_total{where="store"} 2`)
	if strings.Contains(body, `viperprobe_memory_working_set_bytes{namespace="shop",pod="job-0",container="job",node="n1",target=`) {
		t.Error("a target that ended still uses memory")
	}
	if strings.Contains(body, "workload=\"Deployment/web\"} 10000") {
		t.Error("workload without being asked for")
	}
	_, body, _ = get(t, srv, "/metrics?workload=true")
	want(t, body, `viperprobe_tcp_sent_bytes_total{namespace="shop",pod="web-0",container="web",node="n1",workload="Deployment/web"} 10000`)
}

func TestPromtoolAcceptsMetrics(t *testing.T) {
	promtool := promtest.Tool(t, "promtool")
	_, body, _ := get(t, usual(t, Options{}), "/metrics")
	cmd := exec.Command(promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(body)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}

func TestMetricsNativeHistograms(t *testing.T) {
	srv := usual(t, Options{})
	_, body, header := get(t, srv, "/metrics", "Accept",
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	found := map[string]*dto.MetricFamily{}
	for d := expfmt.NewDecoder(strings.NewReader(body), expfmt.ResponseFormat(header)); ; {
		f := &dto.MetricFamily{}
		if err := d.Decode(f); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		found[f.GetName()] = f
	}
	ended := 0
	for _, m := range found["viperprobe_runq_latency_seconds"].GetMetric() {
		h := m.GetHistogram()
		n := h.GetSampleCount() / 7 // windows
		if h.GetSchema() != 2 || len(h.GetPositiveSpan()) != 1 || h.GetPositiveSpan()[0].GetOffset() != 39-80 {
			t.Fatalf("histogram %v", h)
		}
		if d := h.GetPositiveDelta(); len(d) != 4 || d[0] != int64(n) || d[1] != -int64(n) || d[2] != 2*int64(n) || d[3] != 2*int64(n) {
			t.Errorf("deltas %v for %d windows", d, n)
		}
		if h.GetCreatedTimestamp() != nil {
			ended++
		}
	}
	if ended != 2 {
		t.Errorf("%d histograms say when they began; want the 2 of containers that began under the agent's eyes", ended)
	}
	for _, m := range found["viperprobe_block_latency_seconds"].GetMetric() {
		if h := m.GetHistogram(); h.GetSampleCount() == 0 && len(h.GetPositiveSpan()) != 1 {
			t.Errorf("an empty histogram does not look native: %v", h)
		}
	}
}

func TestMetricsOpenMetrics(t *testing.T) {
	_, body, header := get(t, usual(t, Options{}), "/metrics", "Accept", "application/openmetrics-text;version=1.0.0")
	if !strings.HasPrefix(header.Get("Content-Type"), "application/openmetrics-text") || !strings.HasSuffix(body, "# EOF\n") {
		t.Errorf("content type %s, end %q", header.Get("Content-Type"), body[max(0, len(body)-20):])
	}
	want(t, body, "# TYPE viperprobe_tcp_sent_bytes counter\n")
}

// What is over the limit is left out and counted; what lives long stays.
func TestMetricsLimit(t *testing.T) {
	_, body, _ := get(t, usual(t, Options{MaxSeries: 20}), "/metrics")
	want(t, body, "viperprobe_metrics_left_out 8\n", // 5 that live and 1 that ended, its 3 totals that are not 0: 28
		`viperprobe_tcp_sent_bytes_total{namespace="shop",pod="web-0",container="web",node="n1"} 10000`)
	if strings.Contains(body, `viperprobe_tcp_sent_bytes_total{namespace="shop",pod="job-0"`) {
		t.Error("the youngest is there")
	}
}

// What is an estimate says of how many events it was made.
func TestMetricsRatio(t *testing.T) {
	start := begin()
	half := samples(1)
	half[0].Ratio, half[3].Ratio, half[4].Ratio = 0.5, 0.25, 0.25
	_, body, _ := get(t, serve(t, Options{}, batchAt(start, 1, metric.Group{Target: container("web", start), Samples: half})), "/metrics")
	want(t, body, "# TYPE viperprobe_sample_ratio gauge\n",
		`viperprobe_sample_ratio{family="tcp_sent",namespace="shop",pod="web-0",container="web",node="n1"} 0.5`+"\n",
		`viperprobe_sample_ratio{family="block_latency",namespace="shop",pod="web-0",container="web",node="n1"} 0.25`+"\n")
	if n := strings.Count(body, "viperprobe_sample_ratio{"); n != 2 {
		t.Errorf("%d ratios, want one for each family that is sampled", n)
	}
	if _, body, _ := get(t, usual(t, Options{}), "/metrics"); strings.Contains(body, "sample_ratio") {
		t.Error("a ratio where nothing is sampled")
	}
}

// A name that is not UTF-8 must not cost the scrape.
func TestMetricsBrokenNames(t *testing.T) {
	start := begin()
	c := container("we\xffb\n\"", start)
	_, body, _ := get(t, serve(t, Options{}, batchAt(start, 1, metric.Group{Target: c, Samples: samples(1)})), "/metrics")
	p := expfmt.NewTextParser(model.UTF8Validation)
	if families, err := p.TextToMetricFamilies(strings.NewReader(body)); err != nil || len(families) != 6 {
		t.Errorf("%d families, %v", len(families), err)
	}
	want(t, body, `container="we�b\n\""`)
}

// BenchmarkMetrics scrapes 100 targets with 60 families: 50 counters and gauges,
// 10 histograms; 6,000 series.
func BenchmarkMetrics(b *testing.B) {
	start := begin()
	batch := batchAt(start, 1)
	for i := range 100 {
		g := metric.Group{Target: container(strings.Repeat("x", i%9)+string(rune('a'+i%26)), start)}
		g.Target.ID = metric.MakeID("m", string(rune(i)))
		for j := range 60 {
			s := samples(uint64(i + j + 1))[[]int{0, 1, 0, 0, 0, 2}[j%6]]
			f := *s.Family
			f.Name += strings.Repeat("y", j)
			s.Family = &f
			if len(batch.Groups) > 0 {
				s.Family = batch.Groups[0].Samples[j].Family
			}
			g.Samples = append(g.Samples, s)
		}
		batch.Groups = append(batch.Groups, g)
	}
	recent := store.NewRecent(store.RecentOptions{})
	recent.Append(batch)
	h := Handler(Options{Recent: recent})
	for name, accept := range map[string]string{
		"text": "", "protobuf": "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var sink discard
			for range b.N {
				req, _ := http.NewRequest(http.MethodGet, "/metrics", bytes.NewReader(nil))
				req.Header.Set("Accept", accept)
				sink = discard{header: http.Header{}}
				h.ServeHTTP(&sink, req)
			}
			b.ReportMetric(float64(sink.n), "B/scrape")
		})
	}
}

type discard struct {
	header http.Header
	n      int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(p []byte) (int, error) { d.n += len(p); return len(p), nil }
