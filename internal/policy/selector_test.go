package policy

import (
	"math/rand/v2"
	"path"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/internal/metric"
)

func TestParseSelector(t *testing.T) {
	names := named()
	for text, want := range map[string]Selector{
		"redis*":                           {Targets: []string{"redis*"}},
		"/a/**":                            {Targets: []string{"/a/**"}},
		"namespace=shop,container=r*":      {Namespaces: []string{"shop"}, Containers: []string{"r*"}, Kinds: names},
		"pattern=redis,pattern=postgresql": {Patterns: []string{"redis", "postgresql"}, Kinds: names},
		"label.app=web,label.app.kubernetes.io/part-of=sh*": {Labels: map[string]string{"app": "web", "app.kubernetes.io/part-of": "sh*"}, Kinds: names},
		"kind=node":                      {Kinds: []metric.TargetKind{metric.Node}},
		"pod=web-1,workload=w,cgroup=/x": {Pods: []string{"web-1"}, Workloads: []string{"w"}, Cgroups: []string{"/x"}, Kinds: names},
	} {
		got, err := ParseSelector(text)
		if err != nil {
			t.Error(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", text, d)
		}
	}
	for text, want := range map[string]string{
		"":                    "selector: want a target's name or key=value, have nothing",
		"pods=x":              `selector "pods=x": unknown key "pods", want one of namespace, pod, container, workload, pattern, cgroup, kind, label.NAME`,
		"label.=x":            `selector "label.=x": want label.NAME=glob once for each label, have "label.=x"`,
		"label.a=x,label.a=y": `selector "label.a=x,label.a=y": want label.NAME=glob once for each label, have "label.a=y"`,
		"label.a=[":           `selector "label.a=[": pattern "[": syntax error in pattern`,
		"pod=":                `selector "pod=": want key=value, have "pod="`,
		"kind=pod":            `selector "kind=pod": kind "pod" is none of container, service, cgroup, node, remainder`,
		"pod=[":               `selector "pod=[": pattern "[": syntax error in pattern`,
		"pod=x,redi":          `selector "pod=x,redi": want key=value, have "redi"`,
	} {
		if _, err := ParseSelector(text); err == nil || err.Error() != want {
			t.Errorf("%q: got %v\n\twant %s", text, err, want)
		}
	}
}

func TestTargetsByAnyName(t *testing.T) {
	redis := &metric.Target{ID: "0123", Kind: metric.Container, Container: "redis", Pod: "cache-0", Cgroup: "/k/x"}
	node := &metric.Target{ID: "99", Kind: metric.Node, Cgroup: "/"}
	for g, want := range map[string][2]bool{
		"redis": {true, false}, "0123": {true, false}, "cache-?": {true, false}, "/k/**": {true, false}, "node": {false, true}, "*": {true, true}, "x": {false, false},
	} {
		s, err := ParseSelector(g)
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]bool{s.Matches(redis), s.Matches(node)}; got != want {
			t.Errorf("%s: %v, want %v", g, got, want)
		}
	}
	if s, _ := ParseSelector("namespace=shop"); s.Matches(node) {
		t.Error("a namespace selects the node")
	}
}

// A selector by labels means targets that are known to have them all, and no others.
func TestSelectByLabels(t *testing.T) {
	s, err := ParseSelector("label.app=web-*,label.tier=front")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		labels map[string]string
		want   bool
	}{
		"both":    {map[string]string{"app": "web-1", "tier": "front", "more": "x"}, true},
		"one":     {map[string]string{"app": "web-1"}, false},
		"another": {map[string]string{"app": "db", "tier": "front"}, false},
		"none":    {map[string]string{}, false},
		"unknown": {nil, false},
	} {
		if got := s.Matches(&metric.Target{Kind: metric.Container, Labels: tc.labels}); got != tc.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	if s.Matches(&metric.Target{Kind: metric.Node}) {
		t.Error("labels select the node")
	}
}

