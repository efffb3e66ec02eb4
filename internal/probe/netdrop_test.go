package probe

import (
	"strings"
	"testing"

	"viperprobe.dev/viperprobe/internal/kerneltest"
)

var netdropNames = []string{"packet_drops", "tcp_resets"}

// dropSum is what all slots of a test counted by a reason.
func dropSum(reason string, marks ...mark) (n uint64) {
	for _, m := range marks {
		n += m["packet_drops/"+reason] + m["node_packet_drops/"+reason]
	}
	return n
}

func TestPacketDropsByReasonAndOwner(t *testing.T) {
	s := want(t, "packet_drops", "node_packet_drops")
	kerneltest.Exact(t, "packet_drops", "node_packet_drops")
	told := s.objects["netdrop"].rungs[find(t, s, "packet_drops")[0]][0] == "netdrop_free"
	ga, gb := newGroup(t, nil), newGroup(t, nil)
	a, b := newTarget(t, s, netdropNames[:1], ga), newTarget(t, s, netdropNames[:1], gb)
	node := slotTarget(t, s, NodeSlot, "node_packet_drops")
	rest := slotTarget(t, s, RemainderSlot, "packet_drops")
	w := startWorker(t, workerOptions{Cgroup: ga, NewNet: true})
	outer, inner := newTrace(t, "skb/kfree_skb"), newTrace(t, "skb/kfree_skb")
	outer.start(t)
	oldA, oldB, oldNode, oldRest := a.mark(), b.mark(), node.mark(), rest.mark()
	inner.start(t)

	at := w.do("udp u 1")["port"] // a small buffer: most find no room
	w.do("datagrams 300 500 %d", at)
	full := 300 - uint64(w.do("count u")["datagrams"])
	w.do("close u")
	w.do("datagrams 40 10 %d", at) // nobody listens any more
	at = w.do("udp f 100000")["port"]
	w.do("deaf f on")
	w.do("datagrams 25 10 %d", at)

	inner.stop(t)
	ma, mb, mn, mr := a.mark().since(oldA), b.mark().since(oldB), node.mark().since(oldNode), rest.mark().since(oldRest)
	outer.stop(t)
	if full == 0 {
		t.Fatal("all datagrams found room")
	}
	for reason, want := range map[string]struct {
		n    uint64
		name string
	}{"buffer": {full, "SOCKET_RCVBUFF"}, "no_socket": {40, "NO_SOCKET"}, "filter": {25, "SOCKET_FILTER"}} {
		if told && reason != "no_socket" {
			ma.same(t, "packet_drops/"+reason, want.n)
		} else if n := mn["node_packet_drops/"+reason]; n < want.n {
			t.Errorf("node_packet_drops/%s = %d, want %d at least", reason, n, want.n)
		}
		got, least, most := dropSum(reason, ma, mb, mn, mr), drops(inner.events(t), want.name), drops(outer.events(t), want.name)
		if reason == "no_socket" && (got < least || got > most) {
			t.Errorf("%s: %d in sum, the kernel's trace says %d to %d", reason, got, least, most)
		}
	}
	for name, n := range mb {
		if n != 0 {
			t.Errorf("another target's %s = %d", name, n)
		}
	}
	all := uint64(0)
	for _, m := range []mark{ma, mb, mn, mr} {
		for _, n := range m {
			all += n
		}
	}
	if least, most := uint64(len(inner.events(t))), uint64(len(outer.events(t))); all < least || all > most {
		t.Errorf("%d drops in sum, the kernel's trace says %d to %d", all, least, most)
	}
	lossless(t, s)
}

func drops(events []traced, reason string) (n uint64) {
	for _, e := range events {
		if strings.HasSuffix(e.text, "reason: "+reason) {
			n++
		}
	}
	return n
}

func TestTCPResets(t *testing.T) {
	s := want(t, "tcp_resets")
	kerneltest.Exact(t, "tcp_resets")
	ga, gb := newGroup(t, nil), newGroup(t, nil)
	a, b := newTarget(t, s, netdropNames[1:], ga), newTarget(t, s, netdropNames[1:], gb)
	client, server := startWorker(t, workerOptions{Cgroup: ga}), startWorker(t, workerOptions{Cgroup: gb})
	for _, family := range []int{4, 6} {
		oldA, oldB := a.mark(), b.mark()
		at := server.do("listen l %d 16", family)["port"]
		for range 20 { // close with unread bytes: the kernel sends a reset
			client.do("connect c %d %d", family, at)
			server.do("accept l s")
			client.do("send c 10")
			server.do("close s")
			client.do("close c")
		}
		server.do("close l")
		client.do("refused 30 %d %d", family, at)
		ma, mb := a.mark().since(oldA), b.mark().since(oldB)
		mb.same(t, "tcp_resets/sent", 20)
		mb.same(t, "tcp_resets/received", 0)
		ma.same(t, "tcp_resets/received", 50)
		ma.same(t, "tcp_resets/sent", 0)
	}
	lossless(t, s)
}
