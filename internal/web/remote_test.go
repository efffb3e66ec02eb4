package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/store"
)

// What comes over the network is what the store says.
func TestRemote(t *testing.T) {
	start, redis := begin(), container("redis", time.Time{})
	s, err := store.Open(store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, n := range []int{1, 2, 5} { // 3 and 4 are lost
		if err := s.Append(batchAt(start, n, metric.Group{Target: redis, Samples: samples(uint64(n))})); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewServer(Handler(Options{Recent: store.NewRecent(store.RecentOptions{}), Store: &s.Reader, Families: catalogue()}))
	defer server.Close()
	m := &Remote{URL: server.URL, Client: server.Client()}
	from, to := start.Add(-time.Second), start.Add(time.Minute)
	for _, f := range catalogue() {
		for _, q := range []store.Query{
			{Family: f, From: from, To: to}, {Family: f, From: from, To: to, By: store.ByWorkload, Step: 2 * time.Second, Target: "redis*"},
			{Family: f, From: from, To: to, Rate: true}, {Family: f, From: to, To: from}, {Family: f, From: from, To: to, Target: "["},
		} {
			want, wantErr := collect(s.Range(t.Context(), q))
			got, err := collect(m.Range(t.Context(), q))
			if diff := cmp.Diff(want, got, cmpopts.EquateNaNs()); diff != "" {
				t.Errorf("%s %+v: %s", f.Name, q, diff)
			}
			if (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() {
				t.Errorf("%s %+v: error %v, want %v", f.Name, q, err, wantErr)
			}
		}
	}
	want, err := s.Gaps(t.Context(), from, to)
	if err != nil || len(want) == 0 {
		t.Fatalf("gaps %v, %v", want, err)
	}
	if got, err := m.Gaps(t.Context(), from, to); err != nil || !cmp.Equal(want, got) {
		t.Errorf("gaps %v, %v; want %v", got, err, want)
	}
}

func collect(rows func(func(store.Row, error) bool)) (all []store.Row, err error) {
	rows(func(r store.Row, e error) bool {
		if err = e; e == nil {
			all = append(all, r)
		}
		return e == nil
	})
	return all, err
}

func TestRemoteFaults(t *testing.T) {
	for name, tc := range map[string]struct {
		handler http.Handler
		want    string
	}{
		"no store":   {Handler(Options{Recent: store.NewRecent(store.RecentOptions{}), Families: catalogue()}), "there is no store here"},
		"password":   {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }), "it wants a name and password"},
		"not ours":   {http.NotFoundHandler(), "is it a viperprobe of this version?"},
		"not JSON":   {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>\n")) }), "invalid character"},
		"cut off":    {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{\"target\":\"a\"}\n{\"targ")) }), "unexpected end"},
		"large line": {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(strings.Repeat("x", maxLine+1))) }), "token too long"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(tc.handler)
			defer server.Close()
			m := &Remote{URL: server.URL, Client: server.Client()}
			_, err := collect(m.Range(t.Context(), store.Query{Family: sent, From: time.Now(), To: time.Now()}))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}
