package policy

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/internal/metric"
)

var families = []*metric.Family{
	{Name: "cpu_usage", Class: metric.CPU, Tier: metric.File},
	{Name: "runq_latency", Class: metric.CPU, Tier: metric.Event, Aliases: []string{"runq"}, Sampling: metric.Events},
	{Name: "offcpu_time", Class: metric.CPU, Tier: metric.Event, OnDemand: true},
	{Name: "tcp_sent_bytes", Class: metric.Network, Tier: metric.Snapshot, Aliases: []string{"sentbytes"}},
}

func TestResolve(t *testing.T) {
	for words, want := range map[string]string{
		"all": "cpu_usage runq_latency offcpu_time tcp_sent_bytes", "default": "cpu_usage runq_latency tcp_sent_bytes",
		"cpu": "cpu_usage runq_latency offcpu_time", "sentbytes runq": "runq_latency tcp_sent_bytes",
		"event": "runq_latency offcpu_time", "runq runq_latency": "runq_latency", "off*": "offcpu_time", "runq* tcp_*": "runq_latency tcp_sent_bytes", "default offcpu_time": "cpu_usage runq_latency offcpu_time tcp_sent_bytes",
	} {
		got, err := Resolve(strings.Fields(words), families)
		if err != nil {
			t.Errorf("%s: %v", words, err)
		}
		var names []string
		for _, f := range got {
			names = append(names, f.Name)
		}
		if d := cmp.Diff(strings.Fields(want), names); d != "" {
			t.Errorf("%s: %s", words, d)
		}
	}
}

func TestUnknownNamesAreAllReported(t *testing.T) {
	got, err := Resolve([]string{"runqlatency", "cpu_usage", "zzzzzzzz", "*", "zz*"}, families)
	if len(got) != 1 || got[0].Name != "cpu_usage" {
		t.Errorf("resolved %v", got)
	}
	var u *UnknownError
	if !errors.As(err, &u) || u.Nearest != "runq_latency" {
		t.Errorf("got %v, want a hint at runq_latency", err)
	}
	for _, want := range []string{`unknown family "runqlatency", did you mean "runq_latency"?`, `unknown family "zzzzzzzz"; `, `unknown family "*"`, `unknown family "zz*"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %q", want, err)
		}
	}
}

func TestNearest(t *testing.T) {
	words := []string{"memory", "network", "netwrok_bytes", "disk"}
	for slip, want := range map[string]string{
		"netowrk": "network", "memroy": "memory", "dsik": "disk", "q": "", "completely_else": "", "disks": "disk",
	} {
		if got := Nearest(slip, words); got != want {
			t.Errorf("%s: %q, want %q", slip, got, want)
		}
	}
}

func TestGlob(t *testing.T) {
	for _, tc := range []struct {
		glob, path string
		want       bool
	}{
		{"/kubepods/**", "/kubepods/burstable/pod1/c", true}, {"/kubepods/**", "/kubepods", true}, {"/kubepods/**", "/kubepods2/x", false},
		{"/system.slice/*", "/system.slice/ssh.service", true}, {"/system.slice/*", "/system.slice/a/b", false},
		{"/*", "/a", true}, {"/*", "/a/b", false}, {"/**", "/a/b/c", true}, {"/kube*/**", "/kubepods/x", true}, {"/a?c", "/abc", true},
	} {
		s := Selector{Cgroups: []string{tc.glob}}
		if got := s.Matches(&metric.Target{Kind: metric.Plain, Cgroup: tc.path}); got != tc.want {
			t.Errorf("%s matches %s: %v, want %v", tc.glob, tc.path, got, tc.want)
		}
	}
	if CheckGlob("/a[") == nil || CheckGlob("/a[/**") == nil || CheckGlob("/a/**") != nil {
		t.Error("CheckGlob does not tell good from bad")
	}
}

func FuzzGlob(f *testing.F) {
	for _, seed := range []string{"/**", "/a/**", "/a[", "*", "", "/**/**"} {
		f.Add(seed, "/a/b")
	}
	f.Fuzz(func(t *testing.T, g, path string) {
		if CheckGlob(g) == nil {
			(&Selector{Cgroups: []string{g}}).Matches(&metric.Target{Kind: metric.Plain, Cgroup: path})
		}
	})
}

func TestLaterRulesWin(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	want := func(names ...string) (w []Want) {
		for _, n := range names {
			w = append(w, Want{Family: n, Ratio: 1})
		}
		return w
	}
	p := Plan{Rules: []Rule{
		{Wants: want("a", "b", "c")},
		{Select: Selector{Containers: []string{"redis*"}}, Wants: []Want{{Family: "b", Ratio: 0.1}, {Family: "c", Ratio: 0}}},
		{Select: Selector{Namespaces: []string{"shop"}}, Wants: want("d"), Until: now.Add(time.Minute)},
	}}
	redis := &metric.Target{Kind: metric.Container, Container: "redis-0", Namespace: "shop"}
	if d := cmp.Diff(map[string]Want{"a": {Family: "a", Ratio: 1}, "b": {Family: "b", Ratio: 0.1}, "d": {Family: "d", Ratio: 1}}, p.For(redis, now)); d != "" {
		t.Error(d)
	}
	later := now.Add(time.Minute)
	if got := slices.Sorted(maps.Keys(p.For(redis, later))); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("after the rule's end: %v", got)
	}
	if !p.Lapsed(now, later) || p.Lapsed(later, later.Add(time.Hour)) || p.Lapsed(now, now.Add(time.Second)) {
		t.Error("Lapsed does not tell when a rule ends")
	}
	if got := slices.Sorted(maps.Keys(p.For(&metric.Target{Kind: metric.Plain, Cgroup: "/x"}, now))); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("another target: %v", got)
	}
}

func TestNodeIsSelectedByKindAlone(t *testing.T) {
	node := &metric.Target{Kind: metric.Node, Cgroup: "/"}
	if s := (Selector{Cgroups: []string{"/x/**"}}); !s.Matches(node) {
		t.Error("a glob keeps the node out")
	}
	if s := (Selector{Kinds: []metric.TargetKind{metric.Container}}); s.Matches(node) {
		t.Error("kinds do not keep the node out")
	}
}
