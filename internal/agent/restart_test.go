package agent

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"viperprobe.dev/viperprobe/internal/kerneltest"
	"viperprobe.dev/viperprobe/internal/metric"
)

// total is the last total of restarts of a cgroup, and whether there is one.
func (l *ledger) total(cgroup string) (n uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.batches {
		for _, g := range b.Groups {
			for _, m := range g.Samples {
				if g.Target.Cgroup == cgroup && m.Family.Name == "restarts" {
					n, ok = m.Total, true
				}
			}
		}
	}
	return n, ok
}

// again removes a cgroup and makes it anew.
func (r *running) again(t *testing.T, dir string) {
	t.Helper()
	rmdir(t, dir)
	eventually(t, dir+" to be gone", func() bool { return r.gone(dir[len(r.host.V2):]) })
	mkdir(t, r.host, filepath.Base(dir))
	eventually(t, dir+" to be there", func() bool { return !r.gone(dir[len(r.host.V2):]) })
}

func TestRestartsOfUnitsAndCgroups(t *testing.T) {
	kerneltest.Exact(t, "restarts")
	r := measureAll(t, "restarts")
	other := mkdir(t, r.host, unique("other"))
	for _, name := range []string{unique("unit") + ".service", unique("plain")} {
		dir := mkdir(t, r.host, name)
		path := dir[len(r.host.V2):]
		eventually(t, "a first total", func() bool { _, ok := r.total(path); return ok })
		if n := r.sum(path, "restarts"); n != 0 {
			t.Errorf("%s: %d restarts of what began once", path, n)
		}
		for i := range 3 {
			r.again(t, dir)
			eventually(t, "a restart", func() bool { return r.sum(path, "restarts") == uint64(i+1) })
		}
		if n, _ := r.total(path); n != 3 {
			t.Errorf("%s: total %d, want 3", path, n)
		}
	}
	r.stop()
	if n := r.sum(other[len(r.host.V2):], "restarts"); n != 0 {
		t.Errorf("another cgroup has %d restarts", n)
	}
}

// The kubelet makes a container of another id for each restart; another container of
// the pod, and the same one of another pod, are none.
func TestRestartsInAPod(t *testing.T) {
	root := t.TempDir()
	r := measureIn(t, root, "restarts")
	kerneltest.Exact(t, "restarts")
	for i, c := range []struct {
		pod, container string
		total          uint64
	}{{"a", "web", 0}, {"a", "web", 1}, {"a", "proxy", 0}, {"b", "web", 0}, {"a", "web", 2}} {
		id := strings.Repeat(fmt.Sprint(i), 64)
		dir := mkdir(t, r.host, "cri-containerd-"+id+".scope")
		path := dir[len(r.host.V2):]
		bundle(t, root, id, `"io.kubernetes.cri.container-type":"container","io.kubernetes.cri.container-name":"`+c.container+
			`","io.kubernetes.cri.sandbox-name":"web-0","io.kubernetes.cri.sandbox-namespace":"shop","io.kubernetes.cri.sandbox-uid":"`+c.pod+`"`)
		eventually(t, "its restarts", func() bool { _, ok := r.total(path); return ok })
		if n, _ := r.total(path); n != c.total {
			t.Errorf("%d: %s in pod %s: total %d, want %d", i, c.container, c.pod, n, c.total)
		}
		if n := r.sum(path, "restarts"); n != min(c.total, 1) {
			t.Errorf("%d: %s in pod %s: increase %d, want one for a restart", i, c.container, c.pod, n)
		}
		rmdir(t, dir)
	}
}

// What is remembered of ended targets is bounded; the living are not forgotten.
func TestIdentitiesAreBounded(t *testing.T) {
	r := restarts{known: map[string]*identity{}}
	begin := func(id string, ended bool) *target {
		x := newTarget(&metric.Target{ID: metric.TargetID(id)}, 0)
		r.begin(x)
		if ended {
			x.end(time.Now())
		}
		return x
	}
	begin("living", false)
	for i := range maxIdentities - 1 {
		begin(fmt.Sprint(i), true)
	}
	begin("1", true) // is not the oldest any more
	if r.dropped != 0 {
		t.Fatalf("%d dropped of as many as there is room for", r.dropped)
	}
	begin("one more", true)
	begin("and more", true)
	if r.dropped != 2 || len(r.known) != maxIdentities {
		t.Errorf("%d dropped, %d known", r.dropped, len(r.known))
	}
	for _, tc := range []struct {
		id    string
		total uint64
	}{{"living", 1}, {"1", 2}, {"3", 1}, {"0", 0}, {"2", 0}} { // the last two take the room of others
		if got := begin(tc.id, true).beginning.total; got != tc.total {
			t.Errorf("%s: %d restarts, want %d", tc.id, got, tc.total)
		}
	}
}
