package main

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/internal/policy"
)

// Every family is there, whatever its tier, wanted or not.
func TestStatus(t *testing.T) {
	p := parts{families: testFamilies()}
	plan := policy.Plan{Rules: []policy.Rule{{Wants: wants(p.families[1:], 1)}, {Wants: wants(p.families[2:], 0)}}}
	want := []familyStatus{
		{finding{Family: "runq_latency", Reason: "its programs are not loaded: nobody wants it"}, false},
		{finding{Family: "cpu_usage", Works: true, Hook: "cgroup files"}, true},
		{finding{Family: "tcp_sent_bytes", Reason: "its programs are not loaded: nobody wants it"}, true},
	}
	got := status(p, &scripted{}, plan)
	if diff := cmp.Diff(want, got.Families, cmp.AllowUnexported(familyStatus{})); diff != "" {
		t.Error(diff)
	}
	got = status(p, &scripted{none: errors.New("no BTF")}, plan)
	if got.BPF != "no BTF" || got.Families[0].Reason != "no BTF" || !got.Families[1].Works {
		t.Errorf("without BPF: %+v", got)
	}
}
