package cgroup

import (
	"strings"

	"viperprobe.dev/viperprobe/internal/metric"
)

// A Role is what a cgroup is in the tree of targets.
type Role int

// The roles.
const (
	Parent  Role = iota // watched: targets begin Levels below it
	Own                 // a target of its own
	Inherit             // belongs to the nearest target above it
	Ignore              // never a target: a container's monitor
)

func (r Role) String() string { return [...]string{"parent", "own", "inherit", "ignore"}[r] }

// A Place is what the path of a cgroup alone tells about it.
type Place struct {
	Role        Role
	Levels      int               // Parent: how many levels below it targets begin
	Kind        metric.TargetKind // Own
	Runtime     string            // containerd, docker, cri-o, podman, systemd; "" when the path does not tell
	ContainerID string            // containers
	PodUID      string            // pods and containers in them
	Unit        string            // systemd units; those of users with their manager: user@1000.service/x.service
}

// Place judges a v2 path, which may be of a cgroup that is already gone.
// Recognised are pods (both drivers, also below a prefix or inside a container,
// as kind and k3s have them), containers of Docker, containerd, CRI-O and podman,
// and systemd's units. Any other cgroup is a target when a watched parent holds
// it, and what is inside a target belongs to it, except containers. Containers
// that only hold a pod's namespaces cannot be told by path: see Names.
func (h *Host) Place(path string) Place {
	s := state{root: true, at: inParent, Place: Place{Role: Parent, Levels: 1}}
	s.extra(h.Parents["/"])
	prefix := ""
	for name := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if name == "" {
			continue
		}
		prefix += "/" + name
		s = s.enter(name)
		s.extra(h.Parents[prefix])
	}
	return s.Place
}

// A state is a Place with what is needed to judge the cgroups in it.
type state struct {
	Place
	at      where
	root    bool
	manager string // user@1000.service/ in the tree of a user's systemd
	depth   int    // levels left to the targets of a parent of the configuration
}

type where int

const (
	inParent     where = iota // a root or slice: each child is a target
	inContainers              // each child is a container of Runtime
	inPods                    // kubepods, or one of its classes of service
	inPod                     // each child is a container
	inTarget                  // children belong to it
)

// extra makes the state a parent of the configuration.
func (s *state) extra(levels int) {
	if levels > 0 {
		s.Place = Place{Role: Parent, Levels: levels}
		s.at, s.depth = inParent, levels-1
	}
}

func (s state) enter(name string) state {
	switch {
	case isPods(name):
		return state{at: inPods, Place: Place{Role: Parent, Levels: 2}}
	case s.at == inPods:
		return s.enterPods(name)
	case s.at == inPod:
		return s.enterPod(name)
	}
	if c, ok := containerOf(name); ok {
		if c.Runtime == "" && s.at == inContainers {
			c.Runtime = s.Runtime
		}
		return state{at: inTarget, Place: c}
	}
	switch s.at {
	case inContainers:
		return s.enterContainers(name)
	case inParent:
		return s.enterParent(name)
	}
	if s.Role != Ignore {
		s.Place = Place{Role: Inherit}
	}
	return s
}

func (s state) enterPods(name string) state {
	uid, ok := podUID(name)
	switch {
	case isClass(name):
		return s
	case ok:
		return state{at: inPod, Place: Place{Role: Parent, Levels: 1, PodUID: uid}}
	}
	return state{at: inTarget, Place: Place{Role: Inherit}}
}

func (s state) enterPod(name string) state {
	c, ok := containerOf(name)
	if !ok {
		c = Place{Role: Own, Kind: metric.Container, ContainerID: name}
	}
	c.PodUID = s.PodUID
	return state{at: inTarget, Place: c}
}

// enterContainers is below the directory of a runtime, for names that are not
// of the usual form: containerd lets people choose.
func (s state) enterContainers(name string) state {
	switch {
	case s.Runtime == "containerd":
		return state{at: inTarget, Place: Place{Role: Own, Kind: metric.Container, Runtime: s.Runtime, ContainerID: name}}
	case name == "conmon":
		return state{at: inTarget, Place: Place{Role: Ignore}}
	}
	return state{at: inTarget, Place: Place{Role: Own, Kind: metric.Plain}}
}

func (s state) enterParent(name string) state {
	if s.depth > 0 {
		s.Levels, s.depth = s.depth, s.depth-1
		return s
	}
	if runtime, ok := runtimeDirs[name]; ok && s.root {
		return state{at: inContainers, Place: Place{Role: Parent, Levels: 1, Runtime: runtime}}
	}
	s.root = false
	switch {
	case strings.HasSuffix(name, ".slice"):
		s.Place = Place{Role: Parent, Levels: 1}
	case strings.HasPrefix(name, "user@") && strings.HasSuffix(name, ".service"):
		s.manager, s.Place = name+"/", Place{Role: Parent, Levels: 1}
	case isUnit(name):
		s.at, s.Place = inTarget, Place{Role: Own, Kind: metric.Service, Runtime: "systemd", Unit: s.manager + name}
	default:
		s.at, s.Place = inTarget, Place{Role: Own, Kind: metric.Plain}
	}
	return s
}
