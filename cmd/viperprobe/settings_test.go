package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spf13/pflag"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
)

func testFamilies() []*metric.Family {
	return []*metric.Family{
		{Name: "runq_latency", Class: metric.CPU, Tier: metric.Event, Kind: metric.Histogram, Unit: metric.Seconds, Aliases: []string{"runq"}},
		{Name: "cpu_usage", Class: metric.CPU, Tier: metric.File, Kind: metric.Counter, Unit: metric.Seconds},
		{Name: "tcp_sent_bytes", Class: metric.Network, Tier: metric.Snapshot, Kind: metric.Counter, Unit: metric.Bytes},
	}
}

func parse(t *testing.T, args ...string) (*settings, error) {
	t.Helper()
	s := settings{runOptions: defaults()}
	set := pflag.NewFlagSet("run", pflag.ContinueOnError)
	s.bindPlan(set)
	s.bindServer(set)
	if err := set.Parse(args); err != nil {
		return nil, err
	}
	_, err := s.load(parts{families: testFamilies()})
	return &s, err
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "v.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaults(t *testing.T) {
	s, err := parse(t)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(defaults(), s.runOptions, cmp.AllowUnexported(choice{}), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func TestPlan(t *testing.T) {
	file := write(t, "interval: 5s\nfamilies: [network, runq]\nexclude-cgroup: [/system.slice/**]\n")
	containers := []metric.TargetKind{metric.Container, metric.Service, metric.Plain}
	for name, tc := range map[string]struct {
		args []string
		want policy.Plan
	}{
		"defaults": {nil, policy.Plan{Interval: time.Second, Rules: []policy.Rule{
			{Origin: "--families", Wants: []policy.Want{{Family: "runq_latency", Ratio: 1}, {Family: "cpu_usage", Ratio: 1}, {Family: "tcp_sent_bytes", Ratio: 1}}},
		}}},
		"repeated and comma": {[]string{"--families", "runq", "--families=network,file", "--cgroup", "/a", "--cgroup", "/b,c/**", "--interval", "100ms"},
			policy.Plan{Interval: 100 * time.Millisecond, Rules: []policy.Rule{
				{Origin: "--families", Select: policy.Selector{Cgroups: []string{"/a", "/b,c/**"}},
					Wants: []policy.Want{{Family: "runq_latency", Ratio: 1}, {Family: "cpu_usage", Ratio: 1}, {Family: "tcp_sent_bytes", Ratio: 1}}},
			}}},
		"file": {[]string{"--config", file}, policy.Plan{Interval: 5 * time.Second, Rules: []policy.Rule{
			{Origin: file + ":2", Wants: []policy.Want{{Family: "runq_latency", Ratio: 1}, {Family: "tcp_sent_bytes", Ratio: 1}}},
			{Origin: file + ":3", Select: policy.Selector{Kinds: containers, Cgroups: []string{"/system.slice/**"}},
				Wants: []policy.Want{{Family: "runq_latency"}, {Family: "cpu_usage"}, {Family: "tcp_sent_bytes"}}},
		}}},
		"flags win": {[]string{"--config", file, "--families", "cpu_usage", "--interval", "2s", "--exclude-cgroup", "/x"},
			policy.Plan{Interval: 2 * time.Second, Rules: []policy.Rule{
				{Origin: "--families", Wants: []policy.Want{{Family: "cpu_usage", Ratio: 1}}},
				{Origin: "--exclude-cgroup", Select: policy.Selector{Kinds: containers, Cgroups: []string{"/x"}}, Wants: []policy.Want{{Family: "runq_latency"}, {Family: "cpu_usage"}, {Family: "tcp_sent_bytes"}}},
			}}},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := parse(t, tc.args...)
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.plan(testFamilies())
			if err != nil {
				t.Fatal(err)
			}
			tc.want.Generation = 1
			if diff := cmp.Diff(tc.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// An excluded cgroup is off; the node, which no glob can name, is not.
func TestPlanExcludes(t *testing.T) {
	s, err := parse(t, "--exclude-cgroup", "/system.slice/**")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := s.plan(testFamilies())
	if err != nil {
		t.Fatal(err)
	}
	for want, target := range map[int]*metric.Target{
		0: {Kind: metric.Service, Cgroup: "/system.slice/a.service"},
		3: {Kind: metric.Node, Cgroup: "/"},
	} {
		if got := len(plan.For(target, time.Time{})); got != want {
			t.Errorf("%s %s has %d families, want %d", target.Kind, target.Cgroup, got, want)
		}
	}
}

func TestLoadFaults(t *testing.T) {
	file := write(t, "interval: 1ms\nfamilies: [cpu, runqq]\ncgroup: ['[']\nlisten: here\ntls-key: /none/key\nretention-size: 0\n")
	for name, tc := range map[string]struct {
		args []string
		want []string
	}{
		"flags": {[]string{"--interval", "soon", "--retention-size", "2GX", "--families", "nett", "--cgroup", "a/b", "--max-series", "0", "--log-level", "loud", "--log-format", "xml", "--listen", ":http", "--store", ""},
			[]string{
				`--interval: want a duration, such as 500ms, 5m or 15d, have "soon"`,
				`--retention-size: want a size, such as 2GiB or 500MB, have "2GX"`,
				`--max-series: want a whole number, 1 or more, have "0"`,
				`--log-level: want debug, info, warn or error, have "loud"`,
				`--log-format: want text, json, have "xml"`,
				`--families: unknown family "nett"; ` + "`viperprobe metrics` lists them",
				`--cgroup: "a/b" matches nothing: want a path from the root of the cgroup tree, such as /system.slice/**`,
				`--listen: want a port from 0 to 65535, have "http"`,
				`--store: want a directory, have nothing`,
			}},
		"file": {[]string{"--config", file}, []string{
			file + `:1:interval: want between 100ms and 1h, have 1ms`,
			file + `:2:families[1]: unknown family "runqq", did you mean "runq"?`,
			file + `:3:cgroup[0]: pattern "[": syntax error in pattern`,
			file + `:4:listen: want host:port, such as 127.0.0.1:9733, have "here"`,
			file + `:6:retention-size: want more than 0`,
			file + `:5:tls-key: has no certificate: give --tls-cert too`,
			file + `:5:tls-key: stat /none/key: no such file or directory`,
		}},
		"unknown key": {[]string{"--config", write(t, "family: [cpu]\n"), "--interval", "x"}, []string{
			`--interval: want a duration, such as 500ms, 5m or 15d, have "x"`,
			`v.yaml:1:family: unknown key, did you mean "families"?`,
		}},
		"no file": {[]string{"--config", "/none.yaml"}, []string{"--config: open /none.yaml: no such file or directory"}},
		"no certificate": {[]string{"--config", write(t, "tls-cert: "+file+"\ntls-key: "+file+"\n")}, []string{
			"v.yaml:1:tls-cert: cannot serve HTTPS with " + file + " and key " + file + ": tls: failed to find any PEM data in certificate input",
		}},
		"kinds": {[]string{"--tls-cert", "/", "--probe-dir", file}, []string{"--probe-dir: want a directory: open " + file + ": not a directory", "--tls-cert: has no key: give --tls-key too", "--tls-cert: / is a directory, want a file"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(t, tc.args...)
			if err == nil {
				t.Fatal("accepted")
			}
			got := strings.Split(err.Error(), "\n")
			for i := range got { // in a folder of the test's own
				if at := strings.Index(got[i], "/v.yaml:1:"); at >= 0 && !strings.HasPrefix(got[i], file) {
					got[i] = got[i][at+1:]
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
