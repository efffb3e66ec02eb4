package agent

import (
	"viperprobe.dev/viperprobe/internal/cgroup"
	"viperprobe.dev/viperprobe/internal/metric"
)

// maxIdentities bounds what is remembered of containers that ended, for the case that
// they come again.
const maxIdentities = 4096

// restarts counts how often containers, units and cgroups began again. A container
// of a new id or cgroup is the old one again when it has the same identity.
type restarts struct {
	known   map[string]*identity
	clock   uint64 // grows with each beginning
	dropped uint64 // identities that were forgotten, and begin anew
}

type identity struct {
	last   *target // that began under it
	begun  uint64  // when, by the clock
	counts uint64
}

// A beginning is what a target knows of it.
type beginning struct {
	known bool // its identity is
	again bool // it is a restart, and not reported yet
	total uint64
}

// identityOf is what stays when a container is started again: pod and container, or the
// name that a runtime has for it; of anything else, as of a container without a name, the
// target's id, which units and cgroups keep.
func identityOf(t *metric.Target) string {
	switch {
	case t.Pod != "" && t.Container != "":
		return "pod\x00" + t.Namespace + "\x00" + t.Pod + "\x00" + t.PodUID + "\x00" + t.Container
	case t.Kind == metric.Container && t.NameSource != "path" && t.Container != "":
		return t.Runtime + "\x00" + t.Container
	}
	return string(t.ID)
}

// begin takes note of a target whose names are known, or will not be.
func (r *restarts) begin(x *target) {
	key := identityOf(x.Target)
	r.clock++
	id := r.known[key]
	if id == nil {
		if len(r.known) >= maxIdentities {
			r.forget()
		}
		id = &identity{}
		r.known[key] = id
	} else if id.last != x {
		id.counts++
		x.beginning.again = true
	}
	id.last, id.begun = x, r.clock
	x.beginning.known, x.beginning.total = true, id.counts
}

// forget makes room: of the identities whose targets ended, that which began first.
func (r *restarts) forget() {
	oldest := ""
	for key, id := range r.known {
		if !id.last.Ended.IsZero() && (oldest == "" || id.begun < r.known[oldest].begun) {
			oldest = key
		}
	}
	if oldest != "" {
		delete(r.known, oldest)
		r.dropped++
	}
}

// sample appends how often a target had been started again when it began, if that is
// wanted. The increase is in its first window. A target that ended before it had a name
// gets none.
func (r *restarts) sample(x *target, dst []metric.Sample) []metric.Sample {
	b := &x.beginning
	if !b.known && x.drained {
		r.begin(x)
	}
	if !b.known {
		return dst
	}
	var now uint64
	if b.again {
		now, b.again = 1, false
	}
	for _, f := range x.wants {
		if f.Name == cgroup.Restarts {
			return append(dst, metric.Sample{Family: f, Value: now, Total: b.total, Ratio: 1})
		}
	}
	return dst
}
