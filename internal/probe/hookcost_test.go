package probe

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"viperprobe.dev/viperprobe/internal/metric"
)

// emptyPrograms attaches a program that does nothing to each hook of a hook group,
// named after the program of ours that is there, and keeps them until the end.
func emptyPrograms(b *testing.B, o *object) map[string]*ebpf.Program {
	b.Helper()
	empties := map[string]*ebpf.Program{}
	for name := range o.links {
		spec := o.spec.Programs[name]
		p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
			Name: "vp_empty", Type: spec.Type, AttachType: spec.AttachType, AttachTo: spec.AttachTo, License: "GPL",
			Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()},
		})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { p.Close() })
		l, err := o.hang(p, spec.AttachType)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { l.Close() })
		empties[name] = p
	}
	return empties
}

// putBehind hangs the programs of a hook group anew, which puts them behind the empty ones.
// Whatever runs first on a hook finds caches cold that whatever runs second finds warm: in a
// switch between two processes that is 7 ns here.
func putBehind(b *testing.B, o *object) {
	b.Helper()
	for name, l := range o.links {
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
		behind, err := o.hang(o.coll.Programs[name], o.spec.Programs[name].AttachType)
		if err != nil {
			b.Fatal(err)
		}
		o.links[name] = behind
	}
}

// hookCost runs a load twice, with ours ahead of empty programs and behind them, and
// reports what each program of a hook group took of BPF time a run, beside an empty
// program on the same hook in the same load, and for all of them the difference per
// event of the load, which has so many each time.
func hookCost(b *testing.B, s *Set, group string, events int, event string, load func()) {
	b.Helper()
	o := s.objects[group]
	empties := emptyPrograms(b, o)
	type total struct{ runs, ns uint64 }
	read := func(p *ebpf.Program) total {
		st, err := p.Stats()
		if err != nil {
			b.Fatal(err)
		}
		return total{st.RunCount, uint64(st.Runtime)}
	}
	stats, err := ebpf.EnableStats(0)
	if err != nil {
		b.Fatal(err)
	}
	defer stats.Close()
	before := map[string][2]total{}
	for name := range empties {
		before[name] = [2]total{read(o.coll.Programs[name]), read(empties[name])}
	}
	b.ResetTimer()
	load()
	putBehind(b, o)
	load()
	b.StopTimer()
	events *= 2
	var net float64
	for name := range empties {
		ours, empty := read(o.coll.Programs[name]), read(empties[name])
		runs := ours.runs - before[name][0].runs
		if runs == 0 {
			continue
		}
		mine := float64(ours.ns-before[name][0].ns) / float64(runs)
		none := float64(empty.ns-before[name][1].ns) / float64(empty.runs-before[name][1].runs)
		b.ReportMetric(mine, name+"-ns")
		b.ReportMetric(none, name+"-empty-ns")
		b.ReportMetric(float64(runs)/float64(events), name+"-runs/"+event)
		net += (mine - none) * float64(runs)
	}
	b.ReportMetric(net/float64(events), "net-ns/"+event)
	b.ReportMetric(0, "ns/op") // two loads, not b.N of them
}

// BenchmarkFaults is the cost of a fault of each mode, and with the gate closed.
func BenchmarkFaults(b *testing.B) {
	for _, gate := range []string{"open", "closed"} {
		b.Run(gate, func(b *testing.B) {
			names := []string{"user_faults", "kernel_faults"}
			s, _ := open(b)
			if err := s.Want(find(b, s, names...)); err != nil {
				b.Fatal(err)
			}
			g := newGroup(b, nil)
			tg := newTarget(b, s, names, g)
			if gate == "closed" {
				if err := s.Switch(tg.slot, nil); err != nil {
					b.Fatal(err)
				}
			}
			w := startWorker(b, workerOptions{Cgroup: g})
			hookCost(b, s, "fault", 2*20*5000, "fault", func() {
				for range 20 {
					w.do("fault user 5000")
					w.do("fault kernel 5000")
				}
			})
		})
	}
}

// BenchmarkTLB is the cost of giving a page back: an order, and what other CPUs are
// told.
func BenchmarkTLB(b *testing.B) {
	for _, gate := range []string{"open", "closed"} {
		b.Run(gate, func(b *testing.B) {
			s, _ := open(b)
			if err := s.Want(find(b, s, "tlb_flushes", "tlb_flushes_received")); err != nil {
				b.Fatal(err)
			}
			g := newGroup(b, nil)
			if gate == "open" {
				newTarget(b, s, []string{"tlb_flushes"}, g)
				if err := s.Switch(NodeSlot, find(b, s, "tlb_flushes_received")); err != nil {
					b.Fatal(err)
				}
			}
			w := startWorker(b, workerOptions{Cgroup: g})
			hookCost(b, s, "tlb", 100000, "flush", func() { w.do("shoot 100000") })
		})
	}
}

