package cgroup

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/metric"
)

// cid is the id of a container of testdata/runtimes.txt.
func cid(tail string) string { return "c" + strings.Repeat("0", 63-len(tail)) + tail }

// named is what Resolve may change of a target.
type named struct {
	Namespace, Pod, Container, Workload, Image, Runtime, Source string
	Pause                                                       bool
	Labels                                                      map[string]string
}

func resolve(t *testing.T, n *Names, path string) (named, error) {
	t.Helper()
	before := n.Host.Target(path, 7, time.Unix(1, 0))
	after, pause, err := n.Resolve(before)
	if after.ID != before.ID || after.Incarnation != before.Incarnation || after.Cgroup != path {
		t.Errorf("%s became another target: %+v", path, after)
	}
	return named{after.Namespace, after.Pod, after.Container, after.Workload, after.Image, after.Runtime, after.NameSource, pause, after.Labels}, err
}

func TestResolve(t *testing.T) {
	n := &Names{Host: find(t, unpack(t, "runtimes"))}
	const podSlice = "/kubepods.slice/kubepods-poda1b2c3d4_0000_1111_2222_333344445555.slice/"
	database := map[string]string{"app": "db", "app.kubernetes.io/part-of": "shop", "statefulset.kubernetes.io/pod-name": "db-0"}
	compose := map[string]string{"com.docker.compose.project": "shop", "com.docker.compose.service": "cache"}
	for path, want := range map[string]named{
		// containerd's CRI plugin: systemd driver, cgroupfs driver, pause, k3s.
		podSlice + "cri-containerd-" + cid("1") + ".scope": {Namespace: "shop", Pod: "web-5d4f8c7b6-x2x4z", Container: "web",
			Image: "docker.io/library/nginx:1.27", Runtime: "containerd", Source: "containerd annotations"},
		"/kubepods/burstable/pod" + uid + "/" + cid("2"): {Namespace: "shop", Pod: "web-5d4f8c7b6-x2x4z", Container: "c00000000000",
			Runtime: "containerd", Source: "containerd annotations", Pause: true},
		"/kubepods/besteffort/podx/" + cid("3"): {Namespace: "edge", Pod: "api-0", Container: "api", Runtime: "containerd", Source: "containerd annotations"},
		// nerdctl and ctr.
		"/system.slice/nerdctl-" + cid("4") + ".scope": {Container: "cache", Runtime: "containerd", Source: "nerdctl annotations"},
		// CRI-O.
		podSlice + "crio-" + cid("5") + ".scope": {Namespace: "shop", Pod: "db-0", Container: "db", Image: "quay.io/fedora/postgresql-16:latest", Runtime: "cri-o", Source: "cri-o annotations",
			Labels: database},
		podSlice + "crio-" + cid("6") + ".scope": {Namespace: "shop", Pod: "db-0", Container: "POD", Runtime: "cri-o", Source: "cri-o annotations", Pause: true, Labels: database},
		// podman.
		"/machine.slice/libpod-" + cid("7") + ".scope":                                           {Container: "queue", Image: "docker.io/library/rabbitmq:3", Runtime: "podman", Source: "podman containers.json"},
		"/machine.slice/libpod-" + cid("8") + ".scope":                                           {Container: "b4fc5a8a5f7a-infra", Image: "localhost/podman-pause:4.3.1-0", Runtime: "podman", Source: "podman containers.json", Pause: true},
		"/machine.slice/libpod-" + cid("9") + ".scope":                                           {Container: "once", Runtime: "podman", Source: "podman containers.json"},
		"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + cid("a") + ".scope": {Container: "rootless", Image: "quay.io/x:1", Runtime: "podman", Source: "podman containers.json"},
		// Docker.
		"/docker/" + cid("b"):                         {Container: "shop-cache-1", Workload: "cache", Image: "redis:7", Runtime: "docker", Source: "docker config.v2.json", Labels: compose},
		"/system.slice/docker-" + cid("b") + ".scope": {Container: "shop-cache-1", Workload: "cache", Image: "redis:7", Runtime: "docker", Source: "docker config.v2.json", Labels: compose},
		"/kubepods/podx/" + cid("c"):                  {Namespace: "old", Pod: "web-0", Container: "web", Image: "sha256:aa", Runtime: "docker", Source: "docker config.v2.json", Labels: map[string]string{"app": "web"}},
		"/kubepods/podx/" + cid("d"):                  {Namespace: "old", Pod: "web-0", Container: "POD", Image: "registry.k8s.io/pause:3.9", Runtime: "docker", Source: "docker config.v2.json", Pause: true},
		// Only the kubelet's logs.
		"/kubepods/podx/" + cid("e"):                                     {Namespace: "shop", Pod: "log-0", Container: "logger", Source: "kubelet log directories"},
		"/kubepods/podb1b2c3d4-0000-1111-2222-333344445555/" + cid("f"):  {Namespace: "shop", Pod: "solo-0", Container: "main", Source: "kubelet log directories"},
		"/kubepods/podb1b2c3d4-0000-1111-2222-333344445555/" + cid("10"): {Namespace: "shop", Pod: "solo-0", Container: "c00000000000", Source: "kubelet log directories", Pause: true},
		"/kubepods/podd1b2c3d4-0000-1111-2222-333344445555/" + cid("12"): {Namespace: "shop", Pod: "duo-0", Container: "c00000000000", Source: "kubelet log directories"},
		"/kubepods/pode1b2c3d4-0000-1111-2222-333344445555/" + cid("13"): {Namespace: "e2e", Pod: "hidden-0", Container: "hidden", Runtime: "containerd", Source: "containerd annotations"},
		"/batch-7":                  {Container: "batch-7", Runtime: "runc", Source: "runc state.json"},
		"/batch-8":                  {Source: "path"},
		"/system.slice/run.service": {Container: "run.service", Runtime: "systemd", Source: "path"},
	} {
		for _, when := range []string{"at first", "again"} {
			got, err := resolve(t, n, path)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%s, %s: %v (-want +got)\n%s", path, when, err, diff)
			}
		}
	}
}

