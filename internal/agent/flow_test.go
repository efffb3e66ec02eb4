package agent

import (
	"slices"
	"strings"
	"testing"
	"time"

	"viperprobe.dev/viperprobe/internal/policy"
)

// flows are what a family has come to by client and server, over all targets.
func (l *ledger) flows(family string) map[[2]string]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[[2]string]uint64{}
	for _, b := range l.batches {
		for _, g := range b.Groups {
			for _, m := range g.Samples {
				if m.Family.Name == family {
					out[m.Labels] += m.Value
				}
			}
		}
	}
	return out
}

// Flows have targets' names, and add up to what the target has sent.
func TestFlowsHaveNames(t *testing.T) {
	r := measureAll(t, "flow_*", "tcp_sent_bytes")
	path := "/" + unique("flows")
	dir := mkdir(t, r.host, path)
	w := startIn(t, dir)
	for range 10 {
		w.do("send 1000")
	}
	w.end()
	rmdir(t, dir)
	eventually(t, path+" to drain", func() bool { return r.gone(path) })
	var sent, connects uint64
	for labels, n := range r.flows("flow_sent_bytes") {
		if labels[0] != path {
			continue
		}
		if !strings.HasPrefix(labels[1], path+":") {
			t.Errorf("the server is %q, want the target itself with a port", labels[1])
		}
		sent += n
		connects += r.flows("flow_connects")[labels]
	}
	if total := r.sum(path, "tcp_sent_bytes"); sent != 10_000 || total != sent || connects != 10 {
		t.Errorf("flows sent %d bytes over %d connections, want 10000 over 10; the target sent %d", sent, connects, total)
	}
}

// Switched off and on, a target's flows begin anew: nothing is reported twice, and what
// is not read any more is not kept.
func TestFlowsSwitchedByPlan(t *testing.T) {
	r := measureAll(t, "flow_*")
	path := "/" + unique("flowsoff")
	dir := mkdir(t, r.host, path)
	w := startIn(t, dir)
	on := planOf(t, r.families, "flow_*")
	off := planOf(t, r.families, "tcp_sent_bytes")
	series := func() (n int) {
		err := r.do(func() error {
			for _, x := range r.tree.targets {
				if x.Cgroup == path {
					for k := range x.index {
						if isFlow(k.family) {
							n++
						}
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	apply := func(p policy.Plan) {
		t.Helper()
		if err := r.Apply(p); err != nil {
			t.Fatal(err)
		}
	}
	total := func() (n uint64) {
		for labels, v := range r.flows("flow_sent_bytes") {
			if labels[0] == path {
				n += v
			}
		}
		return n
	}
	for round := range uint64(3) {
		w.do("send 500")
		eventually(t, "the bytes to be reported", func() bool { return total() == 500*(round+1) })
		apply(off)
		eventually(t, "the flows' series to go", func() bool { return series() == 0 })
		w.do("send 7")
		before := r.count()
		eventually(t, "a window without flows", func() bool { return r.count() > before+1 })
		apply(on)
	}
	if got := total(); got != 1500 {
		t.Errorf("flows sent %d bytes while switched on, want 1500", got)
	}
	w.end()
	rmdir(t, dir)
}

// Targets that are renamed are told by their new name from then on, and no byte twice.
func TestFlowsFollowNames(t *testing.T) {
	r := measureAll(t, "flow_*")
	path := "/" + unique("flowsname")
	dir := mkdir(t, r.host, path)
	w := startIn(t, dir)
	w.do("send 500")
	sent := func(name string) (n uint64) {
		for labels, v := range r.flows("flow_sent_bytes") {
			if labels[0] == name {
				n += v
			}
		}
		return n
	}
	eventually(t, "the bytes to be reported", func() bool { return sent(path) == 500 })
	err := r.do(func() error {
		i := slices.IndexFunc(r.tree.targets, func(x *target) bool { return x.Cgroup == path })
		better := *r.tree.targets[i].Target
		better.Namespace, better.Pod, better.Container = "shop", "web-1", "nginx"
		r.tree.targets[i].Target = &better
		return r.tree.enforceOne(r.tree.targets[i], time.Now())
	})
	if err != nil {
		t.Fatal(err)
	}
	w.do("send 30")
	eventually(t, "the bytes under the new name", func() bool { return sent("shop/web-1/nginx") == 30 })
	if got := sent(path); got != 500 {
		t.Errorf("%d bytes under the old name, want 500", got)
	}
	w.end()
	rmdir(t, dir)
}
