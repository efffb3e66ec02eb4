package cgroup

// A source is a file that serves families.
type source struct {
	file       string // below the cgroup's directory, or below the host's root for the node
	with       string // a second file, whose content is put behind the first's
	controller string // whose hierarchy has it; "" for files that v2 has without any
	rhythm     rhythm
	parse      parser
	fields     []field
}

// A field is one value of a file and what becomes of it.
type field struct {
	key    string // as the file has it; "" where there is but one
	family string
	label  string // value of the family's operation or page label
	scale  uint64 // raw units of one unit of the file
	use    use
}

// use says what a value is for.
type use int

const (
	emit     use = iota
	activity     // emit; while it stands still nothing ran
	pressed      // emit; it counts charges that met the limit
	remember     // keep as the current memory
	less         // emit the current memory less the value
)

// rhythm is how often a file is read. In between, what was read last is given
// out again.
type rhythm int

const (
	// always is for what says whether a target is active, and for what changes
	// without it: written-back pages, a wait for IO that goes on.
	always rhythm = iota
	// whenActive is for what only a running task changes. While neither CPU time
	// nor current memory moved it is read every tenth time, for the rest: pages
	// that change lists, processes that are moved in.
	whenActive
	// whenCharged is for memory.stat, the dearest file. While current memory stands
	// still, and no charge met the limit, it is read every tenth time: charges of
	// less than the kernel's batch (64 pages a CPU) and pages that change lists
	// show late. Where that is not known it is whenActive.
	whenCharged
	// rarely is every tenth time, for limits.
	rarely
)

const rareEvery = 10

const usec = 1000 // nanoseconds

// sources lists the files of one cgroup on this host, in the order of reading:
// what others build on comes first.
func (h *Host) sources() []source {
	list := []source{{file: "cpu.stat", parse: parseFlat, fields: cpuTime}}
	for _, c := range []struct {
		controller string
		v1, v2     []source
	}{
		{"cpu", h.cpuV1(), cpuV2},
		{"memory", memoryV1, memoryV2},
		{"blkio", h.ioV1(), ioV2},
		{"pids", pids, pids},
	} {
		if h.V1[c.controller] != "" {
			list = append(list, c.v1...)
		} else {
			list = append(list, c.v2...)
		}
	}
	if h.V1["cpu"] == "" {
		list[0].fields = append(list[0].fields[:len(cpuTime):len(cpuTime)], throttling("throttled_usec", usec)...)
	}
	return append(list, pressures...)
}

var cpuTime = []field{
	{key: "usage_usec", family: "cpu_usage", scale: usec, use: activity},
	{key: "user_usec", family: "cpu_user", scale: usec},
	{key: "system_usec", family: "cpu_system", scale: usec},
}

func throttling(time string, scale uint64) []field {
	return []field{
		{key: "nr_periods", family: "cpu_periods", scale: 1},
		{key: "nr_throttled", family: "cpu_throttled_periods", scale: 1},
		{key: time, family: "cpu_throttled_time", scale: scale},
	}
}

var cpuV2 = []source{
	{file: "cpu.max", controller: "cpu", rhythm: rarely, parse: parseQuota, fields: one("cpu_limit")},
	{file: "cpu.weight", controller: "cpu", rhythm: rarely, parse: parseWeight, fields: one("cpu_request")},
}

func (h *Host) cpuV1() []source {
	return []source{
		{file: "cpu.stat", controller: "cpu", rhythm: whenActive, parse: parseFlat, fields: throttling("throttled_time", 1)},
		{file: "cpu.cfs_quota_us", with: "cpu.cfs_period_us", controller: "cpu", rhythm: rarely, parse: parseQuota, fields: one("cpu_limit")},
		{file: "cpu.shares", controller: "cpu", rhythm: rarely, parse: parseShares, fields: one("cpu_request")},
	}
}

var memoryNow = []field{
	{family: "memory_current_bytes", scale: 1},
	{family: "memory_working_set_bytes", scale: 1, use: remember},
}

var memoryV2 = []source{
	{file: "memory.current", controller: "memory", parse: parseSingle, fields: memoryNow},
	{file: "memory.swap.current", controller: "memory", rhythm: whenActive, parse: parseSingle, fields: one("memory_swap_bytes")},
	{file: "memory.events", controller: "memory", rhythm: whenActive, parse: parseFlat, fields: []field{
		{key: "high", family: "memory_high_events", scale: 1},
		{key: "max", family: "memory_max_events", scale: 1, use: pressed},
		{key: "oom_kill", family: "memory_oom_kills", scale: 1},
	}},
	{file: "memory.stat", controller: "memory", rhythm: whenCharged, parse: parseFlat, fields: memoryStat("")},
	{file: "memory.max", controller: "memory", rhythm: rarely, parse: parseLimit, fields: one("memory_limit_bytes")},
}

