package probe

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/metric"
)

// sources is where the C of the hook groups lies. A machine that only has the test
// binary (a VM) has no sources; the objects are inside the binary.
const sources = "../../catalogue"

func spec(t *testing.T, object string) *ebpf.CollectionSpec {
	t.Helper()
	elf, err := catalogue.Object(object)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(elf))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRowsFitTheirObjects needs no rights: it reads objects, it does not load them.
func TestRowsFitTheirObjects(t *testing.T) {
	specs := map[string]*ebpf.CollectionSpec{}
	for _, f := range catalogue.Families() {
		if f.Tier == metric.File || f.Object == "" {
			if f.Object != "" || f.Rungs != nil {
				t.Errorf("%s: tier %s with object %q and programs %v", f.Name, f.Tier, f.Object, f.Rungs)
			}
			continue
		}
		if specs[f.Object] == nil {
			specs[f.Object] = spec(t, f.Object)
		}
		checkRow(t, f, specs[f.Object])
	}
}

func checkRow(t *testing.T, f *metric.Family, s *ebpf.CollectionSpec) {
	t.Helper()
	if len(f.Rungs) == 0 {
		t.Errorf("%s: no programs", f.Name)
	}
	for _, rung := range f.Rungs {
		for _, p := range rung {
			if s.Programs[p] == nil {
				t.Errorf("%s: object %s has no program %s", f.Name, f.Object, p)
			}
		}
	}
	if f.Gated() {
		if v := s.Variables["on_"+f.Name]; v == nil || v.Size() != 8 || !v.Constant() {
			t.Errorf("%s: object %s needs const volatile u64 on_%s, has %v", f.Name, f.Object, f.Name, v)
		}
	}
	if v := s.Variables["vp_failed"]; v == nil || v.Size() != 8 {
		t.Errorf("object %s: vp_failed is %v", f.Object, v)
	}
	if f.Tier == metric.App {
		checkApp(t, s)
	} else if f.Keyed() {
		checkFlow(t, f, s)
	} else if f.Kind == metric.Histogram {
		checkHistogram(t, f, s)
	} else {
		checkCell(t, f, s)
	}
}

// What can be sampled leaves by closed windows, at one place.
func TestSampledProgramsAreWindowed(t *testing.T) {
	for _, f := range catalogue.Families() {
		if f.Unsampled() != "" {
			continue
		}
		programs := spec(t, f.Object).Programs
		for _, name := range slices.Concat(f.Rungs...) {
			marks := 0
			for _, in := range programs[name].Instructions {
				if in.OpCode.IsDWordLoad() && in.Constant == familiesMark {
					marks++
				}
			}
			if marks != 1 {
				t.Errorf("%s: program %s looks at its windows at %d places, want VP_WINDOWED", f.Name, name, marks)
			}
		}
	}
}

// checkApp wants the sizes that app.go takes for granted.
func checkApp(t *testing.T, s *ebpf.CollectionSpec) {
	t.Helper()
	for name, want := range map[string][2]uint32{"app_values": {8 * appWords, AppCells}, "app_hits": {8, AppSites}, "app_execs": {8, Slots}, "app_tasks": {appTaskBytes, 16384}} {
		if m := s.Maps[name]; m == nil || m.ValueSize != want[0] || m.MaxEntries != want[1] {
			t.Errorf("object app has %s %v, want %d values of %d bytes", name, m, want[1], want[0])
		}
	}
}

// checkFlow wants the sizes that flow.go takes for granted, and a word of the cell.
func checkFlow(t *testing.T, f *metric.Family, s *ebpf.CollectionSpec) {
	t.Helper()
	for name, want := range map[string][2]uint32{"flow_cells": {8 * flowWords, flowCells + 2*Slots}, "flow_numbers": {4, flowCells}, "flow_counts": {8, Slots}} {
		if m := s.Maps[name]; m == nil || m.ValueSize != want[0] || m.MaxEntries != want[1] {
			t.Errorf("object %s has %s %v, want %d values of %d bytes", f.Object, name, m, want[1], want[0])
		}
	}
	cell, ok := btf.UnderlyingType(s.Maps["flow_cells"].Value).(*btf.Struct)
	if !ok {
		t.Fatal("the value of flow_cells is no struct")
	}
	at := membersOf(cell)
	for name, want := range map[string]int{"serial": flowSerial, "sent": flowCounters, "connections": flowGauges} {
		if at[name] != want {
			t.Errorf("struct %s has %s at word %d, want %d", cell.Name, name, at[name], want)
		}
	}
	if first, ok := at[cellOf(f)]; !ok || first < flowCounters || (first >= flowGauges) != (f.Kind == metric.Gauge) {
		t.Errorf("%s: struct %s has no %s of its kind", f.Name, cell.Name, cellOf(f))
	}
	if f.Over != "" && at[f.Over] < flowGauges {
		t.Errorf("%s: struct %s has no %s to divide by", f.Name, cell.Name, f.Over)
	}
}

func checkHistogram(t *testing.T, f *metric.Family, s *ebpf.CollectionSpec) {
	t.Helper()
	name := f.Name
	if f.Cell != "" {
		name = f.Cell
	}
	m := s.Maps[name]
	if m == nil || m.InnerMap == nil || int(m.InnerMap.ValueSize) != 8*histWords || int(m.MaxEntries) != Slots/chunk {
		t.Errorf("%s: object %s has histogram %v, want %d chunks with values of %d bytes", f.Name, f.Object, m, Slots/chunk, 8*histWords)
	}
}