// A container whose files are not there yet is named as soon as they are.
func TestResolveNotYet(t *testing.T) {
	root := unpack(t, "runtimes")
	n := &Names{Host: find(t, root)}
	path := "/docker/" + cid("20")
	config := "var/lib/docker/containers/" + cid("20") + "/config.v2.json"
	if got, err := resolve(t, n, path); !errors.Is(err, ErrNotYet) || got.Container != "c00000000000" {
		t.Errorf("before: %+v, %v", got, err)
	}
	extend(t, root, "-- "+config+" --\n{\"Config\":{\"Image\":\"redis:7\"},\"Na")
	if got, err := resolve(t, n, path); !errors.Is(err, ErrNotYet) {
		t.Errorf("half written: %+v, %v", got, err)
	}
	extend(t, root, "-- "+config+" --\n{\"Config\":{\"Image\":\"redis:7\"},\"Name\":\"/late\"}\n")
	if got, err := resolve(t, n, path); err != nil || got.Container != "late" {
		t.Errorf("after: %+v, %v", got, err)
	}
	// The program of a container that only starts may still become pause.
	if got, err := resolve(t, n, "/kubepods/podb1b2c3d4-0000-1111-2222-333344445555/"+cid("11")); !errors.Is(err, ErrNotYet) {
		t.Errorf("during runc's start: %+v, %v", got, err)
	}
}

