package probe

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What is beyond a target's bound, or the node's, is in its flow for all others.
func TestFlowsBeyondTheirBounds(t *testing.T) {
	for _, node := range []bool{false, true} {
		t.Run(fmt.Sprint("node=", node), func(t *testing.T) {
			s := want(t, flowNames...)
			a, b := flowSidesOnLoopback(t, s)
			o, room := s.objects["socket"], flowsOfTarget
			if node {
				room = 7
				if err := o.coll.Variables["flow_next"].Set(uint32(flowCells - room)); err != nil {
					t.Fatal(err)
				}
			}
			const addresses = 70
			port := a.do("listen l 4 1")["port"]
			a.do("close l")
			a.do("dials %d 127.1.0.1:%d", addresses, port)
			a.do("dials %d 127.1.0.1:%d", addresses, port)
			m := a.mark()
			var own, other uint64
			for name, v := range m {
				if !strings.HasPrefix(name, "flow_connect_failures/") {
					continue
				}
				if strings.HasSuffix(name, "/"+FlowOther) {
					other += v
				} else if own++; v != 2 {
					t.Errorf("%s = %d, want 2", name, v)
				}
			}
			if own != uint64(room) || other != 2*uint64(addresses-room) {
				t.Errorf("%d flows and %d failures in other, want %d and %d", own, other, room, 2*(addresses-room))
			}
			if got := s.Losses().FlowsBeyond; got != other {
				t.Errorf("%d connections counted as beyond a bound, want %d", got, other)
			}
			b.do("dials 1 127.1.0.1:%d", port)
			if _, there := b.mark()[fmt.Sprintf("flow_connect_failures/%s/127.1.0.1:%d", b.name(), port)]; there == node {
				t.Errorf("the other target has a flow of its own: %v", there)
			}
			lossless(t, s)
		})
	}
}

// A flow that is idle makes room, and begins anew when it comes back; a flow with an
// open connection stays.
func TestIdleFlowsMakeRoom(t *testing.T) {
	s := want(t, flowNames...)
	a, b := flowSidesOnLoopback(t, s)
	at := b.do("listen l 4 4")["port"]
	a.do("connect c 4 %d", at)
	b.do("accept l s")
	stays := flow(a, b, at)
	gone := b.do("listen m 4 4")["port"]
	b.do("close m")
	failures := fmt.Sprintf("flow_connect_failures/%s/127.0.0.1:%d", a.name(), gone)
	for round := range 3 {
		a.do("refused %d 4 %d", 5+round, gone)
		m := a.mark()
		m.same(t, failures, uint64(5+round))
		m.same(t, stays("connections"), 1)
		for range flowIdle + 2 {
			m = a.mark()
		}
		if _, still := m[failures]; still {
			t.Errorf("round %d: the flow is still there", round)
		}
		a.do("send c 10")
		b.do("recv s 10")
		a.mark().same(t, stays("sent_bytes"), uint64(10*(round+1)))
	}
	if n := s.objects["socket"].flows.highest(); n > 4 {
		t.Errorf("%d cells were used: those of idle flows are not used again", n)
	}
	lossless(t, s)
}

// A slot's next owner has no flows of the one before; and who was the peer of the one
// before is not taken for the next.
func TestFlowsOfAFreedSlot(t *testing.T) {
	s := want(t, flowNames...)
	a, b := flowSidesOnLoopback(t, s)
	at := b.do("listen l 4 4")["port"]
	a.do("connect c 4 %d", at)
	b.do("accept l s")
	a.do("send c 100")
	b.do("recv s 100")
	name := flow(a, b, at)
	a.mark().same(t, name("sent_bytes"), 100)
	b.kill()
	if err := s.ForgetCgroup(b.group.id); err != nil {
		t.Fatal(err)
	}
	if err := s.FreeSlot(b.slot); err != nil {
		t.Fatal(err)
	}
	c := side{group: newGroup(t, nil)}
	c.target = newTarget(t, s, flowNames, c.group)
	if c.slot != b.slot {
		t.Fatalf("the next target has slot %d, want %d", c.slot, b.slot)
	}
	if got := flowsOf(c.mark()); len(got) > 0 {
		t.Errorf("the slot's next owner has flows %q", got)
	}
	a.mark().same(t, name("sent_bytes"), 100) // told by the name that it had
	c.worker = startWorker(t, workerOptions{Cgroup: c.group})
	next := c.do("listen l 4 4")["port"]
	a.do("connect d 4 %d", next)
	c.do("accept l s")
	a.do("send d 7")
	c.do("recv s 7")
	c.mark().same(t, flow(a, c, next)("received_bytes"), 7)
	lossless(t, s)
}

// Where ends have no room to meet, peers are told by address, and clients with public
// addresses as one; that is counted.
func TestFlowsThatCannotMeet(t *testing.T) {
	s := want(t, flowNames...)
	a, b := flowSides(t, s)
	meetings := s.objects["socket"].coll.Maps["flow_meetings"]
	crowd := func() { // beside the ends of whatever else connects on this machine
		var err error
		for i := uint64(0); err == nil; i++ {
			err = meetings.Put([4]uint64{i, 1, 2, 3}, make([]byte, meetings.ValueSize()))
		}
		if !errors.Is(err, unix.E2BIG) {
			t.Fatal(err)
		}
	}
	port := b.do("offer l")["port"]
	for i, one := range []struct{ to, client, server string }{
		{"10.77.0.2", "10.77.0.1", "10.77.0.2"}, {"[fd77::2]", "fd77::1", "[fd77::2]"}, {"203.0.113.2", FlowInternet, "203.0.113.2"},
	} {
		crowd()
		a.do("dial c%d %s:%d", i, one.to, port)
		b.do("accept l s%d", i)
		a.do("send c%d 99", i)
		b.do("recv s%d 99", i)
		a.mark().same(t, fmt.Sprintf("flow_sent_bytes/%s/%s:%d", a.name(), one.server, port), 99)
		b.mark().same(t, fmt.Sprintf("flow_received_bytes/%s/%s:%d", one.client, b.name(), port), 99)
	}
	if got := s.Losses().FlowsUnmet; got == 0 {
		t.Error("no end is counted that had no room")
	}
	lossless(t, s)
}
