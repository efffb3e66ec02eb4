package policy

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/metric"
)

func readDir(t testing.TB, dir string) (files []File) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files in %s, %v", dir, err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, File{filepath.Base(path), data})
	}
	return files
}

// Each bad document says on its first line what is wrong with it.
func TestBadDocuments(t *testing.T) {
	for _, f := range readDir(t, "testdata/bad") {
		first, _, _ := strings.Cut(string(f.Data), "\n")
		_, err := Parse([]File{f}, testCatalogue())
		if want := strings.TrimPrefix(first, "# "); err == nil || err.Error() != want {
			t.Errorf("%s: got  %v\n\twant %s", f.Name, err, want)
		}
	}
}

func testCatalogue() []*metric.Family {
	runq := *families[1]
	runq.Kind = metric.Histogram
	return append([]*metric.Family{families[0], &runq, families[2], families[3]}, &metric.Family{Name: "block_latency", Class: metric.Disk, Tier: metric.Event, Kind: metric.Histogram,
		Labels: []metric.Label{{Name: "operation", Values: []string{"read", "write"}}}})
}

func policyOf(name, spec string) File {
	return File{name + ".yaml", []byte("apiVersion: viperprobe.dev/v1alpha1\nkind: ProbePolicy\nmetadata: {name: " + name + "}\nspec: {" + spec + "}\n")}
}

