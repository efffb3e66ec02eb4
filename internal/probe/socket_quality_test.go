package probe

import (
	"testing"
	"time"

	"viperprobe.dev/viperprobe/internal/kerneltest"
)

// What a full accept queue turns away is the listener's owner's, who is not the one
// that knocks, and in sum what the network namespace counts.
func TestListenDrops(t *testing.T) {
	kerneltest.Exact(t, "tcp_listen_drops")
	s := want(t, socketNames...)
	g, og := newGroup(t, nil), newGroup(t, nil)
	tg, other := newTarget(t, s, socketNames, g), newTarget(t, s, socketNames, og)
	w := startWorker(t, workerOptions{Cgroup: g, NewNet: true})
	at := w.do("listen l 4 1")["port"]
	w.tell("give l")
	_, rights := w.receive()
	holder := startWorker(t, workerOptions{Cgroup: og})
	holder.send(rights, "take l")
	closeAll(t, rights)
	w.do("connect a 4 %d", at)
	w.do("connect b 4 %d", at) // full: a queue of 1 takes 2
	tg.mark().same(t, "tcp_listen_drops", 0)
	for _, name := range []string{"c", "d", "e"} {
		w.do("reach %s 4 %d", name, at)
	}
	told := func() uint64 { return uint64(w.do("netstat")["TcpExt ListenDrops"]) }
	eventually(t, "a SYN that was sent again", func() bool { return told() >= 5 })
	w.do("close c")
	w.do("close d")
	w.do("close e")
	tg.soon(t, nil, "tcp_listen_drops", told())
	w.do("close l") // its owner has let go of it
	s.Pass()
	tg.mark()
	holder.do("reach f 4 1")
	other.mark().same(t, "tcp_listen_drops", 0)
	w.do("reach g 4 %d", at)
	before := told()
	w.do("close g")
	eventually(t, "the drop of g", func() bool { return told() >= before })
	holder.do("close l")
	eventually(t, "the drops of both", func() bool {
		return tg.mark()["tcp_listen_drops"]+other.mark()["tcp_listen_drops"] == told()
	})
	if other.mark()["tcp_listen_drops"] == 0 {
		t.Error("what was dropped under its new owner is not its")
	}
	lossless(t, s)
}

// Time in which a sender may not send is what TCP_INFO tells of it.
func TestSendLimits(t *testing.T) {
	kerneltest.Exact(t, "tcp_send_busy_time", "tcp_send_limited_time")
	s := want(t, socketNames...)
	a, b := sides(t, s)
	pair(a, b, 4)
	sent := a.do("fill c")["bytes"]
	eventually(t, "a stall of 50 ms", func() bool {
		a.mark()
		return a.do("info c")["rwnd"] >= 50_000
	})
	b.do("recv s %d", sent)
	eventually(t, "all to be acknowledged", func() bool { return a.do("info c")["outq"] == 0 })
	m, i := a.mark(), a.do("info c")
	m.same(t, "tcp_send_busy_time", uint64(i["busy"])*1000)
	m.same(t, "tcp_send_limited_time/receive_window", uint64(i["rwnd"])*1000)
	m.same(t, "tcp_send_limited_time/send_buffer", uint64(i["sndbuf"])*1000)
	if i["busy"] < i["rwnd"]+i["sndbuf"] {
		t.Errorf("busy for %d us, limited for %d and %d", i["busy"], i["rwnd"], i["sndbuf"])
	}
	b.mark().same(t, "tcp_send_limited_time/receive_window", 0)
	a.do("close c")
	b.do("close s")
	a.soon(t, nil, "tcp_closes", 1)
	m = a.mark()
	m.same(t, "tcp_send_limited_time/receive_window", uint64(i["rwnd"])*1000)
	if got := m["tcp_send_busy_time"]; got < uint64(i["busy"])*1000 { // the FIN may wait for its acknowledgement
		t.Errorf("busy for %d ns at the end, for %d us before", got, i["busy"])
	}
	lossless(t, s)
}

