package cgroup

import (
	"strings"

	"viperprobe.dev/viperprobe/internal/metric"
)

// runtimeDirs are the groups at the root that runtimes make with the cgroupfs
// driver: Docker's, podman's, and those named for containerd's namespaces (ctr
// and nerdctl; CRI pods without a parent).
var runtimeDirs = map[string]string{
	"docker": "docker", "libpod_parent": "podman",
	"default": "containerd", "k8s.io": "containerd", "moby": "docker",
}

// scopes tells a runtime by the first part of its cgroups' names.
var scopes = map[string]string{
	"docker": "docker", "cri-containerd": "containerd", "nerdctl": "containerd", "containerd": "containerd",
	"crio": "cri-o", "libpod": "podman", "runc": "runc",
}

// containerOf recognises a container by the name of its cgroup: a full id (64
// hexadecimal digits), alone or as in docker-ID.scope, crio-ID. The monitors of
// CRI-O and podman (crio-conmon-ID.scope) look alike and are not targets.
func containerOf(name string) (Place, bool) {
	stem := strings.TrimSuffix(name, ".scope")
	if len(stem) < idLength || !isID(stem[len(stem)-idLength:]) {
		return Place{}, false
	}
	id, prefix := stem[len(stem)-idLength:], stem[:len(stem)-idLength]
	if prefix != "" && !strings.HasSuffix(prefix, "-") {
		return Place{}, false
	}
	prefix = strings.TrimSuffix(prefix, "-")
	if prefix == "conmon" || strings.HasSuffix(prefix, "-conmon") {
		return Place{Role: Ignore}, true
	}
	return Place{Role: Own, Kind: metric.Container, Runtime: scopes[prefix], ContainerID: id}, true
}

const idLength = 64

func isID(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s) == idLength
}

// isPods recognises the group of all pods: kubepods (cgroupfs), kubepods.slice
// (systemd), kubelet-kubepods.slice (kind).
func isPods(name string) bool {
	return name == "kubepods" || name == "kubepods.slice" || strings.HasSuffix(name, "-kubepods.slice")
}

// isClass recognises the groups of pods by quality of service; guaranteed pods
// have none.
func isClass(name string) bool {
	stem, slice := strings.CutSuffix(name, ".slice")
	if !slice {
		return stem == "burstable" || stem == "besteffort"
	}
	return strings.HasSuffix(stem, "kubepods-burstable") || strings.HasSuffix(stem, "kubepods-besteffort")
}

// podUID reads pod<uid> or ...-pod<uid with _ for ->.slice.
func podUID(name string) (string, bool) {
	if stem, slice := strings.CutSuffix(name, ".slice"); slice {
		i := strings.LastIndex(stem, "-pod")
		if i < 0 {
			return "", false
		}
		uid := strings.ReplaceAll(stem[i+len("-pod"):], "_", "-")
		return uid, uid != ""
	}
	uid, ok := strings.CutPrefix(name, "pod")
	return uid, ok && uid != ""
}

// isUnit recognises the systemd units that have processes.
func isUnit(name string) bool {
	for _, suffix := range []string{".service", ".scope", ".socket", ".mount", ".swap"} {
		if len(name) > len(suffix) && strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}