// Of two policies by labels that which wants more is the narrower; workloads are narrower
// than labels, labels than paths. Those that can mean one target must agree.
func TestPoliciesByLabels(t *testing.T) {
	order := []string{"cgroups: [/a]", "labels: {app: w*}", "labels: {app: web}", "labels: {app: web, tier: '*'}", "labels: {app: web, tier: front}", "workloads: [w]"}
	for i := 1; i < len(order); i++ {
		d, err := Parse([]File{policyOf("a", "selector: {"+order[i-1]+"}, families: [cpu]"), policyOf("b", "selector: {"+order[i]+"}, families: [{name: cpu, ratio: 0}]")}, testCatalogue())
		if err != nil || compare(&d.Policies[0], &d.Policies[1]) >= 0 || slices.Compare(d.Policies[0].Selector.rank(), d.Policies[1].Selector.rank()) >= 0 {
			t.Errorf("%s is not narrower than %s: %v", order[i], order[i-1], err)
		}
	}
	for _, tc := range []struct {
		a, b string
		meet bool
	}{{"app: web", "app: db", false}, {"app: web", "tier: db", true}, {"app: w*", "app: '*b'", true}} {
		_, err := Parse([]File{policyOf("a", "selector: {labels: {"+tc.a+"}}, families: [cpu]"), policyOf("b", "selector: {labels: {"+tc.b+"}}, families: [{name: cpu, ratio: 0}]")}, testCatalogue())
		if (err != nil) != tc.meet {
			t.Errorf("%s and %s: %v", tc.a, tc.b, err)
		}
	}
	one, other := Selector{Labels: map[string]string{"a": "x", "b": "y"}}, Selector{Labels: map[string]string{"a": "*", "c": "z"}}
	both, some := one.and(&other)
	if d := cmp.Diff(map[string]string{"a": "*", "b": "y", "c": "z"}, both.Labels); d != "" || !some {
		t.Errorf("%t %s", some, d)
	}
	if _, some := one.and(&Selector{Labels: map[string]string{"a": "z"}}); some {
		t.Error("something has two values of one label")
	}
}

// A policy that nobody can judge is named: it would select the target but for its labels,
// and those are unknown.
func TestUnjudged(t *testing.T) {
	d, err := Parse([]File{
		policyOf("web", "selector: {labels: {app: web}}, families: [cpu, runq]"), policyOf("shop", "selector: {namespaces: [shop], labels: {app: x}}, families: [tcp_sent_bytes]"),
		policyOf("plain", "families: [offcpu_time]"), policyOf("gone", "selector: {labels: {app: web}}, families: [block_latency], until: 2020-01-01T00:00:00Z"),
	}, testCatalogue())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	plan := Make(Wishes{Interval: time.Second, Documents: d}, 1, now)
	for name, tc := range map[string]struct {
		target metric.Target
		want   []string
	}{
		"unknown":         {metric.Target{Kind: metric.Container}, []string{"web"}},
		"unknown in shop": {metric.Target{Kind: metric.Container, Namespace: "shop"}, []string{"shop", "web"}},
		"known":           {metric.Target{Kind: metric.Container, Labels: map[string]string{}}, nil},
		"a service":       {metric.Target{Kind: metric.Service}, nil},
	} {
		if d := cmp.Diff(tc.want, plan.Unjudged(&tc.target, now)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func FuzzParseSelector(f *testing.F) {
	for _, seed := range []string{"redis", "pod=a,kind=node", "cgroup=/a/**", "=", ",", "pod=[", "label.a=b,label.a/c=*"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := ParseSelector(text); err == nil {
			s.Matches(&metric.Target{Kind: metric.Container, Container: "x", Cgroup: "/a/b"})
		}
	})
}

// Two globs that match one text meet.
func TestGlobsMeet(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	random := func(letters string) string {
		b := make([]byte, r.IntN(5))
		for i := range b {
			b[i] = letters[r.IntN(len(letters))]
		}
		return string(b)
	}
	met := 0
	for range 50_000 {
		g, h, text := random("ab*?/"), random("ab*?/"), random("ab/")
		if r.IntN(4) == 0 {
			g += "/**"
		}
		if CheckGlob(g) != nil || CheckGlob(h) != nil {
			continue
		}
		if glob(g, text) && glob(h, text) {
			met++
			if !globsMeet(g, h) {
				t.Fatalf("%q and %q both match %q", g, h, text)
			}
		}
	}
	if met < 100 {
		t.Errorf("only %d pairs matched", met)
	}
	for _, apart := range [][2]string{{"web-*", "db-*"}, {"a?", "a"}, {"", "a"}, {"/a/**", "/b/**"}, {"*x", "*y"}} {
		if globsMeet(apart[0], apart[1]) {
			t.Errorf("%s and %s meet", apart[0], apart[1])
		}
	}
	if ok, _ := path.Match("[ab]", "a"); !ok || !globsMeet("[ab]", "a") || !globsMeet(`\*`, "*") {
		t.Error("sets and escapes do not meet their letters")
	}
}