// A connection's life is between what its ends saw of it.
func TestLifetimes(t *testing.T) {
	kerneltest.Exact(t, "tcp_lifetime")
	s := want(t, socketNames...)
	a, b := sides(t, s)
	const connections, life = 5, 40 * time.Millisecond
	longest, shortest := time.Duration(0), time.Duration(0)
	for range connections {
		before := time.Now()
		pair(a, b, 4)
		made := time.Now()
		for time.Since(made) < life {
			a.do("hello")
		}
		shortest += time.Since(made)
		a.do("close c")
		b.do("drain s")
		b.do("close s")
		b.do("close l")
		longest += time.Since(before)
	}
	for _, one := range []side{a, b} {
		one.soon(t, nil, "tcp_closes", connections)
		m := one.mark()
		m.same(t, "tcp_lifetime/count", connections)
		if sum := time.Duration(m["tcp_lifetime/sum"]); sum < shortest || sum > longest {
			t.Errorf("lives of %v in sum, want %v to %v", sum, shortest, longest)
		}
	}
	lossless(t, s)
}

// One observation for each connection and window in which something came.
func TestRoundTrips(t *testing.T) {
	kerneltest.Exact(t, "tcp_rtt")
	s := want(t, socketNames...)
	a, b := sides(t, s)
	pair(a, b, 4)
	b.do("lazy s")
	a.do("send c 100")
	a.soon(t, nil, "tcp_acked_bytes", 100) // its marks are windows too
	m := a.mark()
	before, old := m["tcp_rtt/count"], m["tcp_rtt/sum"]
	for range 3 {
		a.mark().same(t, "tcp_rtt/count", before) // nothing came
	}
	for range 10 {
		b.do("lazy s")
		a.do("send c 100")
		eventually(t, "the acknowledgement", func() bool { return a.do("info c")["outq"] == 0 })
		a.mark()
	}
	m = a.mark()
	m.same(t, "tcp_rtt/count", before+10)
	least := uint64(a.do("info c")["min rtt"]) * 1000
	if sum := m["tcp_rtt/sum"] - old; sum < 10*least || sum < uint64(20*time.Millisecond) || sum > uint64(10*time.Second) {
		t.Errorf("10 round trips with late acknowledgements (40 ms) took %v in sum, the least %v", time.Duration(sum), time.Duration(least))
	}
	a.do("close c")
	b.do("drain s")
	b.do("close s")
	a.soon(t, nil, "tcp_closes", 1)
	a.mark().same(t, "tcp_rtt/count", before+11)
	lossless(t, s)
}

// What Go's net.Listen makes since 1.24, older than we and younger.
func TestMPTCPListeners(t *testing.T) {
	ga, gb := newGroup(t, nil), newGroup(t, nil)
	w := startWorker(t, workerOptions{Cgroup: ga})
	old := w.do("listen old 104 7")["port"]
	s := want(t, socketNames...)
	tg, other := newTarget(t, s, socketNames, ga), newTarget(t, s, socketNames, gb)
	young := w.do("listen young 104 5")["port"]
	tg.mark().same(t, "tcp_connections/listen", 2)
	for i, at := range []int64{old, old, young} {
		w.do("connect c%d 4 %d", i, at)
	}
	s.Pass()
	for range 3 {
		m := tg.mark()
		m.same(t, "tcp_connections/listen", 2)
		m.same(t, "tcp_listen_backlog", 3)
		m.same(t, "tcp_listen_backlog_limit", 12)
	}
	w.do("accept old a")
	tg.mark().same(t, "tcp_listen_backlog", 2)
	for _, name := range []string{"old", "young"} { // socket activation
		w.tell("give %s", name)
		_, rights := w.receive()
		heir := startWorker(t, workerOptions{Cgroup: gb})
		heir.send(rights, "take l")
		closeAll(t, rights)
		w.do("close %s", name)
	}
	s.Pass()
	tg.mark()
	tg.mark().same(t, "tcp_connections/listen", 0)
	m := other.mark()
	m.same(t, "tcp_connections/listen", 2)
	m.same(t, "tcp_listen_backlog", 2)
	m.same(t, "tcp_listen_backlog_limit", 12)
	lossless(t, s)
}
