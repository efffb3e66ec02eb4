package main

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
	"viperprobe.dev/viperprobe/internal/store"
	"viperprobe.dev/viperprobe/internal/web"
)

// measuring is an instance that measures all but the first of the test's families.
func measuring(recent *store.Recent, users web.Users) http.Handler {
	families := testFamilies()
	plan := policy.Plan{Rules: []policy.Rule{{Wants: wants(families[1:], 1)}}}
	p := parts{families: families}
	return web.Handler(web.Options{Recent: recent, Families: families, Users: users, Documents: map[string]web.Document{
		"status": {Make: func() any { return status(p, &scripted{}, plan) }},
	}})
}

// windowAt is the window seq, of a cgroup /a, one /b and the node.
func windowAt(seq uint64) *metric.Batch {
	families := testFamilies()
	b := window(metric.Sample{Family: families[1], Value: 1e9 * seq, Ratio: 1})
	b.Seq, b.Node = seq, "n"
	b.Groups = append(b.Groups,
		metric.Group{Target: &metric.Target{ID: "2", Kind: metric.Plain, Node: "n", Cgroup: "/b"}, Samples: []metric.Sample{{Family: families[1], Value: 4000, Ratio: 1}}},
		metric.Group{Target: &metric.Target{ID: "3", Kind: metric.Node, Node: "n", Cgroup: "/"}})
	return b
}

// top beside an instance measures nothing: the engine of these parts is a fault.
func topOf(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return runScripted(t, &scripted{err: os.ErrPermission}, append([]string{"--once", "-o", "json"}, args...)...)
}

func TestTopFollows(t *testing.T) {
	recent := store.NewRecent(store.RecentOptions{})
	recent.Append(windowAt(7))
	server := httptest.NewServer(measuring(recent, nil))
	defer server.Close()
	families := testFamilies()
	code, out, faults := topOf(t, "--url", server.URL, "--families", families[1].Name, "--exclude-cgroup", "/b")
	if code != exitOK || faults != "" {
		t.Fatal(code, faults)
	}
	var got []struct{ Target, Values map[string]any }
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Target["cgroup"] != "/a" || got[0].Values[families[1].Name] != 3.5 {
		t.Errorf("rows %v", got)
	}
	code, _, faults = topOf(t, "--url", server.URL, "--families", families[0].Name)
	if code != exitOK || !strings.Contains(faults, "not measured by "+server.URL+": "+families[0].Name+" (not among its --families)") {
		t.Errorf("a family that is not measured there: %d %q", code, faults)
	}
}

func TestTopFollowsOverTLS(t *testing.T) {
	recent := store.NewRecent(store.RecentOptions{})
	recent.Append(windowAt(7))
	server := httptest.NewTLSServer(measuring(recent, web.Users{"ann": "secret"}))
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	with := func(user string) string { return strings.Replace(server.URL, "://", "://"+user+"@", 1) }
	for name, tc := range map[string]struct {
		args   []string
		code   int
		output string // part of
	}{
		"well":           {[]string{"--url", with("ann:secret"), "--ca-cert", ca}, exitOK, `"cgroup": "/a"`},
		"no password":    {[]string{"--url", server.URL, "--ca-cert", ca}, exitFailure, "it wants a name and password"},
		"wrong password": {[]string{"--url", with("ann:other"), "--ca-cert", ca}, exitFailure, with("ann:xxxxx") + ": it does not take this name and password"},
		"unknown CA":     {[]string{"--url", with("ann:secret")}, exitFailure, "give its authority with --ca-cert"},
		"no CA":          {[]string{"--url", server.URL, "--ca-cert", "none.pem"}, exitUsage, "--ca-cert: open none.pem"},
		"not a CA":       {[]string{"--url", server.URL, "--ca-cert", "follow_test.go"}, exitUsage, "has no certificate in PEM"},
		"plain HTTP":     {[]string{"--url", strings.Replace(server.URL, "https", "http", 1)}, exitFailure, "it speaks HTTPS"},
		"nothing there":  {[]string{"--url", "http://127.0.0.1:1"}, exitFailure, "nothing listens there; start `viperprobe run`, or measure here with --url none"},
		"no address":     {[]string{"--url", "node7:9733"}, exitUsage, "--url: want an address such as http://"},
		"measure here":   {[]string{"--url", "none"}, exitFailure, os.ErrPermission.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, faults := topOf(t, append(tc.args, "--families", testFamilies()[1].Name)...)
			if code != tc.code || !strings.Contains(out+faults, tc.output) || strings.Contains(faults, "secret") {
				t.Errorf("exit code %d, want %d with %q in:\n%s%s", code, tc.code, tc.output, out, faults)
			}
		})
	}
}

// Each window comes once; those that were missed are counted, and an instance that
// is away is asked again.
func TestFollowerKeepsUp(t *testing.T) {
	recent, families := store.NewRecent(store.RecentOptions{}), testFamilies()
	real, away := measuring(recent, nil), make(chan bool, 1)
	away <- false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		gone := <-away
		away <- gone
		if gone {
			http.Error(w, "", http.StatusBadGateway)
			return
		}
		real.ServeHTTP(w, r)
	}))
	defer server.Close()
	f := &follower{remote: &web.Remote{URL: server.URL, Client: server.Client()}, catalog: families}
	f.show(families)
	put := func(seq uint64) {
		b := windowAt(seq)
		b.Interval = time.Millisecond
		recent.Append(b)
	}
	put(2)
	if b, err := f.first(t.Context()); err != nil || b.Seq != 2 {
		t.Fatal(b, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	out, faults, ended := newLatest(), make(chan error, 1), make(chan bool)
	go func() { f.run(ctx, out, faults); close(ended) }()
	var got []uint64
	for _, seq := range []uint64{3, 4, 7} {
		put(seq)
		got = append(got, (<-out.next).Seq)
	}
	<-away
	away <- true
	if err := <-faults; err == nil || !strings.Contains(err.Error(), "502 Bad Gateway") || !strings.Contains(err.Error(), "trying again") {
		t.Errorf("fault %v", err)
	}
	<-away
	away <- false
	put(8)
	got = append(got, (<-out.next).Seq)
	for err := range faults { // perhaps once more the fault, then that it is over
		if err == nil {
			break
		}
	}
	stop()
	<-ended
	if diff := cmp.Diff([]uint64{3, 4, 7, 8}, got); diff != "" || f.missed.Load() != 2 {
		t.Errorf("windows %s, %d missed", diff, f.missed.Load())
	}
}
