package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/agent"
	"viperprobe.dev/viperprobe/internal/document"
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
)

const ownRow = `families:
- name: my_latency
  help: Waits of my own.
  class: cpu
  tier: event
  kind: histogram
  unit: s
  owner: current task
  aliases: [mine]
  object: mine
  rungs: [[mine_switch]]
  per-cpu: true
`

// renamed is the sched object as a person's own: another family name, of the same
// length because it is written over the old one in the ELF's strings.
func renamed(t *testing.T) []byte {
	t.Helper()
	b, err := catalogue.Object("sched")
	if err != nil {
		t.Fatal(err)
	}
	return bytes.ReplaceAll(b, []byte("runq_latency"), []byte("mine_latency"))
}

// A person's own probe is measured like ours, by the real kernel.
func TestProbeDir(t *testing.T) {
	dir := t.TempDir()
	row := strings.NewReplacer("my_latency", "mine_latency", "mine_switch", "sched_switch").Replace(ownRow) + "  sampled: true\n"
	for name, data := range map[string][]byte{"mine.o": renamed(t), "mine.yaml": []byte(row)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p, err := newParts().withProbes(dir)
	if err != nil {
		t.Fatal(err)
	}
	own, err := policy.Resolve([]string{"mine"}, p.families)
	if err != nil || len(own) != 1 {
		t.Fatal(own, err)
	}
	batches := newLatest()
	e, err := p.engine(p, engineConfig{Sinks: []agent.Sink{batches}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	if err := e.Apply(policy.Plan{Generation: 1, Interval: 100 * time.Millisecond, Rules: []policy.Rule{{Wants: wants(own, 1)}}}); err != nil {
		t.Fatal(err)
	}
	seen := false
	for !seen {
		select {
		case b := <-batches.next:
			seen = slices.ContainsFunc(b.Groups, func(g metric.Group) bool {
				return slices.ContainsFunc(g.Samples, func(s metric.Sample) bool { return s.Family == own[0] && s.Hist != nil && s.Hist.Count() > 0 })
			})
		case <-ctx.Done():
			t.Fatal("nothing was measured in 30 s")
		}
	}
	stop()
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestProbeDirFaults(t *testing.T) {
	none := func(string) ([]byte, error) { return nil, errors.New("none") }
	for name, tc := range map[string]struct {
		row  string
		want []string
	}{
		"nothing said": {"families:\n- name: my_latency\n", []string{
			"x.yaml:2:families[0]: class: want cpu, memory, disk, filesystem, network, syscall, process, application, have \"\"",
			"x.yaml:2:families[0]: tier: want event, snapshot, have \"\"", "x.yaml:2:families[0]: kind: want counter, gauge, histogram, have \"\"",
			"x.yaml:2:families[0]: unit: want s, By, 1, ratio, have \"\"", "x.yaml:2:families[0]: owner: want current task, socket, bio, memcg, cgroup, node, have \"\"",
			"x.yaml:2:families[0]: help: want a sentence: what is measured, and what is not",
			"x.yaml:2:families[0]: rungs: want lists of programs of the object, best first, such as [[my_program]]",
			"x.yaml:2:families[0]: object: want the name of an object file beside the rows, without .o, have \"\"",
		}},
		"unknown key":   {strings.Replace(ownRow, "rungs", "rung", 1), []string{"x.yaml:11:families[0].rung: unknown key, did you mean \"rungs\"?"}},
		"taken name":    {strings.Replace(ownRow, "my_latency", "runq", 1), []string{"x.yaml:2:families[0].name: \"runq\" is taken, by a family, an alias, a class or a tier"}},
		"twice":         {ownRow + strings.TrimPrefix(ownRow, "families:\n"), []string{"x.yaml:13:families[1].name: \"my_latency\" is taken, by a family, an alias, a class or a tier", "x.yaml:13:families[1].name: \"mine\" is taken, by a family, an alias, a class or a tier"}},
		"no object":     {strings.Replace(ownRow, "object: mine", "object: other", 1), []string{"x.yaml:10:families[0].object: stat DIR/other.o: no such file or directory"}},
		"out of dir":    {strings.Replace(ownRow, "object: mine", "object: ../mine", 1), []string{"x.yaml:10:families[0].object: want the name of an object file beside the rows, without .o, have \"../mine\""}},
		"large object":  {strings.Replace(ownRow, "object: mine", "object: large", 1), []string{"x.yaml:10:families[0].object: DIR/large.o has 4194305 bytes, at most 4194304 are read"}},
		"many values":   {ownRow + "  labels: [{name: a, values: [" + strings.Repeat("x,", 65) + "]}]\n", []string{"x.yaml:13:families[0].labels: want at most 2 labels, each with values, and at most 64 combinations"}},
		"sampled":       {strings.Replace(ownRow, "tier: event", "tier: snapshot", 1) + "  sampled: true\n", []string{"x.yaml:13:families[0].sampled: want it of the tier event, have snapshot: it is read once a window and costs nothing between, so that a share of it would not cost less"}},
		"label of none": {ownRow + "  labels: [{name: A}]\n", []string{"x.yaml:13:families[0].labels: want lower case letters, digits and _ as a name, have \"A\"", "x.yaml:13:families[0].labels: want at most 2 labels, each with values, and at most 64 combinations"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, data := range map[string][]byte{"mine.o": {1}, "large.o": make([]byte, maxObject+1), "x.yaml": []byte(tc.row)} {
				if err := os.WriteFile(filepath.Join(dir, file), data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err := parts{families: testFamilies(), object: none}.withProbes(dir)
			got := strings.Split(strings.NewReplacer(dir+"/x.yaml", "x.yaml", dir, "DIR").Replace(fmt.Sprint(err)), "\n")
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if _, err := newParts().withProbes(t.TempDir()); err == nil || !strings.Contains(err.Error(), "has no *.yaml with rows") {
		t.Errorf("an empty directory: %v", err)
	}
}

// Rows come from people: whatever they write is a family that can be measured, or
// a fault.
func FuzzProbeRow(f *testing.F) {
	f.Add(ownRow)
	f.Add(ownRow + "  labels: [{name: op, values: [read, write]}]\n")
	f.Add("families: [{}]")
	f.Fuzz(func(t *testing.T, text string) {
		var content probeFile
		d, err := document.Parse("x.yaml", []byte(text), &content, document.Options{})
		if err != nil {
			return
		}
		for i, row := range content.Families {
			r := rowReader{d: d, key: fmt.Sprintf("families[%d]", i), row: row}
			fam := r.family(testFamilies())
			if len(r.faults) > 0 {
				continue
			}
			if fam.Name == "" || fam.Tier == "" || fam.Kind == "" || len(fam.Rungs) == 0 || len(fam.Labels) > 2 || fam.PromName() == "" {
				t.Errorf("%q became %+v", text, fam)
			}
		}
	})
}
