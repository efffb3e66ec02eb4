package policy

import (
	"math/rand/v2"
	"path"
	"testing"

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
		"kind=node":                        {Kinds: []metric.TargetKind{metric.Node}},
		"pod=web-1,workload=w,cgroup=/x":   {Pods: []string{"web-1"}, Workloads: []string{"w"}, Cgroups: []string{"/x"}, Kinds: names},
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
		"":           "selector: want a target's name or key=value, have nothing",
		"pods=x":     `selector "pods=x": unknown key "pods", want one of namespace, pod, container, workload, pattern, cgroup, kind`,
		"pod=":       `selector "pod=": want key=value, have "pod="`,
		"kind=pod":   `selector "kind=pod": kind "pod" is none of container, service, cgroup, node, remainder`,
		"pod=[":      `selector "pod=[": pattern "[": syntax error in pattern`,
		"pod=x,redi": `selector "pod=x,redi": want key=value, have "redi"`,
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

func FuzzParseSelector(f *testing.F) {
	for _, seed := range []string{"redis", "pod=a,kind=node", "cgroup=/a/**", "=", ",", "pod=["} {
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
