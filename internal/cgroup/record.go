package cgroup

import (
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
)

// dockerName reads Docker's own record of a container.
func (h *Host) dockerName(t *metric.Target) (identity, bool) {
	if !isID(t.ContainerID) {
		return identity{}, false
	}
	var daemon struct {
		DataRoot string `json:"data-root"`
	}
	dir := "var/lib/docker"
	if readDocument(h.at("etc/docker/daemon.json"), &daemon) && daemon.DataRoot != "" {
		dir = daemon.DataRoot
	}
	file := func(id string) string { return h.at(path.Join(dir, "containers", id, "config.v2.json")) }
	var record, sandbox dockerRecord
	if !readDocument(file(t.ContainerID), &record) {
		return identity{}, false
	}
	labels := annotations(record.Config.Labels)
	id, kubernetes := labels.kubernetes()
	switch {
	case !kubernetes:
		id = identity{container: strings.TrimPrefix(record.Name, "/"), workload: labels["com.docker.compose.service"]}
		id.label(labels)
	case isID(id.sandbox) && readDocument(file(id.sandbox), &sandbox):
		id.label(sandbox.Config.Labels)
	}
	id.runtime, id.image, id.source = "docker", record.Config.Image, "docker config.v2.json"
	return id, id.container != "" || id.pause
}

// A dockerRecord is what Docker's config.v2.json says of a container.
type dockerRecord struct {
	Name   string
	Config struct {
		Image  string
		Labels map[string]string
	}
}

// podmanLists remembers podman's lists of containers, which are read again when
// they have changed.
type podmanLists struct {
	lists map[string]podmanList
}

type podmanList struct {
	changed time.Time
	size    int64
	byID    map[string]identity
}

// Bounds of what is remembered of podman's lists.
const (
	maxPodmanLists = 64
	maxPodmanNames = 10_000
)

var podmanFiles = []string{
	"var/lib/containers/storage/*-containers/containers.json",
	"var/lib/containers/storage/*-containers/volatile-containers.json",
	"run/containers/storage/*-containers/volatile-containers.json",
	"home/*/.local/share/containers/storage/*-containers/containers.json",
	"home/*/.local/share/containers/storage/*-containers/volatile-containers.json",
	"run/user/*/containers/*-containers/volatile-containers.json",
}

// podmanName looks a container up in the lists of podman's storage.
func (n *Names) podmanName(t *metric.Target) (identity, bool) {
	if t.Runtime != "podman" && t.Runtime != "" {
		return identity{}, false
	}
	for _, pattern := range podmanFiles {
		files, err := filepath.Glob(n.Host.at(pattern))
		if err != nil {
			continue
		}
		for _, file := range files {
			if id, ok := n.podmanList(file)[t.ContainerID]; ok {
				return id, true
			}
		}
	}
	return identity{}, false
}

// podmanList is the list in a file, by container id.
func (n *Names) podmanList(file string) map[string]identity {
	info, err := os.Stat(file)
	if err != nil {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	old, ok := n.podman.lists[file]
	if ok && old.changed.Equal(info.ModTime()) && old.size == info.Size() {
		return old.byID
	}
	var records []podmanRecord
	if !readDocument(file, &records) {
		return old.byID
	}
	list := podmanList{info.ModTime(), info.Size(), map[string]identity{}}
	for i := range records[:min(len(records), maxPodmanNames)] {
		if id, ok := records[i].identity(); ok {
			list.byID[records[i].ID] = id
		}
	}
	if n.podman.lists == nil || len(n.podman.lists) >= maxPodmanLists {
		n.podman.lists = map[string]podmanList{}
	}
	n.podman.lists[file] = list
	return list.byID
}

type podmanRecord struct {
	ID       string   `json:"id"`
	Names    []string `json:"names"`
	Metadata string   `json:"metadata"` // JSON in a string
}

func (r *podmanRecord) identity() (identity, bool) {
	var more struct {
		Image string `json:"image-name"`
		Name  string `json:"name"`
	}
	// Metadata that is not JSON names nothing.
	_ = json.Unmarshal([]byte(r.Metadata), &more)
	if len(r.Names) > 0 {
		more.Name = r.Names[0]
	}
	id := identity{container: more.Name, image: more.Image, runtime: "podman", source: "podman containers.json"}
	// The container that holds a podman pod's namespaces is called by the pod's
	// short id.
	id.pause = strings.HasSuffix(id.container, "-infra") && (id.image == "" || strings.Contains(id.image, "pause"))
	return id, id.container != ""
}

// logName goes by the names of the kubelet's log directories. They do not say
// which container of the pod this is, unless the link with its id is there or it
// is the only one; the pause container has none, and is told by its program.
func (h *Host) logName(t *metric.Target) (identity, bool) {
	const source = "kubelet log directories"
	links, _ := filepath.Glob(h.at("var/log/containers/*-" + quote(t.ContainerID) + ".log"))
	for _, link := range links {
		stem := strings.TrimSuffix(path.Base(link), "-"+t.ContainerID+".log")
		if part := strings.SplitN(stem, "_", 3); len(part) == 3 {
			return identity{pod: part[0], namespace: part[1], container: part[2], source: source}, true
		}
	}
	if t.PodUID == "" {
		return identity{}, false
	}
	dirs, _ := filepath.Glob(h.at("var/log/pods/*_" + quote(t.PodUID)))
	for _, dir := range dirs {
		part := strings.SplitN(path.Base(dir), "_", 3)
		if len(part) != 3 {
			continue
		}
		id := identity{namespace: part[0], pod: part[1], podUID: part[2], source: source}
		switch program := h.program(t.Cgroup); {
		case program == "" || strings.HasPrefix(program, "runc") || strings.HasPrefix(program, "crun"):
			return identity{}, false // its own program has not begun: it may be pause
		case program == "pause":
			id.pause = true
		default:
			id.container = only(dir)
		}
		return id, true
	}
	return identity{}, false
}

// only is the name of the one directory in dir, "" when there are more.
func only(dir string) string {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || !entries[0].IsDir() {
		return ""
	}
	return entries[0].Name()
}

// program is the name of the program of a cgroup's first process.
func (h *Host) program(at string) string {
	pid, ok := h.firstMember(at)
	if !ok {
		return ""
	}
	b, err := os.ReadFile(filepath.Join(h.Proc, pid, "comm"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// runcName recognises a plain cgroup that runc made for a container of the same
// name, as it does by itself.
func (h *Host) runcName(t *metric.Target) (identity, bool) {
	name := path.Base(t.Cgroup)
	if info, err := os.Stat(h.at("run/runc/" + name + "/state.json")); err != nil || !info.Mode().IsRegular() {
		return identity{}, false
	}
	return identity{container: name, runtime: "runc", source: "runc state.json"}, true
}
