package recording_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/recording"
)

// answers stands for a server whose answers anybody may have made up.
type answers struct{ series, metadata, values string }

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	body := a.values
	switch {
	case strings.HasSuffix(r.URL.Path, "/series"):
		body = a.series
	case strings.HasSuffix(r.URL.Path, "/metadata"):
		body = a.metadata
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// Whatever a server answers is a recording whose series are as long as its times, or a
// fault.
func FuzzPrometheus(f *testing.F) {
	const series, metadata = `{"status":"success","data":[{"__name__":"x"}]}`, `{"status":"success","data":{"x":[{"type":"gauge"}]}}`
	files, _ := filepath.Glob("testdata/bad/*.json")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		_, answer, _ := strings.Cut(string(data), "\n")
		f.Add(series, metadata, answer)
	}
	f.Add(series, metadata, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"x","pod":"a"},"values":[[1,"1"],[2,"NaN"],[3,"+Inf"]]}]}}`)
	f.Add(`{"status":"success","data":[{"__name__":"x_bucket","le":"1"},{"__name__":"x_sum"}]}`, `{"status":"success","data":{"x":[{"type":"histogram"}]}}`,
		`{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"0"],"histogram":[1,{"count":"1","sum":"1","buckets":[[0,"1","2","1"]]}]}]}}`)
	f.Fuzz(func(t *testing.T, series, metadata, values string) {
		p := recording.Prometheus{URL: "http://nowhere", Match: []string{"x"}, From: time.Unix(1, 0), To: time.Unix(20, 0), Step: time.Second,
			Transport: answers{series, metadata, values}}
		r, err := recording.ReadPrometheus(t.Context(), p, recording.Options{Families: catalogue.Families(), Limits: recording.Limits{Rows: 1000, Series: 100, Values: 10_000}})
		if err != nil {
			return
		}
		for _, s := range r.Series {
			if len(s.Values) != len(r.Times) {
				t.Fatalf("%s has %d values for %d times", s.Name, len(s.Values), len(r.Times))
			}
		}
	})
}