func TestResolveFollowsDockersDataRoot(t *testing.T) {
	root := unpack(t, "runtimes")
	extend(t, root, "-- etc/docker/daemon.json --\n{\"data-root\":\"/srv/docker\"}\n-- srv/docker/containers/"+cid("21")+"/config.v2.json --\n{\"Name\":\"/moved\"}\n")
	if got, err := resolve(t, &Names{Host: find(t, root)}, "/docker/"+cid("21")); err != nil || got.Container != "moved" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// A change of podman's list is seen, and a list that is being written does not
// lose what was known.
func TestResolveSeesNewPodmanContainers(t *testing.T) {
	root := unpack(t, "runtimes")
	n := &Names{Host: find(t, root)}
	list := filepath.Join(root, "var/lib/containers/storage/overlay-containers/volatile-containers.json")
	if _, err := resolve(t, n, "/machine.slice/libpod-"+cid("9")+".scope"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(list, []byte(`[{"id":"`+cid("22")+`","na`), 0o644); err != nil {
		t.Fatal(err)
	}
	n.Forget(n.Host.Target("/machine.slice/libpod-"+cid("9")+".scope", 7, time.Time{}).ID)
	if got, err := resolve(t, n, "/machine.slice/libpod-"+cid("9")+".scope"); err != nil || got.Container != "once" {
		t.Errorf("while the list is written: %+v, %v", got, err)
	}
	if err := os.WriteFile(list, []byte(`[{"id":"`+cid("22")+`","names":["new"]}]`), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := resolve(t, n, "/machine.slice/libpod-"+cid("22")+".scope"); err != nil || got.Container != "new" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestNamesAreBounded(t *testing.T) {
	root := unpack(t, "runtimes")
	n := &Names{Host: find(t, root), Max: 2}
	for _, tail := range []string{"1", "3", "5"} {
		if _, err := resolve(t, n, "/kubepods/podx/"+cid(tail)); err != nil {
			t.Fatal(err)
		}
	}
	if len(n.known) != 2 || n.Dropped() != 1 {
		t.Errorf("%d names are kept, %d were dropped", len(n.known), n.Dropped())
	}
	if got, err := resolve(t, n, "/kubepods/podx/"+cid("1")); err != nil || got.Container != "web" {
		t.Errorf("a dropped name is not found again: %+v, %v", got, err)
	}
	// A name that is known needs no file, one that was forgotten does.
	path := "/kubepods/podx/" + cid("1")
	if err := os.RemoveAll(filepath.Join(root, "run")); err != nil {
		t.Fatal(err)
	}
	if _, err := resolve(t, n, path); err != nil {
		t.Error(err)
	}
	n.Forget(n.Host.Target(path, 7, time.Time{}).ID)
	if _, err := resolve(t, n, path); !errors.Is(err, ErrNotYet) {
		t.Errorf("got %v", err)
	}
	for range 5000 {
		n.remember(metric.TargetID("x"), identity{})
		n.Forget("x")
	}
	if len(n.order) > 2 {
		t.Errorf("%d entries of forgotten names", len(n.order))
	}
}

// Labels over a bound are left out and counted; what is left stays the same each time.
func TestLabelsAreBounded(t *testing.T) {
	labels := map[string]string{"io.kubernetes.pod.name": "x", strings.Repeat("k", maxLabelKey+1): "", "long": strings.Repeat("v", maxLabelValue+1)}
	for i := range maxLabels + 3 {
		labels[fmt.Sprintf("a%03d", i)] = "v"
	}
	config, err := json.Marshal(map[string]any{"Name": "/many", "Config": map[string]any{"Labels": labels}})
	if err != nil {
		t.Fatal(err)
	}
	root := unpack(t, "runtimes")
	extend(t, root, "-- var/lib/docker/containers/"+cid("24")+"/config.v2.json --\n"+string(config)+"\n")
	n := &Names{Host: find(t, root)}
	got, err := resolve(t, n, "/docker/"+cid("24"))
	if err != nil || len(got.Labels) != maxLabels || got.Labels["a063"] != "v" || n.LabelsLeftOut() != 5 {
		t.Errorf("%d labels, %d left out, %v", len(got.Labels), n.LabelsLeftOut(), err)
	}
}

// A sandbox that is not there, is none, or says nothing of labels leaves them unknown.
func TestLabelsUnknown(t *testing.T) {
	for name, more := range map[string]string{
		"none":       "",
		"no labels":  `{"annotations":{}}`,
		"no JSON":    `{"annotations":{"io.kubernetes.cri-o.Labels":"{"}}`,
		"half there": `{"annotations":{"io.kub`,
	} {
		root := t.TempDir()
		dir := "run/containers/storage/overlay-containers/"
		for _, sandbox := range []string{cid("41"), "../../etc"} {
			text := `{"annotations":{"io.kubernetes.cri-o.ContainerType":"container","io.kubernetes.pod.name":"p","io.kubernetes.container.name":"c","io.kubernetes.cri-o.SandboxID":"` + sandbox + `"}}`
			extend(t, root, "-- "+dir+cid("40")+"/userdata/config.json --\n"+text+"\n")
			if more != "" {
				extend(t, root, "-- "+dir+cid("41")+"/userdata/config.json --\n"+more+"\n")
			}
			id, ok := (&Host{Root: root}).bundleName(&metric.Target{ContainerID: cid("40")})
			if !ok || id.container != "c" || id.labels != nil {
				t.Errorf("%s: %+v, %t", name, id, ok)
			}
		}
	}
}

// A pipe in a place that belongs to a user holds nobody up.
func TestResolvePassesPipesOver(t *testing.T) {
	root := unpack(t, "runtimes")
	dir := filepath.Join(root, "home/eve/.local/share/containers/storage/overlay-containers")
	if err := errors.Join(os.MkdirAll(dir, 0o755), unix.Mkfifo(dir+"/containers.json", 0o644)); err != nil {
		t.Fatal(err)
	}
	if _, err := resolve(t, &Names{Host: find(t, root)}, "/machine.slice/libpod-"+cid("23")+".scope"); !errors.Is(err, ErrNotYet) {
		t.Errorf("got %v", err)
	}
}

func FuzzNames(f *testing.F) {
	f.Add([]byte(`{"annotations":{"io.kubernetes.cri.container-type":"container","io.kubernetes.cri.sandbox-name":"x"}}`))
	f.Add([]byte(`{"Name":"/x","Config":{"Labels":null}}`))
	f.Add([]byte(`[{"id":"1","names":[],"metadata":"{"}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		root := t.TempDir()
		h := &Host{Root: root}
		file := filepath.Join(root, "var/lib/docker/containers", idA, "config.v2.json")
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, b, 0o644)); err != nil {
			t.Fatal(err)
		}
		if id, ok := annotated(file); ok && id.source == "" {
			t.Errorf("annotations: %+v", id)
		}
		if id, ok := h.dockerName(&metric.Target{ContainerID: idA}); ok && id.container == "" && !id.pause {
			t.Errorf("docker: %+v", id)
		}
		for _, id := range (&Names{Host: h}).podmanList(file) {
			if id.container == "" {
				t.Errorf("podman: %+v", id)
			}
		}
	})
}
