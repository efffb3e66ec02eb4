package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/metric"
)

// What a document says of labels holds for the families that it can hold for.
func TestLabelsOfDocuments(t *testing.T) {
	for spec, want := range map[string]string{
		"{name: syscalls, labels: [class]}":                                         "syscalls class",
		"{name: syscalls, labels: []}":                                              "syscalls none",
		"{name: syscalls, labels: {}}":                                              "syscalls none",
		"{name: syscalls, ratio: 0.5, labels: {class: [read, network]}}":            "syscalls class:network,class:read",
		"{name: syscall_latency, form: sum, labels: []}":                            "syscall_latency off, syscalls none",
		"{name: net_errors, labels: {device: [eth*, 'wl[0-9]'], direction: ['*']}}": "net_errors device:eth*,device:wl[0-9],direction:*",
		"{name: net_*, labels: {direction: [in]}}":                                  "net_dropped_packets direction:in, net_errors direction:in, net_received_bytes, net_received_packets, net_sent_bytes, net_sent_packets",
		"{name: net_*, labels: [device]}":                                           "net_dropped_packets device, net_errors device, net_received_bytes device, net_received_packets device, net_sent_bytes device, net_sent_packets device",
		"{name: flow_srtt*, ratio: 0}":                                              "flow_srtt off",
		"net_*, {name: net_errors, labels: []}":                                     "net_dropped_packets, net_errors none, net_received_bytes, net_received_packets, net_sent_bytes, net_sent_packets",
	} {
		d, err := Parse([]File{policyOf("a", "families: ["+spec+"]")}, catalogue.Families())
		if err != nil {
			t.Errorf("%s: %v", spec, err)
			continue
		}
		plan := Make(Wishes{Interval: time.Second, Documents: d}, 1, time.Time{})
		var got []string
		for _, r := range plan.Explain(&metric.Target{Kind: metric.Plain}, time.Time{}) {
			word := strings.TrimSpace(r.Family + " " + r.Labels.String())
			if r.Ratio == 0 {
				word += " off"
			}
			got = append(got, word)
		}
		if d := cmp.Diff(want, strings.Join(got, ", ")); d != "" {
			t.Errorf("%s: %s", spec, d)
		}
	}
}

func TestLabelFaults(t *testing.T) {
	for spec, want := range map[string]string{
		"{name: flow_srtt, labels: []}":                                                   "0].labels: flow_srtt is a mean, and means do not add up; remove labels",
		"{name: agent_dropped, labels: []}":                                               "0].labels: agent_dropped is what the agent tells of itself, always in full; remove labels",
		"{name: cpu_usage, labels: []}":                                                   "0].labels: cpu_usage has no labels; remove labels",
		"{name: block_device_latency, form: sum, labels: [device]}":                       `0].labels.device: block_requests has no label "device"; want operation`,
		"{name: net_*, labels: [directions]}":                                             `0].labels.directions: no family of net_* has a label "directions", did you mean "direction"?`,
		"{name: net_*, labels: [device, state]}":                                          `0].labels.state: no family of net_* has a label "state"; want device or direction`,
		"{name: migr*, labels: []}":                                                       "0].labels: no family of migr* has labels; remove labels",
		"{name: syscall, labels: {class: [netwrok]}}":                                     `0].labels.class[0]: class is never "netwrok", did you mean "network"?`,
		"{name: syscalls, ratio: 0, labels: []}":                                          "0].labels: syscalls is off and has no series; remove labels",
		"syscalls, {name: syscalls, labels: []}":                                          "1]: syscalls has other labels on line 4; remove one",
		"{name: net_errors, labels: {device: [" + strings.Repeat("a,", maxGlobs) + "a]}}": "0].labels.device: 65 values, at most 64 are told apart; use globs",
	} {
		_, err := Parse([]File{policyOf("a", "families: ["+spec+"]")}, catalogue.Families())
		got := fmt.Sprint(err)
		if i := strings.Index(got, "spec.families["); i >= 0 {
			got = strings.TrimSuffix(got[i+len("spec.families["):], ".name")
		}
		if got = strings.Replace(got, "].name:", "]:", 1); got != want {
			t.Errorf("%s\n got  %s\n want %s", spec, got, want)
		}
	}
}

// A narrower policy decides about a family's labels, too; two that are as specific must agree.
func TestLabelsOfPolicies(t *testing.T) {
	files := []File{policyOf("wide", "families: [{name: syscalls, labels: []}]"), policyOf("narrow", "selector: {patterns: [redis]}, families: [syscalls]")}
	d, err := Parse(files, catalogue.Families())
	if err != nil {
		t.Fatal(err)
	}
	plan := Make(Wishes{Interval: time.Second, Documents: d}, 1, time.Time{})
	for pattern, want := range map[string]Labels{"": {}, "redis": nil} {
		got := plan.For(&metric.Target{Kind: metric.Container, Pattern: pattern}, time.Time{})["syscalls"]
		if !got.Labels.Equal(want) || got.Ratio != 1 {
			t.Errorf("pattern %q: %+v, want labels %v", pattern, got, want)
		}
	}
	_, err = Parse([]File{policyOf("a", "families: [{name: syscalls, labels: []}]"), policyOf("b", "families: [syscalls]")}, catalogue.Families())
	if want := "b.yaml:spec.selector: overlaps with a.yaml:3 (a), which is as specific and wants syscalls otherwise; narrow one of them"; fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestSeries(t *testing.T) {
	f := &metric.Family{Labels: []metric.Label{{Name: "device"}, {Name: "direction", Values: []string{"in", "out"}}}}
	for l, want := range map[string]string{
		"":                      "eth0 in, eth0 out, lo in, other out",
		"none":                  " ,  ,  ,  ",
		"device":                "eth0 , eth0 , lo , other ",
		"direction:in":          " in,  other,  in,  other",
		"device:eth*":           "eth0 , eth0 , other , other ",
		"device:lo,direction:*": "other in, other out, lo in, other out",
	} {
		var rule Labels
		if l != "" {
			var err error
			if rule, err = ParseLabels(l); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for _, v := range [][2]string{{"eth0", "in"}, {"eth0", "out"}, {"lo", "in"}, {"other", "out"}} {
			s := rule.Series(f, v)
			got = append(got, s[0]+" "+s[1])
		}
		if d := cmp.Diff(want, strings.Join(got, ", ")); d != "" || rule.String() != l {
			t.Errorf("%q is written %q: %s", l, rule.String(), d)
		}
	}
}

func FuzzParseLabels(f *testing.F) {
	for _, text := range []string{"none", "class", "class:file,class:net,direction", "device:8:0", "a,a", "a:,b", "", ",", ":x", "a:x,a"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ParseLabels(text)
		if err != nil {
			return
		}
		again, err := ParseLabels(l.String())
		if err != nil || !again.Equal(l) {
			t.Errorf("%q is %v, read again %v, %v", text, l, again, err)
		}
		for _, globs := range l {
			if slices.Contains(globs, "") {
				t.Errorf("%q has an empty value", text)
			}
		}
	})
}
