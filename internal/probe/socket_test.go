package probe

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/kerneltest"
)

// socketNames are the families of object socket that count per TCP socket.
var socketNames = []string{"tcp_sent_bytes", "tcp_received_bytes", "tcp_acked_bytes", "tcp_segments", "tcp_retransmits", "tcp_srtt",
	"tcp_connections", "tcp_send_queue_bytes", "tcp_receive_queue_bytes", "tcp_listen_backlog", "tcp_listen_backlog_limit",
	"tcp_listen_drops", "tcp_send_busy_time", "tcp_send_limited_time",
	"tcp_accepts", "tcp_connects", "tcp_connect_failures", "tcp_closes", "tcp_connect_latency", "tcp_lifetime", "tcp_rtt"}

// A side is a worker and the target that it is measured as.
type side struct {
	*worker
	*target
	group *group
}

// sides makes two workers in cgroups of their own.
func sides(t *testing.T, s *Set) (a, b side) {
	t.Helper()
	for _, one := range []*side{&a, &b} {
		one.group = newGroup(t, nil)
		one.target = newTarget(t, s, socketNames, one.group)
		one.worker = startWorker(t, workerOptions{Cgroup: one.group})
	}
	return a, b
}

// pair connects client (socket "c") to server (sockets "l" and "s").
func pair(client, server side, family int) {
	at := server.do("listen l %d 16", family)["port"]
	client.do("connect c %d %d", family, at)
	server.do("accept l s")
}

// soon waits for a value of the target: the last acknowledgements are on their way.
func (tg *target) soon(t testing.TB, old mark, name string, want uint64) {
	t.Helper()
	var got uint64
	if !poll(5e9, func() bool { got = tg.mark()[name] - old[name]; return got == want }) {
		t.Errorf("%s = %d, want %d (off by %d)", name, got, want, int64(got-want))
	}
}

func TestSocketBytes(t *testing.T) {
	for _, family := range []int{4, 6} {
		t.Run(fmt.Sprintf("IPv%d", family), func(t *testing.T) {
			s := want(t, socketNames...)
			kerneltest.Exact(t, "tcp_sent_bytes", "tcp_received_bytes", "tcp_acked_bytes", "tcp_segments", "tcp_srtt", "tcp_closes")
			a, b := sides(t, s)
			pair(a, b, family)
			const there, back = 1_000_003, 500_001
			a.tell("send c %d", there)
			b.do("recv s %d", there)
			a.worker.answer()
			b.do("send s %d", back)
			a.do("recv c %d", back)
			for _, one := range []struct {
				side
				name           string
				sent, received uint64
			}{{a, "c", there, back}, {b, "s", back, there}} {
				one.soon(t, nil, "tcp_acked_bytes", one.sent)
				m, i := one.mark(), one.do("info %s", one.name)
				m.same(t, "tcp_sent_bytes", one.sent)
				m.same(t, "tcp_received_bytes", one.received)
				m.same(t, "tcp_segments/in", uint64(i["in"]))
				m.same(t, "tcp_segments/out", uint64(i["out"]))
				m.same(t, "tcp_retransmits", uint64(i["retransmits"]))
				m.same(t, "tcp_srtt", uint64(i["rtt"])*1000)
				m.same(t, "tcp_connections/established", 1)
			}
			a.do("close c")
			b.do("drain s")
			b.do("close s")
			for _, one := range []struct {
				side
				sent, received uint64
			}{{a, there, back}, {b, back, there}} { // FINs are not bytes (trap 2)
				one.soon(t, nil, "tcp_closes", 1)
				m := one.mark()
				m.same(t, "tcp_sent_bytes", one.sent)
				m.same(t, "tcp_received_bytes", one.received)
				m.same(t, "tcp_acked_bytes", one.sent)
				m.same(t, "tcp_connections/established", 0)
			}
			lossless(t, s)
		})
	}
}

