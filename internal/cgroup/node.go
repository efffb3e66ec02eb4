package cgroup

import (
	"bytes"

	"viperprobe.dev/viperprobe/internal/metric"
)

const tick = 1e9 / 100 // ns of a USER_HZ tick, which is 100 a second on every architecture we build for

// nodeSources are the files of the whole machine, below its root.
var nodeSources = []source{
	{file: "proc/stat", parse: parseCPUs, fields: []field{
		{key: "usage", family: "cpu_usage", scale: tick},
		{key: "user", family: "cpu_user", scale: tick},
		{key: "system", family: "cpu_system", scale: tick},
	}},
	{file: "sys/devices/system/cpu/online", rhythm: rarely, parse: parseOnline, fields: one("cpu_limit")},
	{file: "proc/meminfo", parse: parseMeminfo, fields: []field{
		{key: "used", family: "memory_current_bytes", scale: 1024},
		{key: "anon", family: "memory_anon_bytes", scale: 1024},
		{key: "file", family: "memory_file_bytes", scale: 1024},
		{key: "working", family: "memory_working_set_bytes", scale: 1024},
		{key: "swap", family: "memory_swap_bytes", scale: 1024},
		{key: "total", family: "memory_limit_bytes", scale: 1024},
	}},
	{file: "proc/vmstat", parse: parseFlat, fields: []field{
		{key: "workingset_refault_anon", family: "memory_refaults", label: "anon", scale: 1},
		{key: "workingset_refault_file", family: "memory_refaults", label: "file", scale: 1},
		{key: "workingset_refault", family: "memory_refaults", label: "file", scale: 1},
		{key: "oom_kill", family: "memory_oom_kills", scale: 1},
	}},
	{file: "proc/diskstats", parse: parseDisks, fields: []field{
		{key: "rsectors", family: "io_bytes", label: "read", scale: sector},
		{key: "wsectors", family: "io_bytes", label: "write", scale: sector},
		{key: "dsectors", family: "io_bytes", label: "discard", scale: sector},
		{key: "rios", family: "io_operations", label: "read", scale: 1},
		{key: "wios", family: "io_operations", label: "write", scale: 1},
		{key: "dios", family: "io_operations", label: "discard", scale: 1},
	}},
	{file: "proc/loadavg", parse: parseTasks, fields: one("pids")},
	{file: "proc/sys/kernel/pid_max", rhythm: rarely, parse: parseSingle, fields: one("pids_limit")},
	{file: "proc/1/net/dev", parse: parseInterfaces, fields: interfaceFields},
	{file: "proc/pressure/cpu", parse: parsePressure, fields: stalls("psi_cpu")},
	{file: "proc/pressure/memory", parse: parsePressure, fields: stalls("psi_memory")},
	{file: "proc/pressure/io", parse: parsePressure, fields: stalls("psi_io")},
}

const sector = 512 // bytes of a sector in /proc/diskstats, whatever the disk has

// parseCPUs reads the first line of /proc/stat: user nice system idle iowait irq
// softirq ...; guest time is in user already, and stolen time nobody here used.
func parseCPUs(text []byte, o *opened, f *Files, dst []metric.Reading) ([]metric.Reading, error) {
	line, _ := cut(text, '\n')
	name, rest := word(line)
	var c [7]uint64
	if n := columns(rest, c[:]); string(name) != "cpu" || n < len(c) {
		return dst, o.garbled(nil, line)
	}
	user, system := c[0]+c[1], c[2]+c[5]+c[6]
	return f.putKeyed(o, "", dst, func(key string) uint64 {
		switch key {
		case "user":
			return user
		case "system":
			return system
		}
		return user + system
	})
}

// parseOnline counts a list such as "0-3,8" into ns of CPU time per second.
func parseOnline(text []byte, o *opened, f *Files, dst []metric.Reading) ([]metric.Reading, error) {
	var cpus uint64
	for list := bytes.TrimSpace(text); len(list) > 0; {
		var span []byte
		span, list = cut(list, ',')
		from, to := cut(span, '-')
		if to == nil {
			to = from
		}
		a, ok := number(from)
		b, also := number(to)
		if !ok || !also || b < a || b > 1<<16 {
			return dst, o.garbled(nil, text)
		}
		cpus += b - a + 1
	}
	return f.putAll(o, cpus*1e9, dst)
}

