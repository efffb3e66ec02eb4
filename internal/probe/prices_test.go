package probe

import (
	"errors"
	"flag"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/metric"
)

// pricesFile is the catalogue's table of prices, which BenchmarkPrices then updates.
var pricesFile = flag.String("prices", "", "table of prices to update (BenchmarkPrices)")

// A load makes events of some families: what it returns makes them, and may be called
// again.
type load struct {
	each     string // what one event is
	ends     int    // of it that pass the programs and are in the load; 0: one
	families []string
	start    func(b *testing.B, s *Set, g *group) func()
}

// like are families of which this machine gives no load: they cost what another does.
var like = map[string]struct{ family, each string }{
	"oom_victims":         {"signals", "OOM kill"},
	"writeback_stall":     {"reclaim_latency", "stall"},
	"block_errors":        {"block_requests", "block request"},
	"block_device_errors": {"block_requests", "block request"},
	"interrupts":          {"softirqs", "interrupt"},
	"cpu_cycles":          {"runq_wait", "switch"}, // and a read of the counter
	"cpu_instructions":    {"runq_wait", "switch"},
	"llc_misses":          {"runq_wait", "switch"},
	"page_fault_latency":  {"reclaim_latency", "fault"}, // two programs, storage, two clocks
	// Flows are counted all together, whichever of them are wanted.
	"flow_sent_bytes":       {"flow_connects", "connection"},
	"flow_received_bytes":   {"flow_connects", "connection"},
	"flow_retransmits":      {"flow_connects", "connection"},
	"flow_connect_failures": {"flow_connects", "failed connection"},
	"flow_connect_time":     {"flow_connects", "connection"},
	"flow_connections":      {"flow_connects", "connection"},
	"flow_srtt":             {"flow_connects", "connection"},
}

// by is a load that one worker in the group makes by commands.
func by(commands ...string) func(*testing.B, *Set, *group) func() {
	return func(b *testing.B, _ *Set, g *group) func() {
		w := startWorker(b, workerOptions{Cgroup: g})
		return func() {
			for _, c := range commands {
				w.do("%s", c)
			}
		}
	}
}

func loads() []load {
	return []load{
		{"switch", 2, []string{"runq_latency", "runq_wait", "oncpu_slice", "offcpu_time"}, by("sleep 30000 1000")},
		{"fault", 1, []string{"user_faults"}, by("fault user 5000", "fault user 5000", "fault user 5000")},
		{"fault", 1, []string{"kernel_faults"}, by("fault kernel 5000", "fault kernel 5000", "fault kernel 5000")},
		{"TLB flush", 1, []string{"tlb_flushes", "tlb_flushes_received"}, by("shoot 30000")},
		{"syscall", 1, []string{"syscalls", "syscall_latency"}, by("write 100000 1")},
		{"failed syscall", 1, []string{"syscall_errors"}, by("calls 5000")},
		{"file call", 1, []string{"file_latency"}, fileCalls},
		{"futex wait", 1, []string{"futex_wait"}, by("futex 10000 1000")},
		{"softirq", 1, []string{"softirq_time", "softirqs"}, by("echo 4 20000 100")},
		{"datagram", 1, []string{"udp_bytes", "udp_datagrams"}, by("echo 4 20000 100")},
		{"DNS query", 1, dnsNames, func(b *testing.B, _ *Set, g *group) func() {
			w := startWorker(b, workerOptions{Cgroup: g, NewNet: true})
			w.do("dns bind u 4 53")
			w.do("dns open c 4 1")
			return func() { w.do("dns both c u 10000 3") }
		}},
		{"unix message", 1, unixNames, by("unix pair 1 20000 100")},
		{"unix request", 1, unixRequestNames[:2], unixRequests}, // both ends are in the target
		{"unix request", 2, unixRequestNames[2:], unixRequests},
		{"process", 1, []string{"forks", "exits", "exit_codes"}, by("fork 1000 0")},
		{"process", 1, []string{"execs"}, by("children 50 end,0")},
		{"signal", 1, []string{"signals"}, by("fork 1000 0")},
		{"cached page", 1, []string{"page_cache_lookups"}, pages},
		{"new page", 1, []string{"page_cache_misses"}, pages},
		{"block request", 1, []string{"block_latency", "block_queue_latency", "block_size", "block_bytes", "block_requests", "block_device_latency", "block_device_queue_latency", "block_device_size"}, blocks},
		{"reclaim", 1, []string{"reclaim_latency", "reclaimed_pages"}, reclaimed},
		{"connection", 2, []string{"tcp_accepts", "tcp_connects", "tcp_closes", "tcp_connect_latency", "tcp_lifetime", "tcp_rtt", "flow_connects"}, connections},
		{"failed connection", 1, []string{"tcp_connect_failures", "tcp_resets"}, refusals},
		{"dropped packet", 1, []string{"packet_drops", "udp_drops"}, overflow},
		{"dropped packet", 1, []string{"node_packet_drops"}, unwanted},
		{"app call", 1, []string{"app_calls"}, appCalls(false)},
		{"app call", 1, []string{"app_latency"}, appCalls(true)},
		{"request", 2, requestNames, redisRequests},
		{"request", 2, protocolNames, redisRequests},
	}
}

