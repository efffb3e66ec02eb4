package agent

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Cgroups that are made in a slice before the agent knows it for one share the slot
// that the kernel side gave it. Each gets its own, and that one is nobody's until
// the slice is gone.
func TestSliceOfOneBreath(t *testing.T) {
	r := measureAll(t, "tcp_sent_bytes")
	slice := filepath.Join(r.host.V2, unique("breath")+".slice")
	const children = 4
	child := func(i int) string { return filepath.Join(slice, "c"+strconv.Itoa(i)) }
	inLoop := func(f func()) {
		t.Helper()
		if err := r.do(func() error { f(); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for i := range children {
			os.Remove(child(i))
		}
		os.Remove(slice)
	})
	inLoop(func() { // the loop is busy while they are made
		for _, dir := range []string{slice, child(0), child(1), child(2)} {
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Error(err)
			}
		}
	})
	path := func(dir string) string { return dir[len(r.host.V2):] }
	slots := func() (of []uint32) {
		inLoop(func() {
			for i := range children {
				if g := r.tree.paths[path(child(i))]; g != nil && g.target != nil {
					of = append(of, g.target.slot)
				}
			}
		})
		return of
	}
	eventually(t, "three targets", func() bool { return len(slots()) == 3 })
	if err := os.Mkdir(child(3), 0o755); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the fourth target", func() bool { return len(slots()) == children })
	seen := map[uint32]bool{}
	for _, s := range slots() {
		if seen[s] {
			t.Errorf("slots %v: %d has two owners", slots(), s)
		}
		seen[s] = true
	}
	for i := range children {
		w := startIn(t, child(i))
		w.do("send " + strconv.Itoa(100+i))
		w.end()
		rmdir(t, child(i))
	}
	rmdir(t, slice)
	for i := range children {
		p := path(child(i))
		eventually(t, p+" to drain", func() bool { return r.gone(p) })
		if got, want := r.sum(p, "tcp_sent_bytes"), uint64(100+i); got != want {
			t.Errorf("tcp_sent_bytes of %s: %d, want %d", p, got, want)
		}
	}
	eventually(t, "the slice's slot to be given back", func() (ok bool) {
		inLoop(func() { ok = len(r.tree.held) == 0 })
		return ok
	})
}

// Names are looked for while other cgroups come and go without a pause.
func TestNamedInACrowd(t *testing.T) {
	root := t.TempDir()
	r := measureIn(t, root, "tcp_sent_bytes")
	id := strings.Repeat("c", 64)
	dir := mkdir(t, r.host, "cri-containerd-"+id+".scope")
	crowd := filepath.Join(r.host.V2, unique("busy"))
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for pause := time.NewTicker(namePause / 10); ; <-pause.C {
			err := errors.Join(os.Mkdir(crowd, 0o755), os.Remove(crowd))
			select {
			case <-stop:
				pause.Stop()
				stopped <- err
				return
			default:
			}
		}
	}()
	bundle(t, root, id, `"io.kubernetes.cri.container-type":"container","io.kubernetes.cri.container-name":"web",`+
		`"io.kubernetes.cri.sandbox-name":"web-0","io.kubernetes.cri.sandbox-namespace":"shop"`)
	path := dir[len(r.host.V2):]
	eventually(t, "the name", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.named[path] != nil && r.named[path].Container == "web"
	})
	close(stop)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	rmdir(t, dir)
}
