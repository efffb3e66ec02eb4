package cgroup

import (
	"errors"
	"sync"

	"viperprobe.dev/viperprobe/internal/metric"
)

// ErrNotYet means that nothing on disk names a container: its runtime has not
// written it yet, or never will. Ask again shortly, and not for ever.
var ErrNotYet = errors.New("no name yet")

// defaultNames bounds Names: far more than the containers of a node.
const defaultNames = 4096

// Names finds and remembers what containers are called, from what their
// runtimes leave on disk. The zero value with a Host is ready; many goroutines
// may use it.
type Names struct {
	Host *Host
	Max  int // names that are remembered; 0 means 4,096

	mu      sync.Mutex
	known   map[metric.TargetID]identity
	order   []metric.TargetID // oldest first
	dropped uint64
	leftOut uint64 // labels
	podman  podmanLists
}

// An identity is what a runtime says about a container.
type identity struct {
	namespace, pod, podUID, container string
	workload, image, runtime          string
	pause                             bool // only holds a pod's namespaces
	source                            string
	sandbox                           string            // id of the container that holds its pod's namespaces
	labels                            map[string]string // as metric.Target has them
	leftOut                           int               // of them, over a bound
}

// Resolve returns t with the best names that can be found (a new Target, with
// the same id; NameSource says where they are from), and whether it is a pause
// container, which only holds a pod's namespaces and is no target. A target that
// is no container is returned as it is, unless it turns out that runc made it.
// With ErrNotYet, t itself is what is known.
func (n *Names) Resolve(t *metric.Target) (better *metric.Target, pause bool, err error) {
	id, ok := n.recall(t.ID)
	if !ok {
		if id, ok = n.find(t); !ok {
			if t.Kind == metric.Container {
				return t, false, ErrNotYet
			}
			return t, false, nil
		}
		if id.pause || id.container != "" {
			n.remember(t.ID, id)
		}
	}
	return id.apply(t), id.pause, nil
}

func (id *identity) apply(t *metric.Target) *metric.Target {
	named := *t
	named.Kind = metric.Container
	for _, f := range []struct {
		to   *string
		from string
	}{
		{&named.Namespace, id.namespace}, {&named.Pod, id.pod}, {&named.PodUID, id.podUID},
		{&named.Container, id.container}, {&named.Workload, id.workload}, {&named.Image, id.image},
		{&named.Runtime, id.runtime}, {&named.NameSource, id.source},
	} {
		if f.from != "" {
			*f.to = f.from
		}
	}
	if id.labels != nil {
		named.Labels = id.labels
	}
	return &named
}

// Forget drops what is remembered of a target that is gone for good.
func (n *Names) Forget(id metric.TargetID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.known, id)
}

// Dropped counts names that were forgotten because there were too many. They
// are found again on demand.
func (n *Names) Dropped() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dropped
}

// LabelsLeftOut counts labels of targets that were left out: too many, or too long.
func (n *Names) LabelsLeftOut() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.leftOut
}

func (n *Names) recall(id metric.TargetID) (identity, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	found, ok := n.known[id]
	return found, ok
}

func (n *Names) remember(id metric.TargetID, what identity) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known == nil {
		n.known = map[metric.TargetID]identity{}
	}
	if _, again := n.known[id]; !again {
		n.order = append(n.order, id)
	}
	n.known[id] = what
	n.leftOut += uint64(what.leftOut)
	limit := n.Max
	if limit == 0 {
		limit = defaultNames
	}
	for len(n.order) > limit {
		if _, ok := n.known[n.order[0]]; ok {
			delete(n.known, n.order[0])
			n.dropped++
		}
		n.order = n.order[1:]
	}
}

// find asks the places where runtimes leave names, the surest first.
func (n *Names) find(t *metric.Target) (identity, bool) {
	h := n.Host
	if t.Kind == metric.Plain {
		return h.runcName(t)
	}
	if t.Kind != metric.Container {
		return identity{}, false
	}
	var partial identity
	for _, ask := range []func(*metric.Target) (identity, bool){
		h.dockerName, h.bundleName, n.podmanName, h.logName,
	} {
		id, ok := ask(t)
		if ok && (id.pause || id.container != "") {
			return id, true
		}
		if ok && partial.source == "" {
			partial = id
		}
	}
	return partial, partial.source != ""
}
