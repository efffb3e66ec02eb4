package agent

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/cgroup"
	"viperprobe.dev/viperprobe/internal/kerneltest"
	"viperprobe.dev/viperprobe/internal/policy"
	"viperprobe.dev/viperprobe/internal/symbol"
)

// become makes this process the program of kerneltest.Calls, in a file system that
// nobody else sees.
func become(dir string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("leave the machine's mounts: %w", err)
	}
	if err := unix.Mount("none", dir, "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	path := filepath.Join(dir, "calls")
	if err := os.WriteFile(path, kerneltest.Calls(), 0o755); err != nil {
		return err
	}
	return syscall.Exec(path, []string{path}, nil)
}

// turns has a program of kerneltest.Calls make n turns.
func (w *worker) turns(n uint64) {
	w.t.Helper()
	told, said := binary.LittleEndian.AppendUint64(nil, n), make([]byte, 8)
	if _, err := w.in.Write(told); err != nil {
		w.t.Fatal(err)
	}
	if _, err := io.ReadFull(w.raw, said); err != nil || !bytes.Equal(said, told) {
		w.t.Fatalf("%x, %v from the program, want %x", said, err, told)
	}
}

// labelled is what a family has come to for one value of its label.
func (l *ledger) labelled(cgroup, family, label string) (n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.batches {
		for _, g := range b.Groups {
			for _, m := range g.Samples {
				if g.Target.Cgroup == cgroup && m.Family.Name == family && m.Labels[0] == label {
					n += m.Value
					if m.Hist != nil {
						n += m.Hist.Count()
					}
				}
			}
		}
	}
	return n
}

// measureApps starts an agent whose only policy is for the cgroup at path.
func measureApps(t testing.TB, path, probes string, notice func(Notice)) *running {
	t.Helper()
	r := measureWith(t, "/", func(o *Options) {
		o.Notice, o.Log = notice, slog.New(slog.NewTextHandler(t.Output(), nil))
	}, "agent_app_probes")
	text := "apiVersion: viperprobe.dev/v1alpha1\nkind: ProbePolicy\nmetadata: {name: x}\nspec: {selector: {cgroups: ['" + path + "']}, probes: [" + probes + "]}\n"
	d, err := policy.Parse([]policy.File{{Name: "x.yaml", Data: []byte(text)}}, catalogue.Families())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Apply(policy.Make(policy.Wishes{Interval: interval, Documents: d}, 2, time.Now())); err != nil {
		t.Fatal(err)
	}
	return r
}

// awaitSites waits until n sites count for the cgroup at path, the worker's answer to its
// last question included.
func (r *running) awaitSites(t testing.TB, path string, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d application probes of %s", n, path), func() bool {
		have := 0
		_ = r.do(func() error {
			for _, x := range r.tree.targets {
				if x.Cgroup == path {
					have = len(x.app.sites)
				}
			}
			return nil
		})
		return have == n
	})
}

const callsProbes = `{name: outer, function: outer}, {name: span, usdt: "calls:begin", until: "calls:end"}, {name: gone, function: no_such_function}`

// A container has mounts of its own. Its calls are counted, those after a restart too, be it
// from the same file, which needs no second look, or from another.
func TestAppProbesFollowAContainer(t *testing.T) {
	kerneltest.Exact(t, "app_calls", "app_latency")
	path := "/" + unique("app")
	r := measureApps(t, path, callsProbes, nil)
	dir := mkdir(t, r.host, path)
	exact := func(n uint64) {
		t.Helper()
		for _, name := range []string{"outer", "span"} {
			for _, family := range []string{"app_calls", "app_latency"} {
				eventually(t, fmt.Sprintf("%s of %s: %d, want %d", family, name, r.labelled(path, family, name), n), func() bool {
					return r.labelled(path, family, name) == n
				})
			}
		}
	}
	inside := t.TempDir()
	w := start(t, dir, "/proc/self/exe", syscall.CLONE_NEWNS)
	fmt.Fprintln(w.in, "become "+inside)
	r.awaitSites(t, path, 2)
	w.turns(500)
	exact(500)
	for _, s := range r.AppProbes() {
		if s.Probe != "gone" && (s.State != policy.AppAttached || s.File != filepath.Join(inside, "calls") || !slices.Equal(s.Targets, []string{path})) {
			t.Errorf("%+v", s)
		}
	}
	w.end()

	file := filepath.Join(t.TempDir(), "calls")
	if err := os.WriteFile(file, kerneltest.Calls(), 0o755); err != nil {
		t.Fatal(err)
	}
	w = start(t, dir, file, 0)
	r.awaitSites(t, path, 4)
	w.turns(300)
	exact(800)
	w.end()
	w = start(t, dir, file, 0)
	w.turns(50)
	exact(850)
	w.end()
	if i := slices.IndexFunc(r.AppProbes(), func(s policy.AppStatus) bool {
		return s.Probe == "gone" && s.State == policy.AppMissing && strings.Contains(s.Reason, "not found")
	}); i < 0 {
		t.Errorf("nobody says that a function is not there: %+v", r.AppProbes())
	}

	// With cgroup v2 for memory, pages of files keep a cgroup.
	if err := r.do(func() error { r.tree.drain = time.Second; return nil }); err != nil {
		t.Fatal(err)
	}
	rmdir(t, dir)
	eventually(t, path+" to drain", func() bool { return r.gone(path) })
	eventually(t, "its files to be let go of", func() bool { return len(r.AppProbes()) == 0 })
	exact(850)
}