// parseMeminfo reads "Name:  12 kB" and reckons as cgroups do.
func parseMeminfo(text []byte, o *opened, f *Files, dst []metric.Reading) ([]metric.Reading, error) {
	var total, free, anon, cached, buffers, inactive, swap, swapFree uint64
	for len(text) > 0 {
		var line []byte
		line, text = cut(text, '\n')
		name, rest := cut(line, ':')
		var to *uint64
		switch string(name) {
		case "MemTotal":
			to = &total
		case "MemFree":
			to = &free
		case "AnonPages":
			to = &anon
		case "Cached":
			to = &cached
		case "Buffers":
			to = &buffers
		case "Inactive(file)":
			to = &inactive
		case "SwapTotal":
			to = &swap
		case "SwapFree":
			to = &swapFree
		default:
			continue
		}
		value, _ := word(rest)
		v, ok := number(value)
		if !ok {
			return dst, o.garbled(name, rest)
		}
		*to = v
	}
	used := total - min(free, total)
	return f.putKeyed(o, "", dst, func(key string) uint64 {
		switch key {
		case "used":
			return used
		case "anon":
			return anon
		case "file":
			return cached + buffers
		case "working":
			return used - min(inactive, used)
		case "swap":
			return swap - min(swapFree, swap)
		}
		return total
	})
}

// parseDisks reads /proc/diskstats, leaving out partitions, which their disks
// count, and disks that have never been used.
func parseDisks(text []byte, o *opened, f *Files, dst []metric.Reading) ([]metric.Reading, error) {
	var fault error
	for len(text) > 0 {
		var line []byte
		line, text = cut(text, '\n')
		major, rest := word(line)
		minor, rest := word(rest)
		_, rest = word(rest)
		a, ok := number(major)
		b, also := number(minor)
		var c [15]uint64
		n := columns(rest, c[:])
		if !ok || !also || a >= 1<<32 || b >= 1<<32 || n < 7 {
			fault = o.garbled(nil, line)
			continue
		}
		disk := f.host.device(uint32(a), uint32(b))
		if disk.part || c[0]+c[4]+c[11] == 0 {
			continue
		}
		var err error
		if dst, err = f.putKeyed(o, disk.name, dst, func(key string) uint64 { return c[diskColumn(key)] }); err != nil {
			fault = err
		}
	}
	return dst, fault
}

// diskColumn is where a value is after a disk's name.
func diskColumn(key string) int {
	switch key {
	case "rios":
		return 0
	case "rsectors":
		return 2
	case "wios":
		return 4
	case "wsectors":
		return 6
	case "dios":
		return 11
	}
	return 13 // dsectors
}

// parseTasks reads the fourth word of /proc/loadavg, "running/all".
func parseTasks(text []byte, o *opened, f *Files, dst []metric.Reading) ([]metric.Reading, error) {
	rest := text
	var w []byte
	for range 4 {
		w, rest = word(rest)
	}
	_, all := cut(w, '/')
	v, ok := number(all)
	if !ok {
		return dst, o.garbled(nil, text)
	}
	return f.putAll(o, v, dst)
}

// columns reads numbers until there are no more, and says how many it read.
func columns(b []byte, into []uint64) int {
	for i := range into {
		var w []byte
		w, b = word(b)
		v, ok := number(w)
		if !ok {
			return i
		}
		into[i] = v
	}
	return len(into)
}

// putKeyed gives each wanted field the value of its key.
func (f *Files) putKeyed(o *opened, disk string, dst []metric.Reading, value func(string) uint64) ([]metric.Reading, error) {
	var fault error
	for i := range o.fields {
		if o.wanted[i] != nil {
			dst, fault = f.put(o, i, disk, value(o.fields[i].key), dst, fault)
		}
	}
	return dst, fault
}
