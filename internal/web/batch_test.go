package web

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/store"
)

// What a person follows is what was measured, window by window.
func TestLast(t *testing.T) {
	recent, start := store.NewRecent(store.RecentOptions{}), begin()
	srv := httptest.NewServer(Handler(Options{Recent: recent, Families: catalogue()}))
	defer srv.Close()
	m := &Remote{URL: srv.URL, Client: srv.Client()}
	if _, _, err := m.Last(t.Context(), catalogue(), ""); err == nil || !strings.Contains(err.Error(), "no window has ended yet") {
		t.Errorf("before the first window: %v", err)
	}
	tag := ""
	for seq := 1; seq <= 2; seq++ {
		want := batchAt(start, seq, metric.Group{Target: container("web", start.UTC()), Samples: samples(uint64(seq))},
			metric.Group{Target: container("gone", start.UTC()), Last: true})
		recent.Append(want)
		got, next, err := m.Last(t.Context(), catalogue(), tag)
		if err != nil || got == nil || next == tag {
			t.Fatalf("window %d: %v, tag %q after %q, %v", seq, got, next, tag, err)
		}
		for _, by := range store.Groupings {
			a, b := store.Top([]*metric.Batch{want}, nil, by), store.Top([]*metric.Batch{got}, nil, by)
			if diff := cmp.Diff(fmt.Sprintf("%+v", a), fmt.Sprintf("%+v", b)); diff != "" {
				t.Errorf("window %d by %s: %s", seq, by, diff)
			}
		}
		if got, same, err := m.Last(t.Context(), catalogue(), next); got != nil || same != next || err != nil {
			t.Errorf("nothing newer: %v, %q, %v", got, same, err)
		}
		tag = next
	}
	few, _, err := m.Last(t.Context(), []*metric.Family{runq}, "")
	if err != nil || few.Samples() != 1 || len(few.Groups) != 2 {
		t.Errorf("of one family: %+v, %v", few, err)
	}
	for path, want := range map[string]string{"/api/batch?families=runq_latenci": `did you mean \"runq_latency\"`, "/api/batch?families=tcp_sent": `"tcp_sent"`} {
		if _, body, _ := get(t, srv, path); !strings.Contains(body, want) {
			t.Errorf("%s: no %s in %s", path, want, body)
		}
	}
	other := batchAt(start, 1)
	other.Node = "n2"
	recent.Append(other)
	if _, _, err := m.Last(t.Context(), catalogue(), ""); err == nil || !strings.Contains(err.Error(), "2 nodes report here") {
		t.Errorf("two nodes: %v", err)
	}
}

// Whatever is asked, the answer is well or says what is wrong with the question.
func FuzzQueryParameters(f *testing.F) {
	srv := usual(f, Options{})
	for _, q := range []string{
		"family=tcp_sent&start=0&end=1790000000&step=1m&by=pod&rate=true&target=web*", "family=runq&start=2026-11-24T08:00:00Z&end=-1", "family=block_latency&start=1e300&end=NaN&step=-1",
		"family=tcp_sent&start=1&end=9e15&step=0.0001", "family=%zz", "target=[&family=tcp_sent&start=1&end=2", "", "family=tcp_sent&start=1790000000&end=1790000001&step=1e-9&by=colour",
	} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, query string) {
		form, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		for _, path := range []string{"/api/query?", "/api/gaps?", "/api/batch?", "/api/top?"} {
			code, body, _ := get(t, srv, path+form.Encode())
			if code != 200 && (code != 400 || !strings.Contains(body, `"error":"`)) {
				t.Errorf("%s%s: status %d, %s", path, query, code, clip(body))
			}
		}
	})
}