var memoryV1 = []source{
	{file: "memory.usage_in_bytes", controller: "memory", parse: parseSingle, fields: memoryNow},
	{file: "memory.failcnt", controller: "memory", rhythm: whenActive, parse: parseSingle, fields: []field{
		{family: "memory_max_events", scale: 1, use: pressed},
	}},
	{file: "memory.stat", controller: "memory", rhythm: whenCharged, parse: parseFlat, fields: append(memoryStat("total_"),
		field{key: "total_swap", family: "memory_swap_bytes", scale: 1})},
	{file: "memory.oom_control", controller: "memory", rhythm: whenActive, parse: parseFlat, fields: []field{
		{key: "oom_kill", family: "memory_oom_kills", scale: 1},
	}},
	{file: "memory.limit_in_bytes", controller: "memory", rhythm: rarely, parse: parseLimit, fields: one("memory_limit_bytes")},
}

// memoryStat are the keys of memory.stat. Refaults of anonymous pages are
// counted apart since Linux 5.9; the older single key is of files.
func memoryStat(prefix string) []field {
	anon, file := prefix+"anon", prefix+"file"
	if prefix != "" {
		anon, file = prefix+"rss", prefix+"cache"
	}
	return []field{
		{key: anon, family: "memory_anon_bytes", scale: 1},
		{key: file, family: "memory_file_bytes", scale: 1},
		{key: prefix + "inactive_file", family: "memory_working_set_bytes", scale: 1, use: less},
		{key: prefix + "workingset_refault_anon", family: "memory_refaults", label: "anon", scale: 1},
		{key: prefix + "workingset_refault_file", family: "memory_refaults", label: "file", scale: 1},
		{key: prefix + "workingset_refault", family: "memory_refaults", label: "file", scale: 1},
	}
}

var ioV2 = []source{{file: "io.stat", controller: "blkio", parse: parseIO, fields: []field{
	{key: "rbytes", family: "io_bytes", label: "read", scale: 1},
	{key: "wbytes", family: "io_bytes", label: "write", scale: 1},
	{key: "dbytes", family: "io_bytes", label: "discard", scale: 1},
	{key: "rios", family: "io_operations", label: "read", scale: 1},
	{key: "wios", family: "io_operations", label: "write", scale: 1},
	{key: "dios", family: "io_operations", label: "discard", scale: 1},
}}}

// ioV1 reads the counts of the layer that keeps them: the bfq scheduler where a
// disk has it, else the throttling layer. On v1 pages are written back for
// nobody's account, so that only a running task's IO counts.
func (h *Host) ioV1() []source {
	layer := "blkio.throttle."
	if h.bfq {
		layer = "blkio.bfq."
	}
	by := func(family string) []field {
		return []field{
			{key: "Read", family: family, label: "read", scale: 1},
			{key: "Write", family: family, label: "write", scale: 1},
			{key: "Discard", family: family, label: "discard", scale: 1},
		}
	}
	return []source{
		{file: layer + "io_service_bytes_recursive", controller: "blkio", rhythm: whenActive, parse: parseIOv1, fields: by("io_bytes")},
		{file: layer + "io_serviced_recursive", controller: "blkio", rhythm: whenActive, parse: parseIOv1, fields: by("io_operations")},
	}
}

var pids = []source{
	{file: "pids.current", controller: "pids", rhythm: whenActive, parse: parseSingle, fields: one("pids")},
	{file: "pids.max", controller: "pids", rhythm: rarely, parse: parseLimit, fields: one("pids_limit")},
}

var pressures = []source{
	{file: "cpu.pressure", rhythm: whenActive, parse: parsePressure, fields: stalls("psi_cpu")},
	{file: "memory.pressure", rhythm: whenActive, parse: parsePressure, fields: stalls("psi_memory")},
	{file: "io.pressure", parse: parsePressure, fields: stalls("psi_io")},
}

func stalls(family string) []field {
	return []field{
		{key: "some", family: family + "_some", scale: usec},
		{key: "full", family: family + "_full", scale: usec},
	}
}

func one(family string) []field { return []field{{family: family, scale: 1}} }