// connect(AF_UNSPEC) zeroes the counters without tcp_destroy_sock (trap 2).
func TestSocketUsedAgain(t *testing.T) {
	s := want(t, socketNames...)
	a, b := sides(t, s)
	at := b.do("listen l 4 16")["port"]
	for i, bytes := range []int{1000, 2000, 500} {
		a.do("connect c 4 %d", at)
		b.do("accept l s")
		a.do("send c %d", bytes)
		b.do("recv s %d", bytes)
		if i == 1 {
			a.mark() // between two folds, and with one in the middle
		}
		a.do("disconnect c")
		b.do("close s")
	}
	a.soon(t, nil, "tcp_sent_bytes", 3500)
	b.soon(t, nil, "tcp_received_bytes", 3500)
	a.soon(t, nil, "tcp_connects", 3)
	a.soon(t, nil, "tcp_closes", 3)
	lossless(t, s)
}

func TestSocketsByTheHundred(t *testing.T) {
	s := want(t, socketNames...)
	kerneltest.Exact(t, "tcp_accepts", "tcp_connects", "tcp_connect_latency")
	a, b := sides(t, s)
	const connections, bytes = 400, 1999
	at := b.do("listen l 4 128")["port"]
	b.tell("serve l %d", connections)
	a.tell("many %d %d 4 %d", connections, bytes, at)
	eventually(t, "half of the connections, under ticks", func() bool {
		return a.mark()["tcp_sent_bytes"] >= connections*bytes/2
	})
	if got := b.worker.answer()["bytes"]; got != connections*bytes {
		t.Fatalf("server read %d bytes, want %d", got, connections*bytes)
	}
	a.worker.answer()
	b.soon(t, nil, "tcp_closes", connections)
	a.soon(t, nil, "tcp_closes", connections)
	m := a.mark()
	m.same(t, "tcp_sent_bytes", connections*bytes)
	m.same(t, "tcp_acked_bytes", connections*bytes)
	m.same(t, "tcp_received_bytes", 0)
	m.same(t, "tcp_connects", connections)
	m.same(t, "tcp_connect_latency/count", connections)
	m.same(t, "tcp_accepts", 0)
	m = b.mark()
	m.same(t, "tcp_received_bytes", connections*bytes)
	m.same(t, "tcp_sent_bytes", 0)
	m.same(t, "tcp_accepts", connections) // counted where the client is the current task
	m.same(t, "tcp_connects", 0)
	lossless(t, s)
}

func TestSocketRefused(t *testing.T) {
	s := want(t, socketNames...)
	kerneltest.Exact(t, "tcp_connect_failures")
	a, b := sides(t, s)
	for _, family := range []int{4, 6} {
		at := b.do("listen l 4 1")["port"]
		b.do("close l")
		a.do("refused 50 %d %d", family, at)
	}
	m := a.mark()
	m.same(t, "tcp_connect_failures", 100)
	m.same(t, "tcp_connects", 0)
	m.same(t, "tcp_closes", 0)
	m.same(t, "tcp_connect_latency/count", 0)
	m.same(t, "tcp_sent_bytes", 0)
	lossless(t, s)
}

func TestSocketOlderThanTheAgent(t *testing.T) {
	ga, gb := newGroup(t, nil), newGroup(t, nil)
	a, b := side{worker: startWorker(t, workerOptions{Cgroup: ga})}, side{worker: startWorker(t, workerOptions{Cgroup: gb})}
	pair(a, b, 4)
	a.do("send c 5000")
	b.do("recv s 5000")
	s := want(t, socketNames...)
	a.target, b.target = newTarget(t, s, socketNames, ga), newTarget(t, s, socketNames, gb)
	a.do("send c 7000")
	b.do("recv s 7000")
	b.do("send s 300")
	a.do("recv c 300")
	a.soon(t, nil, "tcp_acked_bytes", 7000)
	b.soon(t, nil, "tcp_acked_bytes", 300)
	m := a.mark()
	m.same(t, "tcp_sent_bytes", 7000)
	m.same(t, "tcp_received_bytes", 300)
	m.same(t, "tcp_connections/established", 1)
	m = b.mark()
	m.same(t, "tcp_received_bytes", 7000)
	m.same(t, "tcp_connections/listen", 1)
	a.do("connect d 4 %d", b.do("listen l2 4 4")["port"]) // after: in full
	b.do("accept l2 s2")
	a.do("send d 11")
	b.do("recv s2 11")
	a.soon(t, nil, "tcp_sent_bytes", 7011)
	b.soon(t, nil, "tcp_received_bytes", 7011)
	lossless(t, s)
}

