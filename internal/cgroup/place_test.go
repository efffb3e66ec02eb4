package cgroup

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/internal/metric"
)

const (
	idA = "0000000000000000000000000000000000000000000000000000000000000001"
	idB = "b4fc5a8a5f7a0f9e2d1c3b4a59687786950413222131405f6e7d8c9bab0c1d2e"
	uid = "a1b2c3d4-0000-1111-2222-333344445555"
)

func TestPlace(t *testing.T) {
	under := strings.NewReplacer("A", idA, "B", idB, "UNDERSCORED", strings.ReplaceAll(uid, "-", "_"), "UID", uid).Replace
	parent := func(levels int) Place { return Place{Role: Parent, Levels: levels} }
	pod := Place{Role: Parent, Levels: 1, PodUID: uid}
	container := func(runtime, id, pod string) Place {
		return Place{Role: Own, Kind: metric.Container, Runtime: runtime, ContainerID: id, PodUID: pod}
	}
	service := func(unit string) Place {
		return Place{Role: Own, Kind: metric.Service, Runtime: "systemd", Unit: unit}
	}
	plain, inherit, ignore := Place{Role: Own, Kind: metric.Plain}, Place{Role: Inherit}, Place{Role: Ignore}
	for path, want := range map[string]Place{
		"/": parent(1), "": parent(1),

		// Kubernetes, cgroupfs driver.
		"/kubepods":                            parent(2),
		"/kubepods/burstable":                  parent(2),
		"/kubepods/besteffort":                 parent(2),
		"/kubepods/podUID":                     pod,
		"/kubepods/podUID/A":                   container("", idA, uid),
		"/kubepods/burstable/podUID":           pod,
		"/kubepods/burstable/podUID/A":         container("", idA, uid),
		"/kubepods/burstable/podUID/A/nested":  inherit,
		"/kubepods/besteffort/podUID/short":    container("", "short", uid),
		"/kubepods/burstable/podUID/crio-A":    container("cri-o", idA, uid),
		"/kubepods/podUID/crio-conmon-A":       {Role: Ignore, PodUID: uid},
		"/kubepods/something":                  inherit,
		"/k8s-e2e":                             plain,
		"/k8s-e2e/kubepods":                    parent(2),
		"/k8s-e2e/kubepods/burstable":          parent(2),
		"/k8s-e2e/kubepods/burstable/podUID/A": container("", idA, uid),

		// Kubernetes, systemd driver.
		"/kubepods.slice":                                                                                            parent(2),
		"/kubepods.slice/kubepods-burstable.slice":                                                                   parent(2),
		"/kubepods.slice/kubepods-podUNDERSCORED.slice":                                                              pod,
		"/kubepods.slice/kubepods-podUNDERSCORED.slice/crio-A.scope":                                                 container("cri-o", idA, uid),
		"/kubepods.slice/kubepods-podUNDERSCORED.slice/crio-A.scope/container":                                       inherit,
		"/kubepods.slice/kubepods-podUNDERSCORED.slice/crio-conmon-A.scope":                                          {Role: Ignore, PodUID: uid},
		"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUNDERSCORED.slice/cri-containerd-A.scope":    container("containerd", idA, uid),
		"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podUNDERSCORED.slice/docker-A.scope":          container("docker", idA, uid),
		"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podUNDERSCORED.slice/docker-A.scope/init":     inherit,
		"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUNDERSCORED.slice/crio-A.scope/system.slice": inherit,

		// kind: nodes are containers, and have containers.
		"/docker/B/kubelet":                   inherit,
		"/docker/B/kubelet/kubepods":          parent(2),
		"/docker/B/kubelet/kubepods/podUID/A": container("", idA, uid),
		"/system.slice/docker-B.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice":                                                                        parent(2),
		"/system.slice/docker-B.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-podUNDERSCORED.slice":                        pod,
		"/system.slice/docker-B.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-podUNDERSCORED.slice/cri-containerd-A.scope": container("containerd", idA, uid),
		"/docker/B/system.slice":                    inherit,
		"/docker/B/system.slice/containerd.service": inherit,
		"/docker/B/docker/A":                        container("", idA, ""),

		// Docker, containerd, podman.
		"/docker":                                   {Role: Parent, Levels: 1, Runtime: "docker"},
		"/docker/A":                                 container("docker", idA, ""),
		"/docker/A/init.scope":                      inherit,
		"/docker/buildkit":                          plain,
		"/docker/buildkit/step":                     inherit,
		"/system.slice/docker-A.scope":              container("docker", idA, ""),
		"/custom.slice/docker-A.scope":              container("docker", idA, ""),
		"/custom/A":                                 container("", idA, ""),
		"/default":                                  {Role: Parent, Levels: 1, Runtime: "containerd"},
		"/default/redis1":                           container("containerd", "redis1", ""),
		"/k8s.io/A":                                 container("containerd", idA, ""),
		"/system.slice/nerdctl-A.scope":             container("containerd", idA, ""),
		"/machine.slice":                            parent(1),
		"/machine.slice/libpod-A.scope":             container("podman", idA, ""),
		"/machine.slice/libpod-A.scope/container":   inherit,
		"/machine.slice/libpod-conmon-A.scope":      ignore,
		"/machine.slice/libpod-conmon-A.scope/x":    ignore,
		"/machine.slice/machine-libpod_pod_B.slice": parent(1),
		"/machine.slice/machine-libpod_pod_B.slice/libpod-A.scope":                          container("podman", idA, ""),
		"/libpod_parent/libpod-A":                                                           container("podman", idA, ""),
		"/libpod_parent/conmon":                                                             ignore,
		"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-A.scope":           container("podman", idA, ""),
		"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-A.scope/container": inherit,

		// systemd.
		"/init.scope":                                                                     service("init.scope"),
		"/system.slice":                                                                   parent(1),
		"/system.slice/redis.service":                                                     service("redis.service"),
		"/system.slice/redis.service/worker":                                              inherit,
		"/system.slice/system-getty.slice":                                                parent(1),
		"/system.slice/system-getty.slice/getty@tty1.service":                             service("getty@tty1.service"),
		"/system.slice/system-postgresql.slice/postgresql@15-main.service":                service("postgresql@15-main.service"),
		"/user.slice":                                                                     parent(1),
		"/user.slice/user-1000.slice":                                                     parent(1),
		"/user.slice/user-1000.slice/session-3.scope":                                     service("session-3.scope"),
		"/user.slice/user-1000.slice/user@1000.service":                                   parent(1),
		"/user.slice/user-1000.slice/user@1000.service/init.scope":                        service("user@1000.service/init.scope"),
		"/user.slice/user-1000.slice/user@1000.service/app.slice":                         parent(1),
		"/user.slice/user-1000.slice/user@1000.service/app.slice/pipewire.service":        service("user@1000.service/pipewire.service"),
		"/user.slice/user-1000.slice/user@1000.service/app.slice/pipewire.service/inside": inherit,
		"/machine.slice/machine-qemu\\x2d1\\x2dvm.scope":                                  service("machine-qemu\\x2d1\\x2dvm.scope"),

		// Others.
		"/batch":              plain,
		"/batch/job":          inherit,
		"/batch/job/docker":   inherit,
		"/x.service":          service("x.service"),
		"/podcast":            plain,
		"/docker-notanid":     plain,
		"//batch//":           plain,
		"/viper.slice/web":    plain,
		"/viper.slice/web/in": inherit,
	} {
		if diff := cmp.Diff(want, new(Host).Place(under(path))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

func TestPlaceOfConfiguredParents(t *testing.T) {
	h := &Host{Parents: map[string]int{"/jobs": 1, "/deep": 2, "/deep/z/own": 1}}
	for path, want := range map[string]Place{
		"/jobs":          {Role: Parent, Levels: 1},
		"/jobs/a":        {Role: Own, Kind: metric.Plain},
		"/jobs/a/b":      {Role: Inherit},
		"/deep":          {Role: Parent, Levels: 2},
		"/deep/x":        {Role: Parent, Levels: 1},
		"/deep/x/y":      {Role: Own, Kind: metric.Plain},
		"/deep/x/y/in":   {Role: Inherit},
		"/deep/z/own":    {Role: Parent, Levels: 1},
		"/deep/z/own/in": {Role: Own, Kind: metric.Plain},
	} {
		if diff := cmp.Diff(want, h.Place(path)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

func FuzzPlace(f *testing.F) {
	f.Add("/kubepods.slice/kubepods-pod_.slice/crio-" + idA + ".scope/x")
	f.Add("/user.slice/user@1.service/-.slice/.scope")
	f.Add("/docker/" + idA + "/kubepods/burstable/pod/x")
	f.Fuzz(func(t *testing.T, path string) {
		p := new(Host).Place(path)
		if (p.Role == Parent) != (p.Levels > 0) || (p.Role == Own) != (p.Kind != "") {
			t.Errorf("%q: %+v", path, p)
		}
		if p.Kind == metric.Container && p.ContainerID == "" || p.Kind == metric.Service && p.Unit == "" {
			t.Errorf("%q: no identity: %+v", path, p)
		}
	})
}
