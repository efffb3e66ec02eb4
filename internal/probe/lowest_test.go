package probe

import (
	"fmt"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/metric"
)

// The first kernels with what our objects use (bpf-helpers(7), the kernels' git).
// All of them need BTF and tp_btf programs (5.5).
var (
	helpersSince = map[asm.BuiltinFunc]string{
		asm.FnMapLookupElem: "3.19", asm.FnMapUpdateElem: "3.19", asm.FnMapDeleteElem: "3.19", asm.FnKtimeGetNs: "4.1",
		asm.FnGetSmpProcessorId: "4.1", asm.FnGetPrandomU32: "4.1", asm.FnMapPopElem: "4.20", asm.FnMapPushElem: "4.20", asm.FnPerfEventReadValue: "4.15", asm.FnProbeReadKernel: "5.5", asm.FnProbeReadKernelStr: "5.5",
		asm.FnSkcToTcpSock: "5.9", asm.FnSkcToUnixSock: "5.16", asm.FnRingbufReserve: "5.8", asm.FnRingbufSubmit: "5.8", asm.FnGetCurrentTaskBtf: "5.11",
		asm.FnSkStorageGet: "5.11", asm.FnSkStorageDelete: "5.11", // in tracing programs: 8e4597c627fb
		asm.FnSkbLoadBytes: "4.10", asm.FnGetSocketCookie: "4.12", asm.FnSkbCgroupId: "5.8", // in programs on packets: d56c2f95adb3
		asm.FnSockFromFile: "5.11", asm.FnJiffies64: "5.6", asm.FnGetCurrentPidTgid: "4.2", asm.FnProbeReadUser: "5.5", asm.FnGetAttachCookie: "5.15", asm.FnTaskStorageGet: "5.12" /* in tracing programs: a10787e6d58c */, asm.FnLoop: "5.17", asm.FnSkcLookupTcp: "5.2", asm.FnSkRelease: "5.2",
	}
	atomicsSince   = "5.12" // all but add: 5ffa25502b5a
	iteratorsSince = map[string]string{"task": "5.8", "task_file": "5.8", "bpf_sk_storage_map": "5.9", "bpf_map_elem": "5.9"}
	// Tracepoints that are newer than 5.12, or had no such argument.
	tracepointsSince = map[string]string{
		"sock_send_length": "6.4", "sock_recv_length": "6.4", "mm_filemap_get_pages": "6.11", "mm_filemap_fault": "6.11",
		"kfree_skb":   "5.17", // the reason: c504e5c2f964
		"mark_victim": "6.9",  // the task: 72ba14deb40a
	}
)

// newer is the newer of two kernels.
func newer(t *testing.T, a, b string) string {
	t.Helper()
	var m, n [2]int
	for text, v := range map[string]*[2]int{a: &m, b: &n} {
		if _, err := fmt.Sscanf(text, "%d.%d", &v[0], &v[1]); err != nil {
			t.Fatalf("kernel %q: %v", text, err)
		}
	}
	if m[0] > n[0] || m[0] == n[0] && m[1] > n[1] {
		return a
	}
	return b
}

// since is the oldest kernel that can have a program of ours.
func since(t *testing.T, p *ebpf.ProgramSpec) string {
	t.Helper()
	oldest := "5.5"
	need := func(what, kernel string) {
		if kernel == "" {
			t.Fatalf("program %s uses %s: add the kernel that brought it to the tables of this test", p.Name, what)
		}
		oldest = newer(t, oldest, kernel)
	}
	for _, ins := range p.Instructions {
		if ins.IsBuiltinCall() {
			need(asm.BuiltinFunc(ins.Constant).String(), helpersSince[asm.BuiltinFunc(ins.Constant)])
		}
		if ins.OpCode.Class() == asm.StXClass && ins.OpCode.Mode() == asm.AtomicMode && ins.OpCode.AtomicOp() != asm.AddAtomic {
			need("an atomic operation", atomicsSince)
		}
	}
	switch p.AttachType {
	case ebpf.AttachTraceIter:
		need("iterator "+p.AttachTo, iteratorsSince[p.AttachTo])
	case ebpf.AttachTraceUprobeMulti:
		need("uprobe.multi", "6.6") // 89ae89f53d20
	case ebpf.AttachTraceRawTp:
		if kernel := tracepointsSince[p.AttachTo]; kernel != "" {
			need(p.AttachTo, kernel)
		}
	}
	return oldest
}

// TestRowsNameTheOldestKernel compares the rows' Kernel with what the objects use:
// the best is asked of the oldest rung, and of the part that knows targets.
func TestRowsNameTheOldestKernel(t *testing.T) {
	floor := "5.5"
	for _, p := range spec(t, "cgroup").Programs {
		floor = newer(t, floor, since(t, p))
	}
	specs := map[string]*ebpf.CollectionSpec{}
	for _, f := range catalogue.Families() {
		if f.Tier == metric.File || f.Tier == metric.Self {
			if f.Kernel != "" || f.Lacks != nil {
				t.Errorf("%s: tier %s works on any kernel", f.Name, f.Tier)
			}
			continue
		}
		if specs[f.Object] == nil {
			specs[f.Object] = spec(t, f.Object)
		}
		var oldest string
		for _, rung := range f.Rungs {
			needs := floor
			for _, name := range rung {
				needs = newer(t, needs, since(t, specs[f.Object].Programs[name]))
			}
			if oldest == "" || newer(t, needs, oldest) == oldest {
				oldest = needs
			}
		}
		if f.Kernel != oldest {
			t.Errorf("%s: the row says kernel %q, its programs need %s", f.Name, f.Kernel, oldest)
		}
	}
}
