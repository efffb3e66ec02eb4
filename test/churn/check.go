package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/test/rig"
)

// account checks every cgroup and container: its bytes and connections, that it
// has its name, and that its end was reported.
func (c *churn) account(l *rig.Ledger) error {
	var faults []error
	fail := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	exact, slices, waits := 0, map[metric.TargetKind]float64{}, map[metric.TargetKind]float64{}
	c.paths(func(path string, s share, kind metric.TargetKind) {
		bad := len(faults)
		n, m := float64(s.bytes), float64(s.connections)
		for family, want := range map[string]float64{
			"tcp_sent_bytes": n, "tcp_received_bytes": n, "tcp_connects": m, "tcp_accepts": m, "tcp_closes": 2 * m, "tcp_connect_latency": m,
		} {
			if got := l.Sum(path, family); got != want {
				fail("%s of %s: %v, want %v", family, path, got, want)
			}
		}
		t := l.Targets[path]
		if t.Kind != kind || t.Cgroup != path || !l.Ended[path] {
			fail("%s: a target of kind %q in %q, ended: %t; want kind %q", path, t.Kind, t.Cgroup, l.Ended[path], kind)
		}
		if kind == metric.Container && (t.Runtime != "runc" || "/"+t.Container != path) {
			fail("%s: named %q, of runtime %q", path, t.Container, t.Runtime)
		}
		if l.Sum(path, "cpu_time") == 0 {
			fail("%s has taken no CPU time", path)
		}
		slices[kind] += l.Sum(path, "timeslices")
		waits[kind] += l.Sum(path, "runq_latency")
		if len(faults) == bad {
			exact++
		}
	})
	fmt.Printf("churn: %d of %d exact in bytes, connections and name\n", exact, c.groups+c.containers)
	for _, kind := range []metric.TargetKind{metric.Plain, metric.Container} {
		fmt.Printf("churn: run queue waits of kind %s: %.0f seen of %.0f\n", kind, waits[kind], slices[kind])
	}
	const shown = 20
	if len(faults) > shown {
		faults = append(faults[:shown], fmt.Errorf("and %d more", len(faults)-shown))
	}
	return errors.Join(faults...)
}

// sums checks that the targets, the remainder among them, add up to what the
// kernel counted for its first network namespace. opens are that count before and
// after the agent's start, and before and after its end. Targets that are not ours
// may have had connections in namespaces of their own.
func (c *churn) sums(l *rig.Ledger, opens []float64) error {
	all := l.Total("tcp_connects") + l.Total("tcp_connect_failures")
	ours := 0.0
	c.paths(func(path string, _ share, _ metric.TargetKind) { ours += l.Sum(path, "tcp_connects") })
	least, most := opens[2]-opens[1], opens[3]-opens[0]
	fmt.Printf("churn: connections opened: %.0f by all targets, %.0f of them by ours, %.0f by the remainder; the kernel counted %.0f to %.0f\n",
		all, ours, l.Sum("remainder", "tcp_connects"), least, most)
	if all < least || ours > most {
		return fmt.Errorf("all targets opened %.0f connections, ours %.0f, and the kernel counted %.0f to %.0f", all, ours, least, most)
	}
	return nil
}

// losses checks that the agent had room and time for everything.
func losses(l *rig.Ledger) error {
	var faults []error
	for k, v := range l.Values {
		if v > 0 && (k.Family == "agent_dropped" || k.Family == "agent_missed_events" || k.Family == "agent_uncounted") {
			faults = append(faults, fmt.Errorf("%s %q: %v", k.Family, k.Label, v))
		}
	}
	for _, f := range l.Faults {
		faults = append(faults, fmt.Errorf("fault in a batch: %s", f))
	}
	return errors.Join(faults...)
}

// A holding is what the agent holds in the kernel for targets: slots beyond those
// of the targets that there are, and cgroups.
type holding struct {
	slots  int
	groups map[uint64]bool
}

func look(a *rig.Agent) (holding, error) {
	h := holding{groups: map[uint64]bool{}}
	a.Look(func(l *rig.Ledger) { h.slots -= int(l.Sum("node", "agent_targets")) })
	slots, err := a.Dump("vp_slots")
	if err != nil {
		return h, err
	}
	for _, s := range slots {
		if on, _ := s.Formatted.Value["on"].(float64); on != 0 {
			h.slots++
		}
	}
	groups, err := a.Dump("vp_cgroups")
	for _, g := range groups {
		var id uint64
		err = errors.Join(err, json.Unmarshal(g.Formatted.Key, &id))
		h.groups[id] = true
	}
	return h, err
}

// same checks that everything was given back.
func (c *churn) same(before, after holding, l *rig.Ledger) error {
	kept := 0
	c.paths(func(path string, _ share, _ metric.TargetKind) {
		if after.groups[l.Targets[path].CgroupID] {
			kept++
		}
	})
	fmt.Printf("churn: slots in use beyond the targets: %d before, %d after; of our cgroups the kernel side still knows %d\n", before.slots, after.slots, kept)
	if before.slots != after.slots || kept > 0 {
		return errors.New("not all slots and cgroups were given back")
	}
	return nil
}

// snmp is a counter of this network namespace.
func snmp(protocol, name string) (float64, error) {
	b, err := os.ReadFile("/proc/net/snmp")
	if err != nil {
		return 0, err
	}
	var names []string
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		if fields[0] != protocol {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		for i, n := range names {
			if n == name && i < len(fields) {
				return strconv.ParseFloat(fields[i], 64)
			}
		}
	}
	return 0, fmt.Errorf("/proc/net/snmp has no %s %s", protocol, name)
}