func redisRequests(b *testing.B, _ *Set, g *group) func() {
	port := startRedis(b, g)
	return func() { redisBenchmark(b, g, "-p", port, 50000) }
}

func fileCalls(b *testing.B, _ *Set, g *group) func() {
	w := startWorker(b, workerOptions{Cgroup: g})
	file := holeFile(b, 30000*4096)
	return func() { w.do("pages read %s 30000", file) }
}

func pages(b *testing.B, _ *Set, g *group) func() {
	w := startWorker(b, workerOptions{Cgroup: g})
	file := holeFile(b, 30000*4096)
	return func() {
		w.do("pages drop %s", file)
		w.do("pages read %s 30000", file)
		w.do("pages read %s 30000", file)
	}
}

func blocks(b *testing.B, _ *Set, g *group) func() {
	d := testDisk(b)
	w := startWorker(b, workerOptions{Cgroup: g})
	return func() {
		for range 10 {
			w.do("disk write %s 500 4096", d.path)
		}
	}
}

func reclaimed(b *testing.B, _ *Set, g *group) func() {
	w := startWorker(b, workerOptions{Cgroup: g})
	file := holeFile(b, 48<<20)
	limitMemory(b, g, w, 8<<20)
	return func() { w.do("cache %s", file); w.do("cache %s", file) }
}

func connections(b *testing.B, _ *Set, g *group) func() {
	server, client := startWorker(b, workerOptions{Cgroup: g}), startWorker(b, workerOptions{Cgroup: g})
	at := server.do("listen l 4 128")["port"]
	return func() {
		server.tell("serve l 2000")
		client.do("many 2000 1 4 %d", at)
		server.answer()
	}
}

func unixRequests(b *testing.B, _ *Set, g *group) func() {
	server, client := startWorker(b, workerOptions{Cgroup: g}), startWorker(b, workerOptions{Cgroup: g})
	pid := server.do("unix listen l %d", unix.SOCK_STREAM)["pid"]
	client.do("unix connect c %d %d l", unix.SOCK_STREAM, pid)
	server.tell("turn serve l 1 0 0")
	return func() { client.do("turn ask c 20000 1") }
}

func refusals(b *testing.B, _ *Set, g *group) func() {
	w := startWorker(b, workerOptions{Cgroup: g})
	at := w.do("listen l 4 128")["port"]
	w.do("close l")
	return func() { w.do("refused 3000 4 %d", at) }
}

// overflow sends datagrams to a socket that nobody reads, and that is full soon.
func overflow(b *testing.B, _ *Set, g *group) func() {
	w := startWorker(b, workerOptions{Cgroup: g})
	at := w.do("udp u 4096")["port"]
	return func() { w.do("datagrams 20000 100 %d", at) }
}