func TestFaultsAcrossFiles(t *testing.T) {
	for name, tc := range map[string]struct {
		files []File
		want  string
	}{
		"duplicate name": {[]File{policyOf("a", "families: [cpu]"), {"b.yaml", policyOf("a", "families: [cpu]").Data}},
			`b.yaml:3:metadata.name: ProbePolicy "a" is there already, in a.yaml:3; give one another name`},
		"overlap": {[]File{policyOf("b", "selector: {pods: ['web-?']}, families: [{name: runq, ratio: 0}]"), policyOf("a", "selector: {pods: ['*-1']}, families: [cpu]")},
			`b.yaml:4:spec.selector: overlaps with a.yaml:3 (a), which is as specific and wants runq_latency otherwise; narrow one of them`},
		"apart":        {[]File{policyOf("a", "selector: {pods: [web-*]}, families: [{name: runq, ratio: 0}]"), policyOf("b", "selector: {pods: [db-*]}, families: [cpu]")}, ""},
		"agreeing":     {[]File{policyOf("a", "families: [runq]"), policyOf("b", "families: [cpu]")}, ""},
		"nested":       {[]File{policyOf("a", "families: [{name: runq, ratio: 0}]"), policyOf("b", "selector: {pods: [x]}, families: [cpu]")}, ""},
		"other kinds":  {[]File{policyOf("a", "selector: {kinds: [node]}, families: [{name: runq, ratio: 0}]"), policyOf("b", "selector: {kinds: [container]}, families: [cpu]")}, ""},
		"own pattern":  {[]File{policyOf("a", "selector: {patterns: [mine]}, families: [cpu]"), {"p.yaml", []byte("apiVersion: viperprobe.dev/v1alpha1\nkind: Pattern\nmetadata: {name: mine}\nspec: {match: {binaries: [m]}}\n")}}, ""},
		"two at once":  {[]File{policyOf("a", "families: [cpuu]"), policyOf("b", "families: [x]")}, "a.yaml:4:spec.families[0]: unknown family \"cpuu\", did you mean \"cpu\"?\nb.yaml:4:spec.families[0]: unknown family \"x\"; `viperprobe metrics` lists them"},
		"a form as is": {[]File{policyOf("a", "families: [{name: block_latency, form: histogram}, {name: cpu_usage, form: sum}]")}, ""},
	} {
		_, err := Parse(tc.files, testCatalogue())
		got := ""
		if err != nil {
			got = err.Error()
		}
		if d := cmp.Diff(tc.want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestMoreSpecificWins(t *testing.T) {
	files := []File{
		policyOf("all", "families: [cpu, {name: tcp_sent_bytes, ratio: 0}]"),
		policyOf("shop", "selector: {namespaces: [shop]}, families: [{name: cpu, ratio: 0}, tcp_sent_bytes]"),
		policyOf("redis", "selector: {patterns: [redis]}, families: [runq_latency]"),
		policyOf("deep", "selector: {cgroups: [/a/b/**]}, families: [cpu_usage]"),
		policyOf("shallow", "selector: {cgroups: [/a/**]}, families: [{name: all, ratio: 0}]"),
		policyOf("glob", "selector: {pods: [web-*]}, families: [{name: all, ratio: 0}]"),
		policyOf("exact", "selector: {pods: [web-1]}, families: [offcpu_time]"),
		policyOf("gone", "selector: {pods: [web-1]}, families: [block_latency], interval: 100ms, until: 2020-01-01T00:00:00Z"),
		policyOf("quick", "selector: {kinds: [service]}, families: [block_latency, {name: all, ratio: 0}], interval: 500ms"),
	}
	base := []Rule{{Origin: "--families", Wants: []Want{{Family: "block_latency", Ratio: 1}}}}
	now := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	var first Plan
	for i := range 50 {
		rand.Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
		d, err := Parse(files, testCatalogue())
		if err != nil {
			t.Fatal(err)
		}
		plan := Make(Wishes{Interval: time.Second, Base: base, Documents: d}, 1, now)
		if i == 0 {
			first = plan
		} else if d := cmp.Diff(first, plan); d != "" {
			t.Fatalf("the order of files matters: %s", d)
		}
	}
	if first.Interval != 500*time.Millisecond {
		t.Errorf("interval %v", first.Interval)
	}
	for want, target := range map[string]metric.Target{
		"block_latency cpu_usage offcpu_time runq_latency": {Kind: metric.Plain, Cgroup: "/x"},
		"block_latency tcp_sent_bytes":                     {Kind: metric.Container, Cgroup: "/x", Namespace: "shop"},
		"block_latency runq_latency tcp_sent_bytes":        {Kind: metric.Container, Cgroup: "/x", Namespace: "shop", Pattern: "redis"},
		"cpu_usage":   {Kind: metric.Plain, Cgroup: "/a/b/c"},
		"":            {Kind: metric.Plain, Cgroup: "/a/c"},
		"offcpu_time": {Kind: metric.Container, Pod: "web-1"},
		"block_latency cpu_usage offcpu_time runq_latency ": {Kind: metric.Node},
	} {
		var got []string
		for _, r := range first.Explain(&target, now) {
			if r.Ratio == 1 {
				got = append(got, r.Family)
			}
		}
		if strings.Join(got, " ") != strings.TrimSpace(want) {
			t.Errorf("%+v has %v, want %s", target, got, want)
		}
	}
	why := first.Explain(&metric.Target{Kind: metric.Container, Cgroup: "/x", Namespace: "shop", Pattern: "redis"}, now)
	want := []Reason{
		{Family: "block_latency", Ratio: 1, Policy: "--families", Origin: "--families"}, {Family: "cpu_usage", Policy: "shop", Line: 4, Origin: "shop.yaml:4"},
		{Family: "offcpu_time", Policy: "shop", Line: 4, Origin: "shop.yaml:4"}, {Family: "runq_latency", Ratio: 1, Policy: "redis", Line: 4, Origin: "redis.yaml:4"},
		{Family: "tcp_sent_bytes", Ratio: 1, Policy: "shop", Line: 4, Origin: "shop.yaml:4"},
	}
	if d := cmp.Diff(want, why); d != "" {
		t.Error(d)
	}
}

// What explains a target's families is what it has.
func TestExplainIsFor(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	now := time.Unix(1000, 0)
	for range 200 {
		var p Plan
		for range r.IntN(12) {
			rule := Rule{Select: Selector{Namespaces: []string{string(rune('a' + r.IntN(3)))}}, Wants: []Want{{
				Family: families[r.IntN(4)].Name, Ratio: float64(r.IntN(2)), Labels: []Labels{nil, {}, {"kind": {"a"}}}[r.IntN(3)],
			}}}
			if r.IntN(3) == 0 {
				rule.Until = now.Add(time.Duration(r.IntN(3)-1) * time.Second)
			}
			p.Rules = append(p.Rules, rule)
		}
		target := &metric.Target{Kind: metric.Container, Namespace: "a"}
		got := map[string]Want{}
		for _, why := range p.Explain(target, now) {
			if why.Ratio > 0 {
				got[why.Family] = Want{Family: why.Family, Ratio: why.Ratio, Labels: why.Labels}
			}
		}
		if d := cmp.Diff(p.For(target, now), got); d != "" {
			t.Fatalf("%+v: %s", p, d)
		}
	}
}

func TestExamples(t *testing.T) {
	files := readDir(t, "../../examples/policies")
	d, err := Parse(files, catalogue.Families())
	if err != nil {
		t.Fatal(err)
	}
	policies := 0
	for _, f := range files {
		if strings.Contains(string(f.Data), "\nkind: ProbePolicy\n") {
			policies++
		}
	}
	if len(d.Policies) != policies || d.Patterns[0].Name != "emissary" || !slices.ContainsFunc(d.Patterns, func(p Pattern) bool { return p.Name == "erp" }) {
		t.Errorf("%d policies, patterns %v", len(d.Policies), d.Patterns)
	}
}

// A ratio of a family's own name is that family's; of a wider word it is that of what
// can be sampled, and the rest stays as it is.
func TestRatios(t *testing.T) {
	for name, tc := range map[string]struct{ spec, want string }{
		"a family":      {"families: [{name: runq, ratio: 0.25}]", "runq_latency 0.25"},
		"a class":       {"families: [cpu, {name: event, ratio: 0.1}]", "cpu_usage 1, offcpu_time 1, runq_latency 0.1"},
		"a class alone": {"families: [{name: event, ratio: 0.1}]", "runq_latency 0.1"},
		"the narrower":  {"families: [{name: runq_latency, ratio: 0.5}, {name: all, ratio: 0.01}]", "runq_latency 0.5"},
	} {
		d, err := Parse([]File{policyOf("a", tc.spec)}, testCatalogue())
		if err != nil {
			t.Fatal(name, err)
		}
		plan := Make(Wishes{Interval: time.Second, Documents: d}, 1, time.Time{})
		var got []string
		for _, r := range plan.Explain(&metric.Target{Kind: metric.Plain}, time.Time{}) {
			got = append(got, fmt.Sprint(r.Family, " ", r.Ratio))
		}
		if d := cmp.Diff(tc.want, strings.Join(got, ", ")); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	for _, ratio := range []float64{math.NaN(), -1, 1.5, MinRatio / 2} {
		if CheckRatio(ratio, testCatalogue()[1]) == nil {
			t.Errorf("ratio %v is taken", ratio)
		}
	}
}

func TestSupersede(t *testing.T) {
	old := []File{policyOf("a", "families: [cpu]"), policyOf("b", "families: [cpu]")}
	more := []File{{"new.yaml", policyOf("b", "families: [all]").Data}}
	if d := cmp.Diff([]File{old[0], more[0]}, Supersede(old, more)); d != "" {
		t.Error(d)
	}
}

func FuzzParse(f *testing.F) {
	for _, file := range append(readDir(f, "testdata/bad"), readDir(f, "../../examples/policies")...) {
		f.Add(file.Data)
	}
	all := testCatalogue()
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Parse([]File{{"f.yaml", data}}, all)
		if err != nil {
			return
		}
		plan := Make(Wishes{Interval: time.Second, Documents: d}, 1, time.Time{})
		for _, r := range plan.Rules {
			for _, w := range r.Wants {
				if !slices.ContainsFunc(all, func(f *metric.Family) bool {
					return f.Name == w.Family && CheckRatio(w.Ratio, f) == nil && CheckLabels(w.Labels, f) == nil
				}) {
					t.Errorf("accepted %+v", w)
				}
			}
		}
		plan.Explain(&metric.Target{Kind: metric.Container, Container: "x"}, time.Time{})
	})
}

// What docs/policies.md shows is accepted.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/policies.md")
	if err != nil {
		t.Fatal(err)
	}
	var files []File
	for _, block := range strings.Split(string(text), "```yaml\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		files = append(files, File{"policies.md", []byte(block)})
	}
	d, err := Parse(files, catalogue.Families())
	if err != nil || len(d.Policies) != 3 || len(d.Critical) != 1 || len(files) != 5 {
		t.Errorf("%d documents, %+v, %v", len(files), d.Policies, err)
	}
}
