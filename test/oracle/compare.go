package main

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/test/rig"
)

// An interval is what happened between two marks.
type interval struct {
	stage       *stage
	first, last *mark
	trace       said
	tools       map[string]tally
}

// ours is the increase of a family of a group, over all labels or for one; the
// count, of histograms.
func (i *interval) ours(group, family string, label ...string) (n float64) {
	path := i.stage.groups[group].Path
	of := func(m *mark, sign float64) {
		for k, v := range m.values {
			if k.Target == path && k.Family == family && (len(label) == 0 || k.Label == label[0]) {
				n += sign * v
			}
		}
		for k, h := range m.hists {
			if k.Target == path && k.Family == family {
				n += sign * float64(h.Count)
			}
		}
	}
	of(i.last, 1)
	of(i.first, -1)
	return n
}

// node is the increase of a family of the node.
func (i *interval) node(family string) (n float64) {
	for k, v := range i.last.values {
		if k.Target == string(metric.Node) && k.Family == family {
			n += v - i.first.values[k]
		}
	}
	return n
}

// hist is what came to a histogram of a group, or of everything under no name, over
// all labels.
func (i *interval) hist(group, family string) *rig.Hist {
	h := &rig.Hist{Buckets: map[float64]uint64{}}
	for k, x := range i.last.hists {
		if k.Family == family && (group == "" || k.Target == i.stage.groups[group].Path) {
			h.Merge(x, 1)
			if old := i.first.hists[k]; old != nil {
				h.Merge(old, -1)
			}
		}
	}
	return h
}

func (i *interval) theirs(group, what string) float64 {
	return i.last.others[group][what] - i.first.others[group][what]
}

// compare makes the table.
func (s *stage) compare(first, last *mark, t said, tools map[string]tally) (*report, error) {
	i, r := &interval{s, first, last, t, tools}, &report{}
	for _, server := range []string{"redis", "nginx"} {
		i.process(r, server)
		if err := i.latency(r, server); err != nil {
			return nil, err
		}
	}
	if err := i.traffic(r); err != nil {
		return nil, err
	}
	for _, family := range []string{"agent_missed_events", "agent_uncounted", "agent_dropped"} {
		r.add(row{family, i.node(family), 0, "nothing may be lost", 0, ""})
	}
	return r, errors.Join(i.crowd(r), i.disk(r))
}

// missing is the share of events for which the build kernel was seen not to run our
// programs, without counting a miss.
const (
	missing = 0.002
	unseen  = "events that the kernel showed no program of ours and counted no miss for (docs/decisions.md, 13)"
)

// process compares what /proc and the files of cgroups say.
func (i *interval) process(r *report, server string) {
	const wakes = "timers of the server between the two readings"
	for _, x := range []struct {
		family, label, what, oracle string
		within                      float64
	}{
		{"cpu_time", "", "run", "schedstat of all threads", 0.002},
		{"cpu_usage", "", "cpu usage", "cgroup file", 0.002},
		{"runq_delay", "", "wait", "schedstat of all threads", 0.002},
		{"timeslices", "", "slices", "schedstat of all threads", 10},
		{"context_switches", "voluntary", "voluntary", "status of all threads", 10},
		{"context_switches", "involuntary", "nonvoluntary", "status of all threads", 10},
		{"page_faults", "minor", "minor faults", "/proc/PID/stat", 0},
		{"syscall_io_bytes", "read", "rchar", "/proc/PID/io", 2000},
		{"syscall_io_bytes", "write", "wchar", "/proc/PID/io", 2000},
		{"syscall_io_calls", "read", "syscr", "/proc/PID/io", 10},
		{"syscall_io_calls", "write", "syscw", "/proc/PID/io", 10},
	} {
		ours := i.ours(server, x.family)
		name := server + " " + x.family
		if x.label != "" {
			ours, name = i.ours(server, x.family, x.label), name+" "+x.label
		}
		r.add(row{name, ours, i.theirs(server, x.what), x.oracle, x.within, wakes})
	}
	r.add(row{server + " runq_latency (count)", i.ours(server, "runq_latency"), i.ours(server, "timeslices"), "our timeslices",
		5 + missing*i.ours(server, "timeslices"), unseen})
}

// inode is the id of a cgroup.
func inode(dir string) (string, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return "", err
	}
	return strconv.FormatUint(info.Sys().(*syscall.Stat_t).Ino, 10), nil
}