func checkCell(t *testing.T, f *metric.Family, s *ebpf.CollectionSpec) {
	t.Helper()
	m := s.Maps[f.Object+"_cells"]
	if m == nil {
		t.Errorf("%s: object %s has no map %s_cells", f.Name, f.Object, f.Object)
		return
	}
	cell, ok := btf.UnderlyingType(m.Value).(*btf.Struct)
	if !ok {
		t.Errorf("%s: the value of %s is no struct", f.Name, m.Name)
		return
	}
	if n := memberWords(cell, cellOf(f)); n != labelCount(f) {
		t.Errorf("%s: struct %s has %d words in %s, want %d, one for each label", f.Name, cell.Name, n, cellOf(f), labelCount(f))
	}
	if f.Over != "" && memberWords(cell, f.Over) != 1 {
		t.Errorf("%s: struct %s has no single word %s to divide by", f.Name, cell.Name, f.Over)
	}
}

// memberWords is how many words of 8 bytes a member has, 0 where there is none.
func memberWords(cell *btf.Struct, name string) int {
	for _, m := range cell.Members {
		if m.Name != name {
			continue
		}
		size, err := btf.Sizeof(m.Type)
		if err != nil || size%8 != 0 {
			return 0
		}
		return size / 8
	}
	return 0
}

var snakeCase = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

func TestRowsHaveGoodNames(t *testing.T) {
	used := map[string]string{}
	use := func(name, by string) {
		if other, taken := used[name]; taken {
			t.Errorf("%s and %s both have the name %s", other, by, name)
		}
		used[name] = by
	}
	for _, f := range catalogue.Families() {
		use(f.Name, f.Name)
		use(f.PromName(), f.Name)
		for _, a := range f.Aliases {
			use(a, f.Name)
		}
		if !snakeCase.MatchString(f.Name) {
			t.Errorf("%q is not snake_case", f.Name)
		}
		if f.Help == "" || !strings.HasSuffix(f.Help, ".") || f.Source == "" {
			t.Errorf("%s: help %q must be a sentence, source %q must be told", f.Name, f.Help, f.Source)
		}
		if f.Class == "" || f.Tier == "" || f.Kind == "" || f.Unit == "" || f.Owner == "" {
			t.Errorf("%s: class %q, tier %q, kind %q, unit %q, owner %q", f.Name, f.Class, f.Tier, f.Kind, f.Unit, f.Owner)
		}
		if len(f.Labels) > 2 {
			t.Errorf("%s has %d labels, at most 2 are allowed", f.Name, len(f.Labels))
		}
		for _, l := range f.Labels {
			if !snakeCase.MatchString(l.Name) || (f.Object != "" && l.Cells() == 0 && f.Tier != metric.App && f.Object != "socket") {
				t.Errorf("%s: label %q with values %q", f.Name, l.Name, l.Values)
			}
		}
	}
}

// The names that scripts rely on (DESIGN section 12), without their prefix.
var fixed = []string{"cpu_usage_seconds_total", "runq_delay_seconds_total", "runq_latency_seconds", "context_switches_total",
	"user_faults_total", "tcp_sent_bytes_total", "tcp_received_bytes_total", "tcp_retransmits_total", "block_latency_seconds",
	"requests_total", "request_latency_seconds", "request_wait_seconds", "memory_working_set_bytes"}

func TestRowsKeepTheFixedNames(t *testing.T) {
	var names []string
	for _, f := range catalogue.Families() {
		names = append(names, f.PromName())
	}
	for _, name := range fixed {
		if !slices.Contains(names, "viperprobe_"+name) {
			t.Errorf("no family is viperprobe_%s on /metrics", name)
		}
	}
}

// The paper's four names and its thesis's five name what they named there.
func TestRowsKeepThePapersNames(t *testing.T) {
	for alias, name := range map[string]string{
		"runq": "runq_latency", "userfaults": "user_faults", "sentbytes": "tcp_sent_bytes", "cache": "page_cache_lookups",
		"cputime": "cpu_time", "tlbflushes": "tlb_flushes", "diskio": "disk_bytes", "retransmits": "tcp_retransmits", "dnslatency": "dns_latency",
	} {
		i := slices.IndexFunc(catalogue.Families(), func(f *metric.Family) bool { return f.Is(alias) })
		if i < 0 || catalogue.Families()[i].Name != name {
			t.Errorf("%s does not name %s", alias, name)
		}
	}
}

// Each hook group has its C beside its object, and both have rows.
func TestRowsCoverEveryHookGroup(t *testing.T) {
	groups := map[string]bool{"cgroup": true, "window": true} // targets, windows: no family
	for _, f := range catalogue.Families() {
		if f.Object != "" {
			groups[f.Object] = true
		}
	}
	if os.Getenv("VIPERPROBE_VM") != "" {
		t.Log("objects only: a VM has no sources")
		for group := range groups {
			spec(t, group)
		}
		return
	}
	want := slices.Sorted(maps.Keys(groups))
	for pattern, suffix := range map[string]string{"*.bpf.c": ".bpf.c", "obj/*.o": ".o"} {
		files, err := filepath.Glob(filepath.Join(sources, pattern))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range files {
			got = append(got, strings.TrimSuffix(filepath.Base(f), suffix))
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s are %q, rows are of %q", pattern, got, want)
		}
	}
}
