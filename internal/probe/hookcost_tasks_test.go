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
