package metric

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"
)

// TargetKind is what sort of thing a target is.
type TargetKind string

// The kinds of target.
const (
	Container TargetKind = "container" // known to a container runtime
	Service   TargetKind = "service"   // a systemd unit
	Plain     TargetKind = "cgroup"    // any other cgroup
	Node      TargetKind = "node"      // the node: what has no container by nature
	Remainder TargetKind = "remainder" // everything that is in no target, so that sums check
)

// TargetID names a target for good: it survives restarts of the container's
// processes and of the agent, and it is what series belong to.
type TargetID string

// A Target is something that is measured: a container, a service, a cgroup, the
// node. Targets are immutable; a better name makes a new Target with the same ID.
type Target struct {
	ID          TargetID          `json:"id"`
	Incarnation string            `json:"incarnation"` // boot id + cgroup id: tells resets
	Kind        TargetKind        `json:"kind"`
	Node        string            `json:"node"`
	Namespace   string            `json:"namespace,omitempty"`
	Pod         string            `json:"pod,omitempty"`
	PodUID      string            `json:"pod_uid,omitempty"`
	Container   string            `json:"container,omitempty"`
	Workload    string            `json:"workload,omitempty"`
	Image       string            `json:"image,omitempty"`
	Pattern     string            `json:"pattern,omitempty"`
	Runtime     string            `json:"runtime,omitempty"` // containerd, docker, cri-o, podman, systemd
	ContainerID string            `json:"container_id,omitempty"`
	Cgroup      string            `json:"cgroup"` // v2 path, "/" for the root
	CgroupID    uint64            `json:"cgroup_id"`
	NameSource  string            `json:"name_source,omitempty"` // where the names were found
	Labels      map[string]string `json:"labels,omitzero"`       // of the pod, or of a container without one; nil: unknown
	Started     time.Time         `json:"started"`
	Ended       time.Time         `json:"ended,omitzero"` // zero while it lives
}

// MakeID is the id of a target: a hash of the cluster or machine and of what
// names the target there (runtime + container id, unit name, or cgroup path).
func MakeID(machine, name string) TargetID {
	sum := sha256.Sum256([]byte(machine + "\x00" + name))
	return TargetID(hex.EncodeToString(sum[:8]))
}

// Name is what people call the target: container or unit name, else the path of
// its cgroup, else its kind.
func (t *Target) Name() string {
	switch {
	case t.Container != "":
		return t.Container
	case t.Kind == Node || t.Kind == Remainder:
		return string(t.Kind)
	}
	return t.Cgroup
}

// FullName is what the target is called where others are listed with it: namespace, pod
// and container as far as they are known, joined by "/"; else its Name.
func (t *Target) FullName() string {
	if t.Container == "" {
		return t.Name()
	}
	parts := []string{t.Namespace, t.Pod, t.Container}
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), "/")
}
