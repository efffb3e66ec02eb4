package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"viperprobe.dev/viperprobe/internal/metric"
)

// bundle leaves on disk what containerd leaves of a container.
func bundle(t *testing.T, root, id string, annotations string) {
	t.Helper()
	dir := filepath.Join(root, "run/containerd/io.containerd.runtime.v2.task/k8s.io", id)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"annotations":{`+annotations+`}}`), 0o644); err != nil {
		t.Fatal(err)
	}
}

// A pod that comes while the agent runs: its container is measured from its first
// instruction though its name is found later, and the pause container is none.
func TestPodComes(t *testing.T) {
	root := t.TempDir()
	r := measureIn(t, root, "default")
	app, pause := strings.Repeat("a", 64), strings.Repeat("b", 64)
	pods := unique("cluster") + "/kubepods"
	pod := pods + "/burstable/pod0b1c2d3e-0000-4000-8000-000000000001"
	for _, name := range []string{unique("cluster"), pods, pods + "/burstable"} {
		mkdir(t, r.host, name)
	}
	eventually(t, "the kubelet's cgroups", func() (known bool) {
		err := r.do(func() error { known = r.tree.paths["/"+pods+"/burstable"] != nil; return nil })
		return known && err == nil
	})
	for _, name := range []string{pod, pod + "/" + pause, pod + "/" + app} {
		mkdir(t, r.host, name)
	}
	w := startIn(t, filepath.Join(r.host.V2, pod, app))
	w.do("send 31415")
	const sandbox = `"io.kubernetes.cri.sandbox-name":"web-0","io.kubernetes.cri.sandbox-namespace":"shop"`
	bundle(t, root, pause, `"io.kubernetes.cri.container-type":"sandbox",`+sandbox)
	bundle(t, root, app, `"io.kubernetes.cri.container-type":"container","io.kubernetes.cri.container-name":"nginx",`+sandbox)
	path := "/" + pod + "/" + app
	eventually(t, "a name", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		x := r.named[path]
		return x != nil && x.Container == "nginx"
	})
	eventually(t, "the pause container to be none", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		last := r.batches[len(r.batches)-1]
		for _, g := range last.Groups {
			if strings.HasSuffix(g.Target.Cgroup, pause) {
				return false
			}
		}
		return true
	})
	w.do("send 1")
	w.end()
	for _, name := range []string{pod + "/" + app, pod + "/" + pause, pod, pods + "/burstable", pods, unique("cluster")} {
		rmdir(t, filepath.Join(r.host.V2, name))
	}
	eventually(t, path+" to drain", func() bool { return r.gone(path) })
	x := r.named[path]
	if got := fmt.Sprint(x.Namespace, " ", x.Pod, " ", x.Container, " ", x.Kind); got != "shop web-0 nginx "+string(metric.Container) {
		t.Errorf("target is %s", got)
	}
	if got := r.sum(path, "tcp_sent_bytes"); got != 31416 {
		t.Errorf("tcp_sent_bytes %d, want 31416", got)
	}
}
