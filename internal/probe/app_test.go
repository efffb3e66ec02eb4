package probe

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/kerneltest"
	"viperprobe.dev/viperprobe/internal/symbol"
)

// appActions: "gocalls N G" has G goroutines call goCall N times each, on several threads.
func appActions() map[string]action {
	return map[string]action{
		"gocalls": func(_ *job, args []string) (answer, error) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
			var all sync.WaitGroup
			for range number(args, 1) {
				all.Go(func() {
					for i := range number(args, 0) {
						goCall(i)
					}
				})
			}
			all.Wait()
			return nil, nil
		},
	}
}

// goCall needs more stack than a new goroutine has, lets others run, and returns in two places.
//
//go:noinline
func goCall(n int) int {
	var room [16 << 10]byte
	room[n%len(room)] = byte(n)
	runtime.Gosched()
	if n%2 == 0 {
		return int(room[0])
	}
	return n + int(room[n%len(room)])
}

// A calls is a running kerneltest.Calls in a cgroup.
type calls struct {
	t   testing.TB
	in  io.WriteCloser
	out io.Reader
}

func startCalls(t testing.TB, path string, g *group) *calls {
	t.Helper()
	cmd := exec.Command(path)
	cmd.SysProcAttr = &unix.SysProcAttr{UseCgroupFD: true, CgroupFD: g.fd}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	return &calls{t, in, out}
}

// turns has the program make n turns.
func (c *calls) turns(n uint64) {
	c.t.Helper()
	told, said := binary.LittleEndian.AppendUint64(nil, n), make([]byte, 8)
	if _, err := c.in.Write(told); err != nil {
		c.t.Fatal(err)
	}
	if _, err := io.ReadFull(c.out, said); err != nil || !bytes.Equal(told, said) {
		c.t.Fatalf("%x, %v from the program, want %x", said, err, told)
	}
}

func callsFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "calls")
	if err := os.WriteFile(path, kerneltest.Calls(), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// wantApps makes a set with the application families by the given rung.
func wantApps(t testing.TB, rung int) *Set {
	t.Helper()
	families := catalogue.Families()
	for _, f := range families {
		if f.Object == "app" {
			f.Rungs = f.Rungs[rung:]
		}
	}
	s, err := Open(Options{Families: families, Object: catalogue.Object})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	works(t, s, "app_calls", "app_latency")
	return s
}

// A declared probe of a test: where it begins and ends.
type declared struct {
	name       string
	kind       AppKind
	begin, end []AppOffset
	caught     bool
}

func places(p []symbol.Place) (out []AppOffset) {
	for _, x := range p {
		out = append(out, AppOffset(x))
	}
	return out
}

// attachApps attaches probes to a file; number counts sites. The result detaches them.
func attachApps(t testing.TB, s *Set, path string, number *uint32, probes []declared, targets ...*target) (detach func()) {
	t.Helper()
	files := s.AppFiles()
	var all []io.Closer
	for _, p := range probes {
		*number++
		site := AppSite{*number, p.kind}
		for _, tg := range targets {
			if err := s.CountApp(tg.slot, p.name, site.Number); err != nil {
				t.Fatal(err)
			}
		}
		ends := p.end
		if p.caught {
			ends = p.begin
		}
		for _, end := range []bool{true, false} {
			at := map[bool][]AppOffset{true: ends, false: p.begin}[end]
			if len(at) == 0 {
				continue
			}
			link, err := files.Attach(path, site, at, end, end && p.caught)
			if err != nil {
				t.Fatalf("%s: %v", p.name, err)
			}
			all = append(all, link)
		}
	}
	detach = sync.OnceFunc(func() {
		for _, link := range all {
			if err := link.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	t.Cleanup(detach)
	return detach
}

// appCalls is a load of calls of one function. The traps, most of what it costs, are not in the
// programs' times.
func appCalls(latency bool) func(*testing.B, *Set, *group) func() {
	return func(b *testing.B, s *Set, g *group) func() {
		path := callsFile(b)
		functions, _ := callsProbes(b, path)
		outer := functions[0]
		outer.caught = latency
		known, _ := s.Cgroup(g.id)
		var site uint32
		attachApps(b, s, path, &site, []declared{outer}, &target{slot: known.Slot})
		w := startCalls(b, path, g)
		return func() { w.turns(3000) }
	}
}

func callsProbes(t testing.TB, path string) (functions, usdt []declared) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	file, err := symbol.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"outer", "inner", "deep", "thrown"} {
		fn, err := file.Function(name)
		if err != nil {
			t.Fatal(err)
		}
		functions = append(functions, declared{name: name, begin: places(fn.Entries), caught: true})
	}
	begin, err := file.USDT("calls", "begin")
	if err != nil {
		t.Fatal(err)
	}
	end, err := file.USDT("calls", "end")
	if err != nil {
		t.Fatal(err)
	}
	return functions, []declared{
		{name: "passed", kind: AppCount, begin: places(begin)},
		{name: "span", kind: AppSpan, begin: places(begin), end: places(end)},
	}
}

func TestAppCallsAreThoseMade(t *testing.T) {
	const n = 500
	for rung := range 2 {
		t.Run(fmt.Sprintf("rung%d", rung), func(t *testing.T) {
			if rung == 0 && !hasMulti(t) {
				t.Log("this kernel has no uprobe.multi: the next rung stands for both")
				return
			}
			kerneltest.Exact(t, "app_calls", "app_latency")
			s, path := wantApps(t, rung), callsFile(t)
			g, og := newGroup(t, nil), newGroup(t, nil)
			names := []string{"app_calls", "app_latency"}
			tg, other := newTarget(t, s, names, g), newTarget(t, s, names, og)
			functions, usdt := callsProbes(t, path)
			var site uint32
			attachApps(t, s, path, &site, functions, tg)
			w, foreign := startCalls(t, path, g), startCalls(t, path, og)
			foreign.turns(n)
			w.turns(n)
			want := map[string]uint64{
				"app_calls/outer": n, "app_calls/inner": n, "app_calls/deep": 3 * n, "app_calls/thrown": n,
				"app_latency/outer/count": n, "app_latency/inner/count": n, "app_latency/deep/count": 3 * n, "app_latency/thrown/count": 0,
			}
			old := tg.mark()
			for name, v := range want {
				old.same(t, name, v)
			}
			if old["app_latency/outer/sum"] <= old["app_latency/inner/sum"] {
				t.Errorf("outer took %d ns, inner, which it calls, %d", old["app_latency/outer/sum"], old["app_latency/inner/sum"])
			}
			if hits := s.AppFiles().Hits(1); hits != 4*n {
				t.Errorf("%d hits of outer by everybody, want %d calls and as many returns of two programs", hits, 2*n)
			}

			detach := attachApps(t, s, path, &site, usdt, tg)
			w.turns(n)
			d := tg.mark().since(old)
			for name, v := range map[string]uint64{"app_calls/passed": n, "app_calls/span": n, "app_latency/span/count": n, "app_latency/passed/count": 0, "app_calls/inner": 2 * n, "app_calls/outer": n} {
				d.same(t, name, v)
			}
			detach() // the semaphore is down again
			old = tg.mark()
			w.turns(n)
			tg.mark().since(old).same(t, "app_calls/inner", n)
			if m := other.mark(); len(m) != 0 {
				t.Errorf("another target of the same file has %v", m)
			}
			lossless(t, s)
		})
	}
}

func hasMulti(t *testing.T) bool {
	t.Helper()
	s, _ := open(t)
	return s.missing(spec(t, "app").Programs["app_enter_multi"]) == nil
}

// Goroutines change threads in the middle of a call, and their stacks are moved.
func TestAppGoCallsAreThoseMade(t *testing.T) {
	const n, routines = 50, 20
	kerneltest.Exact(t, "app_calls", "app_latency")
	s, g := wantApps(t, 0), newGroup(t, nil)
	tg := newTarget(t, s, []string{"app_calls", "app_latency"}, g)
	exe, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	file, err := symbol.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	fn, err := file.Function("viperprobe.dev/viperprobe/internal/probe.goCall")
	if err != nil || len(fn.Returns) < 2 {
		t.Fatalf("goCall: %+v, %v", fn, err)
	}
	var site uint32
	w := startWorker(t, workerOptions{Cgroup: g})
	attachApps(t, s, "/proc/self/exe", &site, []declared{{name: "go", kind: AppGo, begin: places(fn.Entries), end: places(fn.Returns)}}, tg)
	w.do("gocalls %d %d", n, routines)
	m := tg.mark()
	m.same(t, "app_calls/go", n*routines)
	m.same(t, "app_latency/go/count", n*routines)
	lossless(t, s)
}

// A family that is switched off counts nothing, and a call that began before ends nothing.
func TestAppSwitches(t *testing.T) {
	kerneltest.Exact(t, "app_calls", "app_latency")
	s, path, g := wantApps(t, 0), callsFile(t), newGroup(t, nil)
	tg := newTarget(t, s, []string{"app_calls", "app_latency"}, g)
	functions, _ := callsProbes(t, path)
	var site uint32
	attachApps(t, s, path, &site, functions, tg)
	w := startCalls(t, path, g)
	for _, tc := range []struct {
		on             []string
		calls, latency uint64
	}{{[]string{"app_calls"}, 10, 0}, {nil, 0, 0}, {[]string{"app_latency"}, 0, 10}, {[]string{"app_calls", "app_latency"}, 10, 10}} {
		if err := s.Switch(tg.slot, find(t, s, tc.on...)); err != nil {
			t.Fatal(err)
		}
		old := tg.read()
		w.turns(10)
		d := tg.read().since(old)
		d.same(t, "app_calls/outer", tc.calls)
		d.same(t, "app_latency/outer/count", tc.latency)
	}
	if err := s.IgnoreApp(tg.slot, 1); err != nil {
		t.Fatal(err)
	}
	old := tg.read()
	w.turns(10)
	d := tg.read().since(old)
	d.same(t, "app_calls/outer", 0)
	d.same(t, "app_calls/inner", 10)
	if execs := s.AppExecs(tg.slot); execs != 1 {
		t.Errorf("%d programs executed, want the one that was started", execs)
	}
}

// Cells run out, and come back with their slot, empty.
func TestAppCellsAreBounded(t *testing.T) {
	s := wantApps(t, 0)
	first := newTarget(t, s, []string{"app_calls"})
	for i := range AppCells {
		if err := s.CountApp(first.slot, fmt.Sprint("p", i), uint32(i)); err != nil {
			t.Fatal(err)
		}
	}
	s.apps().values[0] = 7
	other := newTarget(t, s, []string{"app_calls"})
	if err := s.CountApp(other.slot, "p", 1); err != ErrAppCells {
		t.Errorf("cell %d: %v, want %v", AppCells, err, ErrAppCells)
	}
	if n := len(s.Read(first.slot, first.families, nil)); n != AppCells {
		t.Errorf("%d readings, want %d", n, AppCells)
	}
	if err := s.FreeSlot(first.slot); err != nil {
		t.Fatal(err)
	}
	for i := range AppCells {
		if err := s.CountApp(other.slot, fmt.Sprint("q", i), uint32(i)); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range s.Read(other.slot, other.families, nil) {
		if r.Value != 0 {
			t.Errorf("%s begins with %d", r.Labels[0], r.Value)
		}
	}
}

// Calls of a process that was killed in the middle of them are forgotten.
func TestAppSweep(t *testing.T) {
	s := wantApps(t, 0)
	a := s.apps()
	type key struct {
		Who       uint64
		TGID, Pad uint32
	}
	for _, pid := range []uint32{1, 2, 3} {
		if err := a.tasks.Put(key{uint64(pid), pid, 0}, make([]byte, appTaskBytes)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.AppFiles().Sweep(func(pid int) bool { return pid == 2 }); err != nil {
		t.Fatal(err)
	}
	var left []uint32
	var k key
	var value []byte
	for it := a.tasks.Iterate(); it.Next(&k, &value); {
		left = append(left, k.TGID)
	}
	if !slices.Equal(left, []uint32{2}) {
		t.Errorf("calls of %v are left, want of 2", left)
	}
}