// BenchmarkProcess is the cost of a process that only begins and ends.
func BenchmarkProcess(b *testing.B) {
	for _, gate := range []string{"open", "closed"} {
		b.Run(gate, func(b *testing.B) {
			s, _ := open(b)
			if err := s.Want(find(b, s, processNames...)); err != nil {
				b.Fatal(err)
			}
			g := newGroup(b, nil)
			tg := newTarget(b, s, processNames, g)
			if gate == "closed" {
				if err := s.Switch(tg.slot, nil); err != nil {
					b.Fatal(err)
				}
			}
			w := startWorker(b, workerOptions{Cgroup: g})
			hookCost(b, s, "process", 3000, "process", func() { w.do("fork 3000 0") })
		})
	}
}

// BenchmarkSyscalls is the cost of a system call: counted, with its errors, timed,
// and with the gate closed.
func BenchmarkSyscalls(b *testing.B) {
	for gate, n := range map[string]int{"closed": 0, "count": 1, "errors": 2, "all": 4} {
		b.Run(gate, func(b *testing.B) {
			s, _ := open(b)
			if err := s.Want(find(b, s, syscallNames...)); err != nil {
				b.Fatal(err)
			}
			g := newGroup(b, nil)
			newTarget(b, s, syscallNames[:n], g)
			w := startWorker(b, workerOptions{Cgroup: g})
			hookCost(b, s, "syscall", 300000, "call", func() { w.do("write 300000 1") })
		})
	}
}

// BenchmarkSoftirqs is the cost of a datagram over loopback to who counts softirqs.
func BenchmarkSoftirqs(b *testing.B) {
	for gate, n := range map[string]int{"closed": 0, "open": 3} {
		b.Run(gate, func(b *testing.B) {
			s, _ := open(b)
			if err := s.Want(find(b, s, softirqNames...)); err != nil {
				b.Fatal(err)
			}
			if err := s.Switch(NodeSlot, find(b, s, softirqNames[:n]...)); err != nil {
				b.Fatal(err)
			}
			hookCost(b, s, "softirq", 50000, "datagram", func() { echoes(b, 50000) })
		})
	}
}

// BenchmarkReclaim is the cost of a reclaim of a memory cgroup at its limit.
func BenchmarkReclaim(b *testing.B) {
	s, _ := open(b)
	if err := s.Want(find(b, s, reclaimNames...)); err != nil {
		b.Fatal(err)
	}
	g := newGroup(b, nil)
	newTarget(b, s, reclaimNames, g)
	w := startWorker(b, workerOptions{Cgroup: g})
	file := holeFile(b, 48<<20)
	limitMemory(b, g, w, 8<<20)
	hookCost(b, s, "reclaim", 20*(48<<20/4096), "page", func() {
		for range 20 {
			w.do("cache %s", file)
		}
	})
}

// BenchmarkBlock is the cost of a request to a loop device.
func BenchmarkBlock(b *testing.B) {
	for _, gate := range []string{"open", "closed"} {
		b.Run(gate, func(b *testing.B) {
			s, _ := open(b)
			if err := s.Want(find(b, s, blockNames...)); err != nil {
				b.Fatal(err)
			}
			d := testDisk(b)
			tg, w, _ := blockTarget(b, s)
			if gate == "closed" {
				if err := s.Switch(tg.slot, nil); err != nil {
					b.Fatal(err)
				}
			}
			hookCost(b, s, "block", 40*500, "request", func() {
				for range 40 {
					w.do("disk write %s 500 4096", d.path)
				}
			})
		})
	}
}

// BenchmarkRequests is the cost of a request to Redis, 50 connections: for the
// server alone, with the client's outbound families too, and for nobody.
func BenchmarkRequests(b *testing.B) {
	for _, gate := range []string{"server", "both", "closed"} {
		b.Run(gate, func(b *testing.B) {
			sg, cg := newGroup(b, nil), newGroup(b, nil)
			port := startRedis(b, sg)
			s, _ := open(b)
			if err := s.Want(find(b, s, requestNames...)); err != nil {
				b.Fatal(err)
			}
			if gate != "closed" {
				newTarget(b, s, requestNames, sg)
			}
			if gate == "both" {
				newTarget(b, s, requestNames, cg)
			}
			const n = 200000
			hookCost(b, s, "request", n, "request", func() { redisBenchmark(b, cg, "-p", port, n) })
		})
	}
}

