package policy

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/internal/metric"
)

func someSpec() CriticalSpec {
	above, below, cost := 0.02, 5.5, 0.25
	return CriticalSpec{
		Task: "autoscaling", Workload: "steps", Cost: &cost, Evidence: Evidence{Recording: "a.csv", Algorithm: "supervised", Seed: 7, Runs: 6, Recall: &above},
		Sets: []CriticalSet{
			{Service: "cart", Namespace: "shop", Version: "1.2", Digest: "sha256:ab", Entries: []CriticalEntry{
				{Family: "runq_latency", Statistic: "p99", Window: 15 * time.Second, Above: &above, Why: "It tells: \"first\"."},
				{Family: "http_requests", External: true, Below: &below},
			}},
			{Pattern: "redis", Entries: []CriticalEntry{{Family: "block_latency"}}},
		},
	}
}

func criticalFileOf(t *testing.T, name string, spec CriticalSpec) File {
	t.Helper()
	text, err := WriteCritical(name, spec)
	if err != nil {
		t.Fatal(err)
	}
	return File{name + ".yaml", text}
}

// What is written is read back.
func TestCriticalRoundTrip(t *testing.T) {
	d, err := Parse([]File{criticalFileOf(t, "shop", someSpec())}, testCatalogue())
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Critical) != 1 {
		t.Fatalf("%d documents", len(d.Critical))
	}
	if diff := cmp.Diff(someSpec(), d.Critical[0].CriticalSpec); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"block_latency", "runq_latency"}, d.Critical[0].Families()); diff != "" {
		t.Error(diff)
	}
}

// shopTargets are targets with what a set for service shop/cart makes of each.
func shopTargets() map[string]*metric.Target {
	return map[string]*metric.Target{
		"by container": {Kind: metric.Container, Namespace: "shop", Container: "cart"},
		"by workload":  {Kind: metric.Container, Namespace: "shop", Container: "app", Workload: "Deployment/cart"},
		"by pod":       {Kind: metric.Container, Namespace: "shop", Container: "app", Pod: "cart-7d9f8b6c5d-x2x4z"},
		"by ordinal":   {Kind: metric.Container, Namespace: "shop", Container: "app", Pod: "cart-12"},
		"other pod":    {Kind: metric.Container, Namespace: "shop", Container: "app", Pod: "cart-cache-7d9f8b6c5d-x2x4z"},
		"elsewhere":    {Kind: metric.Container, Namespace: "test", Container: "cart"},
		"redis":        {Kind: metric.Container, Namespace: "test", Container: "r", Pattern: "redis"},
		"node":         {Kind: metric.Node},
	}
}

func wantsOf(p Plan) map[string]string {
	out := map[string]string{}
	for name, target := range shopTargets() {
		out[name] = strings.Join(slices.Sorted(maps.Keys(p.For(target, time.Time{}))), " ")
	}
	return out
}

// Exactly the families of a set are on where it holds, and nothing changes elsewhere.
func TestCriticalRules(t *testing.T) {
	catalogue := testCatalogue()
	d, err := Parse([]File{criticalFileOf(t, "shop", someSpec())}, catalogue)
	if err != nil {
		t.Fatal(err)
	}
	base := Rule{Wants: []Want{{Family: catalogue[0].Name, Ratio: 1}}}
	plan := Make(Wishes{Interval: time.Second, Base: []Rule{base}, Live: d.Critical[0].Rules(catalogue)}, 1, time.Time{})
	other := catalogue[0].Name
	want := map[string]string{
		"by container": "runq_latency", "by workload": "runq_latency", "by pod": "runq_latency", "by ordinal": "runq_latency",
		"redis": "block_latency", "other pod": other, "elsewhere": other, "node": other,
	}
	if diff := cmp.Diff(want, wantsOf(plan)); diff != "" {
		t.Error(diff)
	}
}

// A policy that refers to a set narrows it, and its own families come on top.
func TestPolicyRefersToCriticalSet(t *testing.T) {
	catalogue := testCatalogue()
	files := []File{criticalFileOf(t, "shop", someSpec()), policyOf("p", "selector: {namespaces: [shop]}, criticalSet: shop, families: ["+catalogue[0].Name+"]")}
	d, err := Parse(files, catalogue)
	if err != nil {
		t.Fatal(err)
	}
	own := strings.Join(slices.Sorted(slices.Values([]string{catalogue[0].Name, "runq_latency"})), " ")
	want := map[string]string{
		"by container": own, "by workload": own, "by pod": own, "by ordinal": own, "other pod": catalogue[0].Name, "elsewhere": "", "redis": "", "node": "",
	}
	if diff := cmp.Diff(want, wantsOf(Make(Wishes{Interval: time.Second, Documents: d}, 1, time.Time{}))); diff != "" {
		t.Error(diff)
	}
	files[1] = policyOf("p", "selector: {namespaces: [bank], workloads: [teller]}, criticalSet: shop")
	files[0] = criticalFileOf(t, "shop", CriticalSpec{Task: "diagnosis", Sets: someSpec().Sets[:1]})
	_, err = Parse(files, catalogue)
	if want := "p.yaml:4:spec.criticalSet: no set of shop is of a target that the selector may match"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
