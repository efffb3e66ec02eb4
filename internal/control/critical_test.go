package control

import (
	"errors"
	"strings"
	"testing"

	"viperprobe.dev/viperprobe/internal/policy"
)

func criticalFile(spec string) policy.File {
	return policy.File{Name: "shop.yaml", Data: []byte("apiVersion: viperprobe.dev/v1alpha1\nkind: CriticalMetrics\nmetadata: {name: shop}\nspec: {task: diagnosis, sets: [" + spec + "]}\n")}
}

// A critical set is told by diff, put in force by SetCritical, and taken back.
func TestCriticalSet(t *testing.T) {
	c, e := start(t)
	file := criticalFile("{pattern: redis, entries: [{family: runq_latency}, {family: others, external: true}]}")
	d, err := c.Diff([]policy.File{file})
	if err != nil {
		t.Fatal(err)
	}
	if len(d) != 1 || d[0].Target.Container != "redis" || strings.Join(d[0].On, " ") != "runq_latency" || strings.Join(d[0].Off, " ") != "cpu_usage" {
		t.Errorf("diff says %+v", d)
	}
	if e.has(0) != "cpu_usage" {
		t.Errorf("diff changed something: %s", e.has(0))
	}
	x, err := c.SetCritical(Critical{Files: []policy.File{file}, Why: "to see"}, Who{UID: 1})
	if err != nil || len(x) != 1 || x[0].Document != "CriticalMetrics/shop" || strings.Join(x[0].Families, " ") != "runq_latency" {
		t.Fatalf("%+v, %v", x, err)
	}
	if e.has(0) != "runq_latency" || e.has(1) != "cpu_usage" {
		t.Errorf("redis has %s, web has %s", e.has(0), e.has(1))
	}
	found, err := c.Explain("redis")
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	for _, r := range found[0].Reasons {
		if r.Family == "runq_latency" && r.Policy != "live change 1 (shop.yaml:4)" {
			t.Errorf("explained by %+v", r)
		}
	}
	if _, err := c.Unset([]int64{x[0].ID}, "", Who{}); err != nil || e.has(0) != "cpu_usage" {
		t.Errorf("unset: %v, redis has %s", err, e.has(0))
	}
}

func TestCriticalRefused(t *testing.T) {
	c, _ := start(t)
	policyFile := policy.File{Name: "p.yaml", Data: []byte("apiVersion: viperprobe.dev/v1alpha1\nkind: ProbePolicy\nmetadata: {name: p}\nspec: {families: [cpu]}\n")}
	for want, w := range map[string]Critical{
		"want documents of kind CriticalMetrics":                 {Files: []policy.File{policyFile}},
		"shop.yaml:4:spec.sets[0]: want at least one of entries": {Files: []policy.File{criticalFile("{service: a}")}},
		"shop.yaml:3: all entries of shop are external":          {Files: []policy.File{criticalFile("{service: a, entries: [{family: x, external: true}]}")}},
		"--why: want one line":                                   {Files: []policy.File{criticalFile("{service: a, entries: [{family: runq_latency}]}")}, Why: "a\nb"},
	} {
		_, err := c.SetCritical(w, Who{})
		if !errors.As(err, new(*RefusedError)) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
