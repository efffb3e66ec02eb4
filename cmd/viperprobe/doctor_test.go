package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/probe"
)

// machine is a root with the files that examine reads.
func machine(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestExamine(t *testing.T) {
	const release, status, mounts, btf = "proc/sys/kernel/osrelease", "proc/self/status", "proc/self/mounts", "sys/kernel/btf/vmlinux"
	for name, tc := range map[string]struct {
		files map[string]string
		marks string   // of kernel, rights, BTF, tracefs
		texts []string // that must be in what is said
	}{
		"root on a verified kernel": {map[string]string{release: "6.12.9-amd64\n", status: "Name:\tx\nCapEff:\t000001ffffffffff\n", mounts: "tracefs /sys/kernel/tracing tracefs rw 0 0\n", btf: ""},
			"ok ok ok ok", []string{"6.12.9-amd64, verified", "/sys/kernel/tracing"}},
		"five capabilities": {map[string]string{release: "6.1.0\n", status: "CapEff:\t000000c001080004\n", mounts: "debugfs /d debugfs rw 0 0\n", btf: ""},
			"ok ok ok ok", nil},
		"CAP_SYS_ADMIN is as good": {map[string]string{release: "6.1.0\n", status: "CapEff:\t0000000001280004\n", mounts: "debugfs /d debugfs rw 0 0\n", btf: ""},
			"ok ok ok ok", nil},
		"no rights on an old kernel": {map[string]string{release: "5.15.0\n", status: "CapEff:\t0000000000000000\n", mounts: "proc /proc proc rw 0 0\n"},
			"-- NO NO --", []string{"5.15.0, unverified", "CAP_BPF (to load programs), CAP_PERFMON", "sudo", "CONFIG_DEBUG_INFO_BTF=y", "mount -t tracefs"}},
		"6.10 is not 6.1": {map[string]string{release: "6.10.1\n", status: "CapEff:\t000000c000080004\n", mounts: "tracefs /t tracefs rw 0 0\n", btf: ""},
			"-- -- ok ok", []string{"unverified", "missing CAP_SYS_RESOURCE (to raise the limit of open files): run as root"}},
		"no /proc": {nil, "-- -- NO --", []string{"mount /proc"}},
		"garbage":  {map[string]string{release: "\xff", status: "CapEff:\tzz\n", mounts: "x\n\n"}, "-- -- NO --", []string{"unverified"}},
	} {
		t.Run(name, func(t *testing.T) {
			var marks, texts []string
			for _, s := range examine(machine(t, tc.files)) {
				marks, texts = append(marks, string(s.mark)), append(texts, s.text)
			}
			if got := strings.Join(marks, " "); got != tc.marks {
				t.Errorf("marks %q, want %q", got, tc.marks)
			}
			for _, want := range tc.texts {
				if !strings.Contains(strings.Join(texts, "\n"), want) {
					t.Errorf("want %q in %q", want, texts)
				}
			}
		})
	}
}

func TestFindings(t *testing.T) {
	families := append(testFamilies(), &metric.Family{Name: "agent_samples", Tier: metric.Self}, &metric.Family{Name: "requests", Tier: metric.App},
		&metric.Family{Name: "llc_misses", Tier: metric.Event, Perf: &metric.PerfEvent{}})
	statuses := []probe.Status{{Family: families[0], Works: true, Hook: "tp_btf/sched_switch"}, {Family: families[2], Reason: "no such hook"},
		{Family: families[5], Works: true, Hook: "tp_btf/sched_switch"}}
	want := []finding{
		{"runq_latency", true, "tp_btf/sched_switch", ""}, {"cpu_usage", true, "cgroup files", ""}, {"tcp_sent_bytes", false, "", "no such hook"},
		{"agent_samples", true, "the agent itself", ""}, {"requests", false, "", "its programs are not loaded: nobody wants it"},
		{"llc_misses", true, "tp_btf/sched_switch, reads a counter of the CPU (never tested on hardware)", ""},
	}
	if diff := cmp.Diff(want, findings(families, map[string]string{"cpu_usage": ""}, statuses, nil)); diff != "" {
		t.Error(diff)
	}
	got := findings(families, map[string]string{"cpu_usage": "no file"}, nil, errors.New("no BTF"))
	if got[0].Reason != "no BTF" || got[1].Reason != "no file" || got[0].Works || got[1].Works {
		t.Errorf("without BPF: %+v", got)
	}
}

func TestDoctor(t *testing.T) {
	all := []finding{{"runq_latency", true, "tp", ""}, {"cpu_usage", true, "cgroup files", ""}, {"tcp_sent_bytes", true, "iter", ""}}
	some := []finding{all[0], {"cpu_usage", false, "", "no file"}, all[2]}
	none := []finding{{"runq_latency", false, "", "no BTF"}, all[1], {"tcp_sent_bytes", false, "", "no BTF"}}
	for code, found := range map[int][]finding{exitOK: all, exitPartial: some, exitUnsupported: none} {
		p := parts{families: testFamilies(), check: func(parts) ([]finding, []sign) { return found, []sign{{"cgroup v2", fault, "not mounted"}} }}
		var out, faults bytes.Buffer
		if got := execute(t.Context(), p, []string{"doctor", "-o", "json"}, &out, &faults); got != code {
			t.Errorf("exit code %d, want %d", got, code)
		}
		var got []map[string]any
		if err := json.Unmarshal(out.Bytes(), &got); err != nil || len(got) != 3 || len(got[0]) != 4 {
			t.Errorf("printed %s, %v", out.String(), err)
		}
		if !strings.Contains(faults.String(), "viperprobe: cgroup v2: not mounted") {
			t.Errorf("faults %q", faults.String())
		}
		out.Reset()
		execute(t.Context(), p, []string{"doctor"}, &out, &faults)
		if !strings.Contains(out.String(), "NO  cgroup v2") || !strings.Contains(out.String(), " of 3 families work here.") {
			t.Errorf("printed %s", out.String())
		}
	}
}
