package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"

	"viperprobe.dev/viperprobe/test/rig"
)

// A peer is scraped as a Prometheus would. It may find cgroups late and run scripts to
// name them, which is not what it costs from then on.
const (
	scrapeEvery = 5 * time.Second
	peerSettle  = 20 * time.Second
)

// peerFlags are further programs to compare with: name=command, or name=URL@command.
type peerFlags []subject

func (p *peerFlags) String() string { return "" }

func (p *peerFlags) Set(s string) error {
	name, command, ok := strings.Cut(s, "=")
	url := ""
	if strings.HasPrefix(command, "http://") {
		url, command, ok = strings.Cut(command, "@")
	}
	fields := strings.Fields(command)
	if !ok || name == "" || len(fields) == 0 {
		return errors.New("want name=command, or name=http://...@command")
	}
	*p = append(*p, subject{name, fields, url})
	return nil
}

func get(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, scrapeEvery)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("get %s: %s", url, resp.Status)
	}
	return string(body), err
}

// scrape waits until url answers, and gets it from then on until the function that it
// returns is called, which tells the first error.
func scrape(url string) (stop func() error, err error) {
	if !rig.Poll(30*time.Second, func() bool { _, err = get(context.Background(), url); return err == nil }) {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		ticks := time.NewTicker(scrapeEvery)
		defer ticks.Stop()
		for {
			select {
			case <-ctx.Done():
				done <- nil
				return
			case <-ticks.C:
			}
			if _, err := get(ctx, url); err != nil && ctx.Err() == nil {
				done <- err
				return
			}
		}
	}()
	return func() error { cancel(); return <-done }, nil
}

// shows tells how many different names of the pattern a peer shows.
func shows(url string, name *regexp.Regexp) (int, error) {
	body, err := get(context.Background(), url)
	found := map[string]bool{}
	for _, n := range name.FindAllString(body, -1) {
		found[n] = true
	}
	return len(found), err
}
