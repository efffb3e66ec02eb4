package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

// The real thing: agent, store and server in one process, from flags to rows.
func TestServe(t *testing.T) {
	p, dir := newParts(), filepath.Join(t.TempDir(), "store")
	s := settings{runOptions: defaults()}
	set := pflag.NewFlagSet("run", pflag.ContinueOnError)
	s.bindPlan(set)
	s.bindServer(set)
	if err := set.Parse([]string{"--families", "cpu_usage,runq_latency", "--interval", "100ms", "--store", dir, "--control", filepath.Join(t.TempDir(), "control")}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.load(p); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	c, err := s.controller(p, log)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- s.serve(ctx, p, c, listener, log) }()
	url := "http://" + listener.Addr().String()
	deadline := time.Now().Add(30 * time.Second)
	for get(url+"/readyz") != "ok\n" {
		select {
		case err := <-done:
			t.Fatalf("ended: %v", err)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("not ready in 30 s")
		}
	}
	if !strings.Contains(get(url+"/metrics"), "viperprobe_store_batches_total") {
		t.Error("/metrics does not tell of the store")
	}
	var families []description
	if err := json.Unmarshal([]byte(get(url+"/api/families")), &families); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(describe(p.families), families); diff != "" {
		t.Errorf("/api/families is not what `metrics -o json` prints: %s", diff)
	}
	var status statusDocument
	if err := json.Unmarshal([]byte(get(url+"/api/status")), &status); err != nil || len(status.Families) == 0 {
		t.Errorf("/api/status: %+v, %v", status, err)
	}
	code, out, faults := command(t, "query", "cpu_usage", "--url", url, "-o", "csv")
	if code != exitOK || len(strings.Split(out, "\n")) < 3 {
		t.Errorf("query while it runs: code %d, %s, %s", code, out, faults)
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("ended with %v", err)
	}
	code, after, faults := command(t, "query", "cpu_usage", "--store", dir, "-o", "csv")
	if code != exitOK || len(after) < len(out) {
		t.Errorf("query of what is left: code %d, %d bytes after %d, %s", code, len(after), len(out), faults)
	}
}

// get is the body, "" while there is none.
func get(url string) string {
	res, err := http.Get(url)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return ""
	}
	return string(b)
}

// A second instance on the same store, and users that cannot be read, are told.
func TestServeFaults(t *testing.T) {
	p, dir := newParts(), t.TempDir()
	open := func(change func(*settings)) error {
		s := settings{runOptions: defaults()}
		s.Store = dir
		change(&s)
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		s.Control = "none"
		log := slog.New(slog.DiscardHandler)
		c, err := s.controller(p, log)
		if err != nil {
			t.Fatal(err)
		}
		return s.serve(t.Context(), p, c, listener, log)
	}
	users := filepath.Join(dir, "users")
	if err := open(func(s *settings) { s.BasicAuthFile = users }); err == nil || !strings.Contains(err.Error(), "read users: open "+users) {
		t.Errorf("no users: %v", err)
	}
	_, held, _ := stored(t)
	if err := open(func(s *settings) { s.Store = held }); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a store that is in use: %v", err)
	}
}