// BenchmarkProtocols is the cost of a request by protocol: of Redis as in
// BenchmarkRequests, of HTTP/1 of a kilobyte between two workers, and of Go's HTTP/2 and
// gRPC, where a request is several packets.
func BenchmarkProtocols(b *testing.B) {
	for _, gate := range []string{"server", "both", "closed"} {
		b.Run("redis-"+gate, func(b *testing.B) {
			sg, cg := newGroup(b, nil), newGroup(b, nil)
			port := startRedis(b, sg)
			s := want(b, protocolNames...)
			if gate != "closed" {
				newTarget(b, s, protocolNames, sg)
			}
			if gate == "both" {
				newTarget(b, s, protocolNames, cg)
			}
			const n = 200000
			hookCost(b, s, "protocol", n, "request", func() { redisBenchmark(b, cg, "-p", port, n) })
		})
	}
	for protocol, n := range map[string]int{"http": 20000, "http2": 2000, "grpc": 1000} { // rounds of web and grpc: 9 and 17 requests
		b.Run(protocol+"-both", func(b *testing.B) {
			s := want(b, protocolNames...)
			g := newGroup(b, nil)
			newTarget(b, s, protocolNames, g)
			w := startWorker(b, workerOptions{Cgroup: g, Env: []string{"GODEBUG="}})
			switch protocol {
			case "http":
				server, client := protocolPair(b, s, 4)
				e := exchange{ask: "GET /x HTTP/1.1\r\nHost: a\r\n\r\n", answer: "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + strings.Repeat("x", 1000)}
				hookCost(b, s, "protocol", n, "request", func() { exchanged(server.worker, client.worker, e, n, 0) })
			case "http2":
				hookCost(b, s, "protocol", n*len(statuses), "request", func() { w.do("web http2 %d", n) })
			case "grpc":
				hookCost(b, s, "protocol", n*17, "request", func() { w.do("grpc %d", n) })
			}
		})
	}
}

// BenchmarkRedisThroughput is what the request families take from Redis: runs
// without and with them in turn, and the median over neighbours of what the second
// loses of throughput, and has more of the server's CPU time a request (which
// other load on the machine disturbs less).
func BenchmarkRedisThroughput(b *testing.B) {
	sg, cg := newGroup(b, nil), newGroup(b, nil)
	port := startRedis(b, sg)
	s, _ := open(b)
	all := find(b, s, requestNames[:3]...)
	if err := s.Want(all); err != nil {
		b.Fatal(err)
	}
	newTarget(b, s, requestNames[:3], sg)
	const n, rounds = 100000, 15
	run := func(wanted []*metric.Family) (rate, cpu float64) {
		if err := s.Want(wanted); err != nil {
			b.Fatal(err)
		}
		used, began := sg.file(b, "cpu.stat", "usage_usec"), time.Now()
		redisBenchmark(b, cg, "-p", port, n)
		return n / time.Since(began).Seconds(), float64(sg.file(b, "cpu.stat", "usage_usec")-used) * 1000 / n
	}
	var rates, losses, cpus, more []float64
	for range rounds {
		r0, c0 := run(nil)
		r1, c1 := run(all)
		rates, losses = append(rates, r0), append(losses, 100*(1-r1/r0))
		cpus, more = append(cpus, c0), append(more, c1-c0)
	}
	median := func(v []float64) float64 {
		slices.Sort(v)
		return v[len(v)/2]
	}
	b.ReportMetric(median(rates), "requests/s")
	b.ReportMetric(median(losses), "%loss")
	b.ReportMetric(median(cpus), "server-cpu-ns/request")
	b.ReportMetric(median(more), "more-cpu-ns/request")
	b.ReportMetric(0, "ns/op")
	b.Logf("%%loss by pair: %.1f", losses)
}

// BenchmarkPageCache is the cost of a read of a page that is in the cache.
func BenchmarkPageCache(b *testing.B) {
	for _, gate := range []string{"open", "closed"} {
		b.Run(gate, func(b *testing.B) {
			s, _ := open(b)
			if err := s.Want(find(b, s, pagecacheNames...)); err != nil {
				b.Fatal(err)
			}
			g := newGroup(b, nil)
			if gate == "open" {
				newTarget(b, s, pagecacheNames, g)
			}
			w := startWorker(b, workerOptions{Cgroup: g})
			file := holeFile(b, 50000*4096)
			hookCost(b, s, "pagecache", 100000, "page", func() {
				w.do("pages read %s 50000", file) // misses
				w.do("pages read %s 50000", file)
			})
		})
	}
}

// BenchmarkConnections is the cost of a connection that carries one message, to both
// its ends.
func BenchmarkConnections(b *testing.B) {
	for _, gate := range []string{"open", "closed"} {
		b.Run(gate, func(b *testing.B) {
			s, _ := open(b)
			if err := s.Want(find(b, s, socketNames...)); err != nil {
				b.Fatal(err)
			}
			g := newGroup(b, nil)
			if gate == "open" {
				newTarget(b, s, socketNames, g)
			}
			client, server := startWorker(b, workerOptions{Cgroup: g}), startWorker(b, workerOptions{Cgroup: g})
			at := server.do("listen l 4 128")["port"]
			const n = 5000
			hookCost(b, s, "socket", n, "connection", func() {
				server.tell("serve l %d", n)
				client.do("many %d 100 4 %d", n, at)
				server.answer()
			})
		})
	}
}

// BenchmarkDNS is the cost of a query and its answer, and of each packet that is none.
func BenchmarkDNS(b *testing.B) {
	for _, what := range []string{"query", "datagram", "segment"} {
		b.Run(what, func(b *testing.B) {
			s, _ := open(b)
			if err := s.Want(find(b, s, dnsNames...)); err != nil {
				b.Fatal(err)
			}
			g := newGroup(b, nil)
			newTarget(b, s, dnsNames, g)
			w := startWorker(b, workerOptions{Cgroup: g, NewNet: true})
			const n = 20000
			load := func() { w.do("echo 4 %d 100", n) }
			switch what {
			case "query":
				w.do("dns bind u 4 53")
				w.do("dns open c 4 1")
				load = func() { w.do("dns both c u %d", n) }
			case "segment":
				at := w.do("listen l 4 4")["port"]
				w.do("connect c 4 %d", at)
				w.do("accept l s")
				load = func() { w.do("turns c s %d", n) }
			}
			hookCost(b, s, "dns", n, what, load)
		})
	}
}

// BenchmarkUnix is the cost of a message over a pair of AF_UNIX sockets.
func BenchmarkUnix(b *testing.B) {
	for _, gate := range []string{"open", "closed"} {
		b.Run(gate, func(b *testing.B) {
			s, _ := open(b)
			if err := s.Want(find(b, s, unixNames...)); err != nil {
				b.Fatal(err)
			}
			g := newGroup(b, nil)
			if gate == "open" {
				newTarget(b, s, unixNames, g)
			}
			w := startWorker(b, workerOptions{Cgroup: g})
			hookCost(b, s, "unix", 20000, "message", func() { w.do("unix pair 1 20000 100") })
		})
	}
}

// BenchmarkUDP is the cost of a datagram, sent and read, and BenchmarkDrops that of
// one that nobody wants.
func BenchmarkUDP(b *testing.B) {
	for _, gate := range []string{"open", "closed"} {
		b.Run(gate, func(b *testing.B) {
			s, _ := open(b)
			if err := s.Want(find(b, s, udpNames...)); err != nil {
				b.Fatal(err)
			}
			g := newGroup(b, nil)
			if gate == "open" {
				newTarget(b, s, udpNames, g)
			}
			w := startWorker(b, workerOptions{Cgroup: g})
			hookCost(b, s, "udp", 50000, "datagram", func() { w.do("echo 4 50000 100") })
		})
	}
}

func BenchmarkDrops(b *testing.B) {
	for _, gate := range []string{"open", "closed"} {
		b.Run(gate, func(b *testing.B) {
			s, _ := open(b)
			names := []string{"packet_drops", "node_packet_drops"}
			if err := s.Want(find(b, s, names...)); err != nil {
				b.Fatal(err)
			}
			if gate == "open" {
				if err := s.Switch(NodeSlot, find(b, s, names[1])); err != nil {
					b.Fatal(err)
				}
			}
			w := startWorker(b, workerOptions{Cgroup: newGroup(b, nil)})
			at := w.do("udp u 100000")["port"]
			w.do("close u")
			hookCost(b, s, "netdrop", 50000, "drop", func() { w.do("datagrams 50000 10 %d", at) })
		})
	}
}