// Not attached, nothing is counted; attached again, nothing of it comes back.
func TestSocketDetached(t *testing.T) {
	s := want(t, socketNames...)
	a, b := sides(t, s)
	pair(a, b, 4)
	talk := func(n int) { a.do("send c %d", n); b.do("recv s %d", n) }
	talk(100)
	a.soon(t, nil, "tcp_acked_bytes", 100)
	if err := s.Want(nil); err != nil {
		t.Fatal(err)
	}
	talk(1000)
	if err := s.Want(a.families); err != nil {
		t.Fatal(err)
	}
	talk(10)
	a.soon(t, nil, "tcp_sent_bytes", 110)
	b.soon(t, nil, "tcp_received_bytes", 110)
	lossless(t, s)
}

func TestSocketsInHundredNamespaces(t *testing.T) {
	s := want(t, socketNames...)
	g := newGroup(t, nil)
	tg := newTarget(t, s, socketNames, g)
	w := startWorker(t, workerOptions{Cgroup: g, NewNet: true})
	const namespaces, bytes = 100, 12_345
	w.do("namespaces %d %d", namespaces, bytes)
	tg.soon(t, nil, "tcp_acked_bytes", namespaces*bytes)
	m := tg.mark()
	m.same(t, "tcp_sent_bytes", namespaces*bytes)
	m.same(t, "tcp_received_bytes", namespaces*bytes)
	m.same(t, "tcp_connections/established", 2*namespaces)
	m.same(t, "tcp_connections/listen", namespaces)
	m.same(t, "tcp_accepts", namespaces)
	m.same(t, "tcp_connects", namespaces)
	w.kill()
	tg.soon(t, nil, "tcp_closes", 2*namespaces)
	tg.soon(t, nil, "tcp_received_bytes", namespaces*bytes)
	lossless(t, s)
}

// A socket made before its process came to the cgroup is the cgroup's that listens
// or connects (trap 3).
func TestSocketMadeBeforeItsProcessJoined(t *testing.T) {
	s := want(t, socketNames...)
	g := newGroup(t, nil)
	tg := newTarget(t, s, socketNames, g)
	w := startWorker(t, workerOptions{})
	w.do("socket l 4")
	w.do("socket c 4")
	g.add(t, w.pid)
	at := w.do("listen l 4 4")["port"]
	w.do("connect c 4 %d", at)
	w.do("accept l s")
	w.do("send c 4321")
	w.do("recv s 4321")
	tg.soon(t, nil, "tcp_acked_bytes", 4321)
	m := tg.mark()
	m.same(t, "tcp_received_bytes", 4321)
	m.same(t, "tcp_connects", 1)
	m.same(t, "tcp_accepts", 1)
	m.same(t, "tcp_connections/listen", 1)
	lossless(t, s)
}