// traffic compares bytes and counts with what bpftrace and the tools say.
func (i *interval) traffic(r *report) error {
	for _, name := range []string{"redis", "redis-load", "nginx", "nginx-load"} {
		id, err := inode(i.stage.groups[name].V2)
		if err != nil {
			return err
		}
		r.add(row{name + " tcp_sent_bytes", i.ours(name, "tcp_sent_bytes"), i.trace.sum("@sent", id), "bpftrace, results of sends", 0, ""})
		r.add(row{name + " tcp_received_bytes", i.ours(name, "tcp_received_bytes"), i.trace.sum("@received", id), "bpftrace, results of reads", 0, ""})
	}
	n, pages, clients := float64(i.stage.requests), float64(i.stage.pageLoads), float64(i.stage.clients)
	lines, err := lines(filepath.Join(i.stage.dir, "access.log"))
	if err != nil {
		return err
	}
	const config = "the tool asks for the configuration first, on a connection of its own"
	r.add(row{"redis requests", i.ours("redis", "requests"), n + 1, "redis-benchmark -n, and its CONFIG", 0, ""})
	r.add(row{"redis tcp_accepts", i.ours("redis", "tcp_accepts"), clients, "redis-benchmark -c", 1, config})
	r.add(row{"redis-load outbound_requests", i.ours("redis-load", "outbound_requests"), n + 1, "redis-benchmark -n, and its CONFIG", 0, ""})
	r.add(row{"nginx requests", i.ours("nginx", "requests"), pages, "the load's count", 0, ""})
	r.add(row{"nginx requests", i.ours("nginx", "requests"), lines, "lines of its access log", 0, ""})
	r.add(row{"nginx tcp_accepts", i.ours("nginx", "tcp_accepts"), clients, "the load's connections", 0, ""})
	r.add(row{"nginx-load tcp_connects", i.ours("nginx-load", "tcp_connects"), clients, "the load's connections", 0, ""})
	r.add(row{"nginx-load outbound_requests", i.ours("nginx-load", "outbound_requests"), pages, "the load's count", 0, ""})
	for _, side := range []struct{ group, family string }{{"redis", "protocol_requests"}, {"redis-load", "outbound_protocol_requests"}} {
		r.add(row{side.group + " " + side.family, i.ours(side.group, side.family), n + 2, "redis-benchmark -n, and two CONFIG", 0, ""})
	}
	r.add(row{"nginx protocol_requests", i.ours("nginx", "protocol_requests"), lines, "lines of its access log", 0, ""})
	r.add(row{"nginx-load outbound_protocol_requests", i.ours("nginx-load", "outbound_protocol_requests"), pages, "the load's count", 0, ""})
	return nil
}

func lines(file string) (float64, error) {
	b, err := os.ReadFile(file)
	n := 0.0
	for _, c := range b {
		if c == '\n' {
			n++
		}
	}
	return n, err
}

// disk compares IO with what fio and bpftrace say.
func (i *interval) disk(r *report) error {
	f := i.stage.fio
	const pages = "pages of fio itself are read too"
	id, err := inode(i.stage.groups["fio"].V2)
	if err != nil {
		return err
	}
	// What bpftrace's programs on the same hooks were not shown either: no program
	// knows of it, the accounts of the tasks do.
	hidden := func(op string) float64 {
		traced := i.trace["@bytes"][id][map[string]string{"read": "0", "write": "1"}[op]]
		return missing*f.Write.Bytes + max(0, i.ours("fio", "disk_bytes", op)-traced)
	}
	traced, bytes := i.trace.sum("@block", id), hidden("write")
	ios := bytes * f.Write.Ios / f.Write.Bytes
	r.add(row{"fio block_bytes write", i.ours("fio", "block_bytes", "write"), f.Write.Bytes, "fio", bytes, unseen})
	r.add(row{"fio block_requests write", i.ours("fio", "block_requests", "write"), f.Write.Ios, "fio", ios, unseen})
	r.add(row{"fio block_bytes read", i.ours("fio", "block_bytes", "read"), f.Read.Bytes, "fio", 16 << 20, pages})
	r.add(row{"fio block_requests read", i.ours("fio", "block_requests", "read"), f.Read.Ios, "fio", 500, pages})
	r.add(row{"fio block_bytes read", i.ours("fio", "block_bytes", "read"), i.ours("fio", "disk_bytes", "read"), "the tasks' own accounts (disk_bytes)", hidden("read"), unseen})
	n := i.ours("fio", "block_latency")
	r.add(row{"fio block_latency (count)", n, traced, "bpftrace, issue to complete", n / 50, "by who issued them: some requests are issued by others for it"})
	quantiles(r, "fio block_latency", i.hist("fio", "block_latency"), i.trace.hist("@block", id), "bpftrace, issue to complete")
	all := i.hist("", "block_latency")
	r.add(row{"every block_latency (count, at least)", float64(all.Count), min(float64(all.Count), float64(i.tools["biolatency"].of("").Count)), "biolatency", n / 50, unseen})
	octaves(r, "every block_latency", all, i.tools["biolatency"].of(""), "biolatency")
	return nil
}
