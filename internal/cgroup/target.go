package cgroup

import (
	"path"
	"strconv"
	"strings"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
)

// Target is what the path of a cgroup makes of it: a container by its short id,
// a unit by its name, anything else by its path. Names.Resolve finds better
// names. The id is hashed from the machine and the container id, the unit, or the
// path, and stays when the name gets better. started is when the cgroup was first
// seen.
func (h *Host) Target(at string, id uint64, started time.Time) *metric.Target {
	p := h.Place(at)
	t := &metric.Target{
		Incarnation: h.BootID + ":" + strconv.FormatUint(id, 10),
		Kind:        metric.Plain, Node: h.Node, Cgroup: at, CgroupID: id,
		NameSource: "path", Started: started,
	}
	name := at
	if p.Role == Own {
		t.Kind, t.Runtime, t.ContainerID, t.PodUID = p.Kind, p.Runtime, p.ContainerID, p.PodUID
	}
	switch {
	case t.Kind == metric.Container:
		name = p.Runtime + ":" + p.ContainerID
		t.Container = shortID(p.ContainerID)
	case t.Kind == metric.Service:
		name = "systemd:" + p.Unit
		t.Container = path.Base(p.Unit)
	}
	t.ID = metric.MakeID(h.MachineID, name)
	return t
}

// NodeTarget is the target for what belongs to the machine and to no container;
// id is that of the root cgroup.
func (h *Host) NodeTarget(id uint64, started time.Time) *metric.Target {
	return &metric.Target{
		ID:          metric.MakeID(h.MachineID, "node"),
		Incarnation: h.BootID, Kind: metric.Node, Node: h.Node, Cgroup: "/", CgroupID: id,
		NameSource: "host", Started: started,
	}
}

// shortID is how runtimes print an id.
func shortID(id string) string {
	if isID(id) {
		return id[:12]
	}
	return strings.TrimSpace(id)
}