// A listener that a process had before it came to the cgroup (socket activation) is
// found at the next pass over descriptors; so are the connections it has accepted.
func TestSocketsOfAProcessThatMoved(t *testing.T) {
	s := want(t, socketNames...)
	g := newGroup(t, nil)
	tg := newTarget(t, s, socketNames, g)
	w := startWorker(t, workerOptions{})
	at := w.do("listen l 4 4")["port"]
	w.do("connect c 4 %d", at)
	w.do("accept l s")
	w.do("send c 1000")
	w.do("recv s 1000")
	g.add(t, w.pid)
	s.Pass()
	tg.mark().same(t, "tcp_sent_bytes", 0)
	w.do("send c 200")
	w.do("recv s 200")
	w.do("connect d 4 %d", at)
	w.do("accept l e")
	w.do("send d 30")
	w.do("recv e 30")
	tg.soon(t, nil, "tcp_acked_bytes", 230)
	m := tg.mark()
	m.same(t, "tcp_received_bytes", 230)
	m.same(t, "tcp_accepts", 1)
	m.same(t, "tcp_connections/listen", 1)
	m.same(t, "tcp_connections/established", 4)
	lossless(t, s)
}

// A socket that is passed on is its new holder's from the next pass on, at most
// passEvery ticks later; what it did before stays with the old one, and the sum is
// what was sent.
func TestSocketPassedOn(t *testing.T) {
	s := want(t, socketNames...)
	a, b := sides(t, s)
	peer := startWorker(t, workerOptions{})
	at := peer.do("listen l 4 4")["port"]
	a.do("connect c 4 %d", at)
	peer.do("accept l s")
	a.do("send c 1000")
	a.tell("give c")
	_, rights := a.receive()
	b.send(rights, "take c")
	closeAll(t, rights)
	a.do("close c")
	b.do("send c 200") // before anybody looked: still a's
	peer.do("recv s 1200")
	s.Pass()
	a.mark().same(t, "tcp_sent_bytes", 1200)
	b.do("send c 34")
	peer.do("recv s 34")
	b.soon(t, nil, "tcp_acked_bytes", 34)
	b.mark().same(t, "tcp_connections/established", 1)
	m := a.mark()
	m.same(t, "tcp_sent_bytes", 1200)
	m.same(t, "tcp_acked_bytes", 1200)
	m.same(t, "tcp_connections/established", 0)
	b.do("close c")
	b.soon(t, nil, "tcp_sent_bytes", 34)
	lossless(t, s)
}

// A socket that both hold stays where it was.
func TestSocketShared(t *testing.T) {
	s := want(t, socketNames...)
	a, b := sides(t, s)
	pair(a, side{worker: a.worker}, 4)
	a.tell("give c")
	_, rights := a.receive()
	b.send(rights, "take c")
	closeAll(t, rights)
	for range 3 {
		s.Pass()
		b.do("send c 100")
		a.do("recv s 100")
		a.mark()
	}
	a.soon(t, nil, "tcp_sent_bytes", 300)
	b.mark().same(t, "tcp_sent_bytes", 0)
	lossless(t, s)
}

func TestSocketGauges(t *testing.T) {
	s := want(t, socketNames...)
	kerneltest.Exact(t, "tcp_connections", "tcp_send_queue_bytes", "tcp_receive_queue_bytes", "tcp_listen_backlog", "tcp_listen_backlog_limit")
	a, b := sides(t, s)
	pair(a, b, 4)
	a.do("send c 12345")
	a.soon(t, nil, "tcp_acked_bytes", 12345)
	m := b.mark()
	m.same(t, "tcp_receive_queue_bytes", 12345)
	m.same(t, "tcp_listen_backlog", 0)
	m.same(t, "tcp_listen_backlog_limit", 16)

	a.do("fill c")
	var i answer
	eventually(t, "the peer's window to be full", func() bool {
		old := i
		i = a.do("info c")
		return old != nil && i["outq"] == old["outq"]
	})
	a.mark().same(t, "tcp_send_queue_bytes", uint64(i["outq"]))
	b.mark().same(t, "tcp_receive_queue_bytes", uint64(b.do("info s")["inq"]))
	if i["outq"] == 0 {
		t.Error("nothing waits to be sent")
	}

	at := b.do("listen q 4 2")["port"] // a queue of 2 takes 3
	for n := range 3 {
		a.do("connect w%d 4 %d", n, at)
	}
	b.soon(t, nil, "tcp_listen_backlog", 3)
	b.mark().same(t, "tcp_listen_backlog_limit", 18)
	a.do("reach over 4 %d", at)
	m = a.mark()
	m.same(t, "tcp_connections/opening", 1)
	m.same(t, "tcp_connections/established", 4)
	b.mark().same(t, "tcp_connections/listen", 2)

	a.do("close over")
	b.do("accept q x")
	a.do("shutdown w0") // the peer of x, which has not closed; closed, it would be a time-wait socket at once
	a.soon(t, nil, "tcp_connections/closing", 1)
	b.soon(t, nil, "tcp_connections/close_wait", 1)
	a.mark().same(t, "tcp_connections/opening", 0)
	lossless(t, s)
}

