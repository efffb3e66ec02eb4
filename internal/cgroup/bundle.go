package cgroup

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/metric"
)

// maxDocument bounds what is read of a runtime's file.
const maxDocument = 4 << 20

// readDocument decodes a JSON file. A file that is not there, not whole or not
// JSON (being written, say) is not ok; nor is anything that is no plain file:
// some of the places belong to users.
func readDocument(path string, into any) bool {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return false
	}
	return json.NewDecoder(io.LimitReader(f, maxDocument)).Decode(into) == nil
}

// bundleDirs are where runtimes keep the bundle (config.json) of a running
// container, %s being its id; * are containerd's namespaces, storage drivers and
// users.
var bundleDirs = []string{
	"run/containerd/io.containerd.runtime.v2.task/k8s.io/%s",
	"run/containerd/io.containerd.runtime.v2.task/*/%s",
	"run/k3s/containerd/io.containerd.runtime.v2.task/*/%s",
	"var/snap/microk8s/common/run/containerd/io.containerd.runtime.v2.task/*/%s",
	"run/containerd/io.containerd.runtime.v1.linux/*/%s",
	"run/containers/storage/*-containers/%s/userdata",
	"var/lib/containers/storage/*-containers/%s/userdata",
	"run/user/*/containers/*-containers/%s/userdata",
	"home/*/.local/share/containers/storage/*-containers/%s/userdata",
	"root/.local/share/containers/storage/*-containers/%s/userdata",
}

// bundleName reads the annotations of the container's bundle.
func (h *Host) bundleName(t *metric.Target) (identity, bool) {
	for _, dir := range bundleDirs {
		pattern := h.at(strings.Replace(dir, "%s", quote(t.ContainerID), 1) + "/config.json")
		files, err := filepath.Glob(pattern)
		if err != nil {
			continue
		}
		for _, file := range files {
			if id, ok := annotated(file); ok {
				return id.inPod(file, t.ContainerID), true
			}
		}
	}
	return h.shimName(t)
}

// quote keeps a name from being a pattern.
func quote(name string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(name)
}

// shimName goes by the parent of a container's process: runc, conmon and
// containerd's shim work in the bundle, or in one beside it. It finds bundles in
// other mount namespaces too, and wherever a runtime was told to put them.
func (h *Host) shimName(t *metric.Target) (identity, bool) {
	pid, ok := h.firstMember(t.Cgroup)
	if !ok {
		return identity{}, false
	}
	parent, ok := h.parentOf(pid)
	if !ok {
		return identity{}, false
	}
	cwd := filepath.Join(h.Proc, parent, "cwd")
	// Not Join: the dots are the kernel's to resolve, behind the link.
	for _, file := range []string{cwd + "/../" + t.ContainerID + "/config.json", cwd + "/../../" + t.ContainerID + "/userdata/config.json"} {
		if id, ok := annotated(file); ok {
			return id.inPod(file, t.ContainerID), true
		}
	}
	return identity{}, false
}

// firstMember is the first process of a v2 cgroup.
func (h *Host) firstMember(at string) (pid string, ok bool) {
	b, err := readHead(h.V2+filepath.Join(at, "cgroup.procs"), 16)
	if err != nil {
		return "", false
	}
	pid, _, _ = strings.Cut(string(b), "\n")
	n, err := strconv.Atoi(pid)
	return pid, err == nil && n > 0
}

// parentOf reads the fourth word of /proc/PID/stat, the second after the name,
// which may hold anything.
func (h *Host) parentOf(pid string) (string, bool) {
	b, err := os.ReadFile(filepath.Join(h.Proc, pid, "stat"))
	if err != nil {
		return "", false
	}
	text := string(b)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 2 || fields[1] == "0" {
		return "", false
	}
	return fields[1], true
}

// annotated reads the names that a runtime put into the bundle's config.json.
func annotated(file string) (identity, bool) {
	var bundle struct {
		Annotations map[string]string `json:"annotations"`
	}
	if !readDocument(file, &bundle) {
		return identity{}, false
	}
	a := annotations(bundle.Annotations)
	if id, ok := a.kubernetes(); ok {
		return id, true
	}
	if name := a["nerdctl/name"]; name != "" {
		return identity{container: name, runtime: "containerd", image: a["nerdctl/image"], source: "nerdctl annotations"}, true
	}
	if a["io.container.manager"] == "libpod" {
		return identity{runtime: "podman", source: "podman config.json"}, true
	}
	return identity{}, false
}

type annotations map[string]string

// first is the first of some keys that has a value.
func (a annotations) first(keys ...string) string {
	for _, k := range keys {
		if v := a[k]; v != "" {
			return v
		}
	}
	return ""
}

// kubernetes reads the annotations of containerd's CRI plugin, CRI-O, and the
// labels that the kubelet gives to both and to Docker.
func (a annotations) kubernetes() (identity, bool) {
	id := identity{
		namespace: a.first("io.kubernetes.cri.sandbox-namespace", "io.kubernetes.cri-o.Namespace", "io.kubernetes.pod.namespace"),
		pod:       a.first("io.kubernetes.cri.sandbox-name", "io.kubernetes.cri-o.KubeName", "io.kubernetes.pod.name"),
		podUID:    a.first("io.kubernetes.cri.sandbox-uid", "io.kubernetes.pod.uid"),
		container: a.first("io.kubernetes.cri.container-name", "io.kubernetes.container.name"),
		image:     a.first("io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName", "io.kubernetes.cri-o.Image"),
		sandbox:   a.first("io.kubernetes.cri-o.SandboxID", "io.kubernetes.sandbox.id"),
	}
	kind := a.first("io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType", "io.kubernetes.docker.type")
	id.pause = kind == "sandbox" || kind == "podsandbox" || id.container == "POD"
	switch {
	case a["io.kubernetes.cri.container-type"] != "":
		id.runtime, id.source = "containerd", "containerd annotations"
	case a["io.kubernetes.cri-o.ContainerType"] != "" && a["io.container.manager"] != "libpod":
		id.runtime, id.source = "cri-o", "cri-o annotations"
	case kind != "":
		id.source = "kubelet labels"
	}
	return id, id.source != "" && (id.pod != "" || id.pause)
}
