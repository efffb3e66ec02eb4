package probe

import "testing"

// BenchmarkSched is the cost of a switch to sleep and back: waits, slices and time
// off the CPU, and with the gate closed.
func BenchmarkSched(b *testing.B) {
	names := []string{"runq_latency", "oncpu_slice", "offcpu_time"}
	for gate, n := range map[string]int{"closed": 0, "runq_latency": 1, "all": 3} {
		b.Run(gate, func(b *testing.B) {
			s, _ := open(b)
			wanted := names[:max(1, n)]
			if err := s.Want(find(b, s, wanted...)); err != nil {
				b.Fatal(err)
			}
			g := newGroup(b, nil)
			newTarget(b, s, names[:n], g)
			w := startWorker(b, workerOptions{Cgroup: g})
			w.do("pin 0")
			hookCost(b, s, "sched", 20000, "sleep", func() { w.do("sleep 20000 1000") })
		})
	}
}

// BenchmarkRunqWait is the cost of a switch to who asks why tasks wait.
func BenchmarkRunqWait(b *testing.B) {
	for gate, n := range map[string]int{"closed": 0, "open": 1} {
		b.Run(gate, func(b *testing.B) {
			s := want(b, waitName)
			g := newGroup(b, nil)
			newTarget(b, s, []string{waitName}[:n], g)
			w := startWorker(b, workerOptions{Cgroup: g})
			w.do("pin 0")
			hookCost(b, s, "wait", 20000, "sleep", func() { w.do("sleep 20000 1000") })
		})
	}
}

// BenchmarkCounters is the cost of a switch to who counts what the CPU counts, with
// counters of the kernel's own in place of the CPU's, which are slower to read.
func BenchmarkCounters(b *testing.B) {
	for gate, n := range map[string]int{"closed": 0, "one": 1, "three": 3} {
		b.Run(gate, func(b *testing.B) {
			s := softwareCounters(b)
			if err := s.Want(find(b, s, pmuNames[:max(1, n)]...)); err != nil {
				b.Fatal(err)
			}
			g := newGroup(b, nil)
			newTarget(b, s, pmuNames[:n], g)
			w := startWorker(b, workerOptions{Cgroup: g})
			w.do("pin 0")
			hookCost(b, s, "pmu", 20000, "sleep", func() { w.do("sleep 20000 1000") })
		})
	}
}

// BenchmarkFiles is the cost of a read of a file to who times calls on files.
func BenchmarkFiles(b *testing.B) {
	for gate, n := range map[string]int{"closed": 0, "open": 1} {
		b.Run(gate, func(b *testing.B) {
			s := want(b, fileName)
			g := newGroup(b, nil)
			newTarget(b, s, []string{fileName}[:n], g)
			w := startWorker(b, workerOptions{Cgroup: g})
			file := holeFile(b, 50000*4096)
			hookCost(b, s, "syscall", 50000, "read", func() { w.do("pages read %s 50000", file) })
		})
	}
}

// BenchmarkTasks is the cost of the end of a task, whose accounts are folded: what
// lives is read in each window (BenchmarkTick).
func BenchmarkTasks(b *testing.B) {
	s := want(b, taskNames...)
	g := newGroup(b, nil)
	newTarget(b, s, taskNames, g)
	w := startWorker(b, workerOptions{Cgroup: g})
	hookCost(b, s, "task", 3000, "process", func() { w.do("fork 3000 0") })
}

// BenchmarkSockets is the cost of a connection over loopback, both ends counted:
// the changes of its state, and its end. Messages cost nothing.
func BenchmarkSockets(b *testing.B) {
	s := want(b, socketNames...)
	g := newGroup(b, nil)
	newTarget(b, s, socketNames, g)
	server, client := startWorker(b, workerOptions{Cgroup: g}), startWorker(b, workerOptions{Cgroup: g})
	at := server.do("listen l 4 128")["port"]
	const n = 3000
	hookCost(b, s, "socket", n, "connection", func() {
		server.tell("serve l %d", n)
		client.do("many %d 1 4 %d", n, at)
		server.answer()
	})
}