// What was sent again counts once, and how often it was.
func TestSocketRetransmits(t *testing.T) {
	s := want(t, socketNames...)
	kerneltest.Exact(t, "tcp_retransmits")
	a, b := sides(t, s)
	pair(a, b, 4)
	a.do("send c 100")
	b.do("recv s 100")
	b.do("deaf s on")
	a.do("send c 3000")
	eventually(t, "two retransmissions", func() bool { return a.do("info c")["retransmits"] >= 2 })
	b.do("deaf s off")
	b.do("recv s 3000")
	a.soon(t, nil, "tcp_acked_bytes", 3100)
	m, i := a.mark(), a.do("info c")
	m.same(t, "tcp_retransmits", uint64(i["retransmits"]))
	m.same(t, "tcp_sent_bytes", 3100)
	b.mark().same(t, "tcp_received_bytes", 3100)
	b.mark().same(t, "tcp_retransmits", 0)
	lossless(t, s)
}

func TestSocketOfAKilledProcess(t *testing.T) {
	s := want(t, socketNames...)
	a, b := sides(t, s)
	pair(a, b, 4)
	at := b.do("listen m 4 32")["port"]
	for i := range 20 {
		a.do("connect k%d 4 %d", i, at)
		b.do("accept m k%d", i)
		a.do("send k%d 777", i)
	}
	a.do("send c 100000")
	a.kill()
	sum := b.do("drain s")["bytes"]
	for i := range 20 {
		sum += b.do("drain k%d", i)["bytes"]
	}
	if sum != 100000+20*777 {
		t.Fatalf("the peer read %d bytes", sum)
	}
	for i := range 20 {
		b.do("close k%d", i)
	}
	b.do("close s")
	a.soon(t, nil, "tcp_closes", 21)
	a.soon(t, nil, "tcp_sent_bytes", uint64(sum))
	a.soon(t, nil, "tcp_acked_bytes", uint64(sum))
	b.soon(t, nil, "tcp_received_bytes", uint64(sum))
	lossless(t, s)
}

// A drop is charged to the socket's target, not to the sender, which runs then.
func TestUDPDrops(t *testing.T) {
	names := []string{"udp_drops"}
	s := want(t, names...)
	kerneltest.Exact(t, names...)
	ga, gb := newGroup(t, nil), newGroup(t, nil)
	ta, tb := newTarget(t, s, names, ga), newTarget(t, s, names, gb)
	a, b := startWorker(t, workerOptions{Cgroup: ga}), startWorker(t, workerOptions{Cgroup: gb})
	at := b.do("udp u 4096")["port"]
	const datagrams = 500
	a.do("datagrams %d 200 %d", datagrams, at)
	taken := uint64(b.do("count u")["datagrams"])
	if taken == 0 || taken == datagrams {
		t.Fatalf("%d of %d datagrams were taken", taken, datagrams)
	}
	tb.mark().same(t, "udp_drops", datagrams-taken)
	ta.mark().same(t, "udp_drops", 0)
	lossless(t, s)
}

func closeAll(t *testing.T, fds []int) {
	t.Helper()
	for _, fd := range fds {
		if err := unix.Close(fd); err != nil {
			t.Error(err)
		}
	}
}