// A probe that is hit too often is taken off, which is said and recorded; others stay.
func TestAppProbeStopsAboveItsLimit(t *testing.T) {
	path := "/" + unique("hot")
	var mu sync.Mutex
	var notices []Notice
	r := measureApps(t, path, `{name: hot, function: inner, limit: 100}, {name: cool, function: outer, limit: 1000000}`, func(n Notice) {
		mu.Lock()
		defer mu.Unlock()
		notices = append(notices, n)
	})
	dir := mkdir(t, r.host, path)
	file := filepath.Join(t.TempDir(), "calls")
	if err := os.WriteFile(file, kerneltest.Calls(), 0o755); err != nil {
		t.Fatal(err)
	}
	w := start(t, dir, file, 0)
	r.awaitSites(t, path, 2)
	var turns uint64
	state := func(name string) string {
		for _, s := range r.AppProbes() {
			if s.Probe == name {
				return s.State
			}
		}
		return ""
	}
	eventually(t, "the probe to be stopped", func() bool {
		w.turns(500)
		turns += 500
		return state("hot") == policy.AppStopped
	})
	if s := state("cool"); s != policy.AppAttached {
		t.Errorf("the other probe is %s", s)
	}
	w.turns(100)
	turns += 100
	eventually(t, "calls of the other", func() bool { return r.labelled(path, "app_calls", "cool") == turns })
	eventually(t, "agent_app_probes to say so", func() bool { return r.labelledLast("agent_app_probes", policy.AppStopped) == 1 })
	w.end()
	rmdir(t, dir)
	mu.Lock()
	defer mu.Unlock()
	if len(notices) != 1 || notices[0].Action != "stop" || !strings.Contains(notices[0].Why, "limit of 100") {
		t.Errorf("notices %+v", notices)
	}
}

// labelledLast is the last value of a gauge of the node.
func (l *ledger) labelledLast(family, label string) (last uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.batches {
		for _, g := range b.Groups {
			for _, m := range g.Samples {
				if m.Family.Name == family && m.Labels[0] == label {
					last = m.Value
				}
			}
		}
	}
	return last
}

// What the worker has no room for is counted, and nothing of it is left attached or open.
func TestAppWorkerIsBounded(t *testing.T) {
	w := newAppWorker(&cgroup.Host{}, slog.New(slog.DiscardHandler), nil)
	path := filepath.Join(t.TempDir(), "calls")
	if err := os.WriteFile(path, kerneltest.Calls(), 0o755); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	f := &appFile{path: path, file: file, sites: map[appKey]*appSite{}}
	if f.symbols, err = symbol.Open(file); err != nil {
		t.Fatal(err)
	}
	numbers := len(w.free)
	for i := range numbers {
		if w.site(f, policy.AppProbe{Name: fmt.Sprint(i), Function: "outer"}) == nil {
			t.Fatalf("no room for site %d", i)
		}
	}
	if w.site(f, policy.AppProbe{Name: "one more", Function: "outer"}) != nil {
		t.Error("one site more than numbers")
	}
	s := f.sites[appKey{name: "0", function: "outer"}]
	w.offsets = maxAppOffsets
	if w.attach(s, s.from, false) != nil || s.fault == nil {
		t.Error("attached although no place is left")
	}
	if _, dropped := w.count(); dropped != 2 {
		t.Errorf("%d dropped, want 2", dropped)
	}
	many := appState{probes: make([]policy.AppProbe, 3)}
	if !many.busy() || (&appState{edition: 1, told: 1}).busy() {
		t.Error("busy with nothing, or not with something")
	}
}

// Debian's programs have what the shipped patterns probe.
func TestShippedAppProbesAreThere(t *testing.T) {
	if os.Getenv("VIPERPROBE_VM") != "" {
		t.Log("files only: a VM has none of these programs but Redis")
		return
	}
	patterns, err := policy.Patterns()
	if err != nil {
		t.Fatal(err)
	}
	for name, glob := range map[string]string{
		"redis": "/usr/bin/redis-server", "nginx": "/usr/sbin/nginx", "openssl": "/usr/lib/*/libssl.so.3", "postgresql": "/usr/lib/postgresql/*/bin/postgres",
	} {
		found, _ := filepath.Glob(glob)
		if len(found) == 0 {
			t.Fatalf("no %s; run make tools", glob)
		}
		file, err := os.Open(found[0])
		if err != nil {
			t.Fatal(err)
		}
		f, err := symbol.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(patterns, func(p policy.Pattern) bool { return p.Name == name })
		for _, p := range patterns[i].Probes {
			s := &appSite{probe: p}
			if err := s.resolve(f); err != nil || len(s.from) == 0 || p.Until != "" && len(s.to) == 0 {
				t.Errorf("%s, %s: %v", name, p.Name, err)
			}
		}
		file.Close()
	}
}
