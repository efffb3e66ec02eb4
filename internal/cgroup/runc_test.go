package cgroup

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
)

// bundle makes a bundle with busybox in it, and what a runtime says of it.
func bundle(t *testing.T, dir, cgroup string, annotations map[string]string) {
	t.Helper()
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal("busybox is not installed: run make tools")
	}
	b, err := os.ReadFile(busybox)
	if err != nil {
		t.Fatal(err)
	}
	type object = map[string]any
	config, err := json.Marshal(object{
		"ociVersion": "1.0.2",
		"process":    object{"args": []string{"/busybox", "sleep", "600"}, "cwd": "/"},
		"root":       object{"path": "rootfs"},
		"mounts":     []object{{"destination": "/proc", "type": "proc", "source": "proc"}},
		"linux": object{
			"cgroupsPath": cgroup,
			"namespaces":  []object{{"type": "pid"}, {"type": "mount"}},
			"resources":   object{"cpu": object{"shares": 512, "quota": 50000, "period": 100000}},
		},
		"annotations": annotations,
	})
	err = errors.Join(err, os.MkdirAll(dir+"/rootfs/proc", 0o755), os.WriteFile(dir+"/rootfs/busybox", b, 0o755), os.WriteFile(dir+"/config.json", config, 0o644))
	if err != nil {
		t.Fatal(err)
	}
}

// A real container is recognised by its path, named by its bundle wherever that
// is, and read in all hierarchies. Under CRI-O it has the labels of its pod.
func TestRuncContainer(t *testing.T) {
	t.Run("containerd", func(t *testing.T) {
		runContainer(t, map[string]string{
			"io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.container-name": "web",
			"io.kubernetes.cri.sandbox-name": "web-0", "io.kubernetes.cri.sandbox-namespace": "shop",
		}, nil)
	})
	t.Run("cri-o", func(t *testing.T) {
		runContainer(t, map[string]string{
			"io.kubernetes.cri-o.ContainerType": "container", "io.kubernetes.container.name": "web", "io.kubernetes.pod.name": "web-0",
			"io.kubernetes.pod.namespace": "shop", "io.kubernetes.cri-o.SandboxID": cid("42"), "io.kubernetes.cri-o.Labels": "{}",
		}, map[string]string{"app": "web"})
	})
}

func runContainer(t *testing.T, annotations, labels map[string]string) {
	runc, err := exec.LookPath("runc")
	if err != nil {
		t.Fatal("runc is not installed: run make tools")
	}
	h := find(t, "/")
	top := makeCgroup(t, h)
	var random [32]byte
	rand.Read(random[:])
	id := hex.EncodeToString(random[:])
	at := top + "/kubepods/burstable/pod" + uid + "/" + id
	dir := filepath.Join(t.TempDir(), id)
	bundle(t, dir, at, annotations)
	extend(t, filepath.Dir(dir), "-- "+cid("42")+"/config.json --\n"+`{"annotations":{"io.kubernetes.cri-o.Labels":"{\"app\":\"web\"}"}}`+"\n")
	t.Cleanup(func() {
		for p := at; p != top; p = filepath.Dir(p) {
			removeGroups(t, p)
		}
	})
	cmd := exec.Command(runc, "--root", t.TempDir(), "run", "--bundle", dir, id)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	poll(t, "the container's cgroup", func() bool { _, err := os.Stat(h.V2 + at); return err == nil })
	appeared := time.Now()

	if p := h.Place(at); p.Role != Own || p.Kind != metric.Container || p.ContainerID != id || p.PodUID != uid {
		t.Errorf("place %+v", p)
	}
	n, target := &Names{Host: h}, h.Target(at, 1, time.Now())
	poll(t, "the container's name", func() bool {
		better, pause, err := n.Resolve(target)
		if err != nil {
			return false
		}
		if pause || better.Namespace != "shop" || better.Pod != "web-0" || better.Container != "web" || better.ID != target.ID || !maps.Equal(better.Labels, labels) || better.Labels == nil != (labels == nil) {
			t.Errorf("got %+v, pause %t", better, pause)
		}
		return true
	})
	t.Logf("named %v after its cgroup appeared", time.Since(appeared))

	poll(t, "busybox", func() bool { return h.program(at) == "busybox" })
	for controller := range h.V1 {
		if id, own, err := h.V1ID(at, controller); id == 0 || !own || err != nil {
			t.Errorf("%s: %d, %t, %v", controller, id, own, err)
		}
	}
	f := open(t, h, at, families())
	got := read(t, f)
	if got["cpu_usage"] == 0 || got["cpu_limit"] != 5e8 {
		t.Errorf("got %v", got)
	}
	if request, want := got["cpu_request"], uint64(5e8); request < want-13e6 || request > want+13e6 {
		t.Errorf("a request of half a core came out as %d", request)
	}
	kill(t, h, at)
	poll(t, "the end of the container", func() bool { _, err := f.Read(nil); return errors.Is(err, ErrGone) })
}

// kill ends the processes of a cgroup of the test's own.
func kill(t *testing.T, h *Host, at string) {
	t.Helper()
	member, ok := h.firstMember(at)
	pid, err := strconv.Atoi(member)
	if !ok || err != nil {
		t.Fatalf("no process in %s", at)
	}
	p, err := os.FindProcess(pid)
	if err := errors.Join(err, p.Kill()); err != nil {
		t.Fatal(err)
	}
}

// A container that runc made with its own default is named by runc's records.
func TestRuncRecords(t *testing.T) {
	root := unpack(t, "runtimes")
	h := find(t, root)
	better, _, err := (&Names{Host: h}).Resolve(h.Target("/batch-7", 1, time.Time{}))
	if err != nil || better.Kind != metric.Container || better.Name() != "batch-7" {
		t.Errorf("got %+v, %v", better, err)
	}
	if !slices.Equal([]string{better.Cgroup, better.Runtime}, []string{"/batch-7", "runc"}) {
		t.Errorf("got %+v", better)
	}
}
