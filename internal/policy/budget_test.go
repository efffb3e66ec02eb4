package policy

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The smallest of each limit holds, and the order of value of the narrowest policy.
func TestBudgetsJoin(t *testing.T) {
	d, err := Parse([]File{
		policyOf("wide", "budget: {cpu: 2%, memory: 16MiB, value: [cpu_usage]}"),
		policyOf("node", "selector: {kinds: [node]}, families: [cpu], budget: {cpu: 1.5 %, series: 20000, value: [runq_latency]}"),
		policyOf("none", "families: [cpu]"),
	}, testCatalogue())
	if err != nil {
		t.Fatal(err)
	}
	got := Make(Wishes{Documents: d}, 1, time.Time{}).Budget
	want := Budget{Limits{CPU: 0.015, Memory: 16 << 20, Series: 20000}, []string{"runq_latency"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("budget (-want +got):\n%s", diff)
	}
}