// unwanted sends datagrams to a port where there is no socket.
func unwanted(b *testing.B, _ *Set, g *group) func() {
	w := startWorker(b, workerOptions{Cgroup: g})
	at := w.do("udp u 100000")["port"]
	w.do("close u")
	return func() { w.do("datagrams 20000 10 %d", at) }
}

// BenchmarkPrices measures what an event of each family costs, alone on its hooks:
// the catalogue's table (`make prices`).
func BenchmarkPrices(b *testing.B) {
	var rows []catalogue.PriceRow
	for _, l := range loads() {
		for _, name := range l.families {
			b.Run(name, func(b *testing.B) {
				rows = append(rows, priceOf(b, l, name))
				b.ReportMetric(rows[len(rows)-1].Ns, "ns/event")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
	rows = append(rows, constantPrices(b)...)
	for name, other := range like {
		if i := slices.IndexFunc(rows, func(r catalogue.PriceRow) bool { return r.Family == other.family }); i >= 0 {
			rows = append(rows, catalogue.PriceRow{Family: name, Each: other.each, Ns: rows[i].Ns, How: "as " + other.family})
		}
	}
	for each, names := range map[string][]string{"task": taskNames, "socket": socketNames[:11]} {
		b.Run(each, func(b *testing.B) {
			ns := passPrice(b, each, names)
			rows = append(rows, catalogue.PriceRow{Family: each, Each: each, Ns: ns, How: "measured"})
			b.ReportMetric(ns, "ns/"+each)
			b.ReportMetric(0, "ns/op")
		})
	}
	if *pricesFile != "" {
		if err := catalogue.UpdatePrices(*pricesFile, rows); err != nil {
			b.Fatal(err)
		}
	}
}

// constantPrices are what a run costs, whatever the program does.
func constantPrices(b *testing.B) (rows []catalogue.PriceRow) {
	for _, c := range []struct {
		name, each string
		measure    func() (float64, error)
	}{
		{catalogue.ClockRow, "run", func() (float64, error) {
			stats, err := ebpf.EnableStats(0)
			if err != nil {
				return 0, err
			}
			defer stats.Close()
			return statisticsBill()
		}},
		{catalogue.EntryRow, "run", func() (float64, error) { return entryPrice(b), nil }},
		{catalogue.TrapRow, "hit", func() (float64, error) {
			took, err := MeasureTrap()
			return float64(took), err
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			ns, err := c.measure()
			if err != nil {
				b.Fatal(err)
			}
			rows = append(rows, catalogue.PriceRow{Family: c.name, Each: c.each, Ns: ns, How: "measured"})
			b.ReportMetric(ns, "ns/"+c.each)
			b.ReportMetric(0, "ns/op")
		})
	}
	return rows
}

// entryPrice is what one more empty program takes from a system call, of which
// the statistics see nothing: the least of some differences, beside which others are
// held up.
func entryPrice(b *testing.B) float64 {
	const rounds, calls = 15, 100_000
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	spec := emptyProgram(ebpf.Tracing)
	spec.AttachType, spec.AttachTo = ebpf.AttachTraceRawTp, "sys_enter"
	call := func() float64 {
		began := ThreadTime()
		for range calls {
			unix.RawSyscall(unix.SYS_GETPPID, 0, 0, 0)
		}
		return float64(ThreadTime()-began) / calls
	}
	var least [2]float64 // with one program, and with two
	for round := range rounds {
		var links []link.Link
		for n := range least {
			p, err := ebpf.NewProgram(spec)
			if err != nil {
				b.Fatal(err)
			}
			l, err := link.AttachTracing(link.TracingOptions{Program: p})
			if err := errors.Join(err, p.Close()); err != nil {
				b.Fatal(err)
			}
			links = append(links, l)
			if took := call(); round == 0 || took < least[n] {
				least[n] = took
			}
		}
		for _, l := range links {
			l.Close()
		}
	}
	return least[1] - least[0]
}

type ran struct {
	runs uint64
	time time.Duration
}

// statistics are what the kernel says of the programs of a set.
func statistics(s *Set) map[string]ran {
	out := map[string]ran{}
	s.eachProgram(func(_ *ebpf.Collection, name string, st *ebpf.ProgramStats) { out[name] = ran{st.RunCount, st.Runtime} })
	return out
}

// priceOf measures one family: a load with the gate closed, then with it open.
func priceOf(b *testing.B, l load, name string) catalogue.PriceRow {
	s := want(b, name)
	f := find(b, s, name)[0]
	g := newGroup(b, nil)
	tg := newTarget(b, s, []string{name}, g)
	slot := tg.slot
	if f.Owner == metric.OwnerNode || f.Owner == metric.OwnerBio {
		slot = NodeSlot
	}
	run := l.start(b, s, g)
	stats, err := ebpf.EnableStats(0)
	if err != nil {
		b.Fatal(err)
	}
	defer stats.Close()
	var times [2]map[string]ran
	var events uint64
	for gate := range 2 { // closed, open
		on := tg.families[:gate]
		for _, at := range []uint32{tg.slot, slot} {
			if err := s.Switch(at, on); err != nil {
				b.Fatal(err)
			}
		}
		before, counted := statistics(s), eventsOf(b, s, f, tg.slot, slot)
		run()
		times[gate] = statistics(s)
		for p, t := range before {
			now := times[gate][p]
			times[gate][p] = ran{now.runs - t.runs, now.time - t.time}
		}
		events = eventsOf(b, s, f, tg.slot, slot) - counted
	}
	row := catalogue.PriceRow{Family: name, Each: l.each, How: "measured"}
	if events == 0 {
		b.Fatalf("the load has no event of %s", name)
	}
	ends := float64(max(1, l.ends))
	if f.Kind == metric.Counter && f.Unit != metric.One {
		ends = 1 // its events are runs
	}
	for _, p := range s.objects[f.Object].rungs[f] {
		closed, open := times[0][p], times[1][p]
		if s.objects[f.Object].iters[p] != nil || open.runs == 0 {
			continue
		}
		price := metric.Price{Program: p, Open: mean(open), Closed: mean(closed), Runs: float64(open.runs) / float64(events) / ends}
		row.Programs = append(row.Programs, price)
		row.Ns += price.Open * price.Runs
	}
	return row
}

func mean(r ran) float64 { return float64(r.time) / float64(max(1, r.runs)) }

// eventsOf counts what slots have of a family; one that counts bytes, time or pages has
// an event for each run of the program that runs most.
func eventsOf(b *testing.B, s *Set, f *metric.Family, slots ...uint32) (n uint64) {
	if err := s.Tick(); err != nil { // learns the names of devices
		b.Fatal(err)
	}
	if f.Kind == metric.Counter && f.Unit != metric.One || f.Name == "reclaimed_pages" {
		st := statistics(s)
		for _, p := range s.objects[f.Object].rungs[f] {
			n = max(n, st[p].runs)
		}
		return n
	}
	if f.Keyed() {
		_ = s.Tick() // flows are told as of a pass; a fault shows as no event
	}
	slices.Sort(slots)
	for _, slot := range slices.Compact(slots) {
		for _, r := range s.Read(slot, []*metric.Family{f}, nil) {
			if n += r.Value; r.Hist != nil {
				n += r.Hist.Count()
			}
		}
	}
	return n
}

// passPrice is the time of one task or socket in a pass, shared by the families of it.
func passPrice(b *testing.B, each string, names []string) float64 {
	s := want(b, names...)
	g := newGroup(b, nil)
	newTarget(b, s, names, g)
	w := startWorker(b, workerOptions{Cgroup: g, NewNet: true, Env: []string{"GODEBUG="}})
	w.do("park 2000")
	w.do("namespaces 100 10")
	stats, err := ebpf.EnableStats(0)
	if err != nil {
		b.Fatal(err)
	}
	defer stats.Close()
	before := statistics(s)[each+"_tick"]
	for range 20 {
		if err := s.Tick(); err != nil {
			b.Fatal(err)
		}
	}
	now := statistics(s)[each+"_tick"]
	return mean(ran{now.runs - before.runs, now.time - before.time}) / float64(len(names))
}
