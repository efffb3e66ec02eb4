package probe

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"viperprobe.dev/viperprobe/internal/kerneltest"
	"viperprobe.dev/viperprobe/internal/metric"
)

var flowNames = []string{"flow_sent_bytes", "flow_received_bytes", "flow_retransmits", "flow_connects", "flow_connect_failures", "flow_connect_time",
	"flow_connections", "flow_srtt"}

// flowSides are two workers in cgroups, and in network namespaces that a cable joins.
func flowSides(t testing.TB, s *Set) (a, b side) {
	t.Helper()
	for _, one := range []*side{&a, &b} {
		one.group = newGroup(t, nil)
		one.target = newTarget(t, s, flowNames, one.group)
		one.worker = startWorker(t, workerOptions{Cgroup: one.group, NewNet: true})
	}
	a.do("cable %d", b.pid)
	for i, one := range []side{a, b} {
		one.do("address 10.77.0.%d 24", i+1)
		one.do("address 203.0.113.%d 24", i+1)
		one.do("address fd77::%d 64", i+1)
	}
	return a, b
}

func (x side) name() string { return fmt.Sprint("slot ", x.slot) }

// flow is the name in a mark of a family between two targets at a port.
func flow(client, server side, port int64) func(family string) string {
	return func(family string) string {
		return fmt.Sprintf("flow_%s/%s/%s:%d", family, client.name(), server.name(), port)
	}
}

// flowsOf are the labels of all flows in a mark.
func flowsOf(m mark) []string {
	var out []string
	for name := range m {
		if labels, ok := strings.CutPrefix(name, "flow_connects/"); ok {
			out = append(out, labels)
		}
	}
	slices.Sort(out)
	return out
}

// Both ends tell the same of each other, across network namespaces.
func TestFlowsBetweenTargets(t *testing.T) {
	for _, to := range []string{"10.77.0.2", "[fd77::2]", "[::ffff:10.77.0.2]", "203.0.113.2"} {
		t.Run(to, func(t *testing.T) { exactOnce(t, func(t testing.TB) { flowsBetweenTargets(t, to) }) })
	}
	kerneltest.Exact(t, flowNames[:2]...)
	kerneltest.Exact(t, "flow_connects", "flow_connections", "flow_srtt")
}

func flowsBetweenTargets(t testing.TB, to string) {
	s := want(t, flowNames...)
	a, b := flowSides(t, s)
	port := b.do("offer l")["port"]
	name := flow(a, b, port)
	a.do("dial c %s:%d", to, port)
	b.do("accept l s")
	const there, back = 1_000_003, 500_001
	a.tell("send c %d", there)
	b.do("recv s %d", there)
	a.worker.answer()
	b.tell("send s %d", back)
	a.do("recv c %d", back)
	b.worker.answer()
	for _, one := range []struct {
		side
		socket         string
		sent, received uint64
	}{{a, "c", there, back}, {b, "s", back, there}} {
		m := one.mark()
		m.same(t, name("sent_bytes"), one.sent)
		m.same(t, name("received_bytes"), one.received)
		m.same(t, name("connects"), 1)
		m.same(t, name("connections"), 1)
		m.same(t, name("connect_failures"), 0)
		i := one.do("info %s", one.socket)
		m.same(t, name("srtt"), uint64(i["rtt"])*1000)
		m.same(t, name("retransmits"), uint64(i["retransmits"]))
		if got := flowsOf(m); len(got) != 1 {
			t.Errorf("%s has flows %q, want one", one.name(), got)
		}
	}
	if m := a.mark(); m[name("connect_time")] == 0 || m[name("connect_time")] > 10e9 {
		t.Errorf("connect took %d ns", m[name("connect_time")])
	}
	b.mark().same(t, name("connect_time"), 0)
	a.do("close c")
	b.do("drain s")
	b.do("close s")
	a.soon(t, nil, name("connections"), 0)
	b.soon(t, nil, name("connections"), 0)
	a.mark().same(t, name("sent_bytes"), there)
	b.mark().same(t, name("sent_bytes"), back)
	lossless(t, s)
}

// Connections that live for less than a tick, all in one flow at each end, whoever runs
// when they are made and end; and those that fail, by the address where nobody is.
func TestFlowsByTheHundred(t *testing.T) {
	exactOnce(t, func(t testing.TB) {
		s := want(t, append(slices.Clone(flowNames), "tcp_connect_latency")...)
		a, b := flowSidesOnLoopback(t, s)
		a.families = append(a.families, find(t, s, "tcp_connect_latency")...)
		if err := s.Switch(a.slot, a.families); err != nil {
			t.Fatal(err)
		}
		const connections, bytes = 400, 1999
		at := b.do("listen l 4 128")["port"]
		name := flow(a, b, at)
		b.tell("serve l %d", connections)
		a.do("many %d %d 4 %d", connections, bytes, at)
		b.worker.answer()
		a.soon(t, nil, name("sent_bytes"), connections*bytes)
		b.soon(t, nil, name("received_bytes"), connections*bytes)
		b.soon(t, nil, name("connects"), connections)
		m := a.mark()
		m.same(t, name("connects"), connections)
		m.same(t, name("connect_time"), m["tcp_connect_latency/sum"])
		m.same(t, name("received_bytes"), 0)
		if got := flowsOf(m); len(got) != 1 {
			t.Errorf("flows %q, want one", got)
		}
		if got := flowsOf(b.mark()); len(got) != 1 {
			t.Errorf("flows %q, want one", got)
		}
		b.do("close l")
		a.do("refused 30 4 %d", at)
		a.do("refused 20 6 %d", at)
		m = a.mark()
		m.same(t, fmt.Sprintf("flow_connect_failures/%s/127.0.0.1:%d", a.name(), at), 30)
		m.same(t, fmt.Sprintf("flow_connect_failures/%s/[::1]:%d", a.name(), at), 20)
		m.same(t, fmt.Sprintf("flow_connects/%s/[::1]:%d", a.name(), at), 0)
		m.same(t, name("connect_failures"), 0)
		lossless(t, s)
	})
	kerneltest.Exact(t, "flow_connect_failures", "flow_connect_time")
}

func TestFlowRetransmits(t *testing.T) {
	s := want(t, flowNames...)
	a, b := flowSidesOnLoopback(t, s)
	at := b.do("listen l 4 4")["port"]
	a.do("connect c 4 %d", at)
	b.do("accept l s")
	b.do("deaf s on")
	a.do("send c 3000")
	eventually(t, "two retransmissions", func() bool { return a.do("info c")["retransmits"] >= 2 })
	b.do("deaf s off")
	b.do("recv s 3000")
	name := flow(a, b, at)
	a.soon(t, nil, name("retransmits"), uint64(a.do("info c")["retransmits"]))
	a.mark().same(t, name("sent_bytes"), 3000)
	b.mark().same(t, name("retransmits"), 0)
	kerneltest.Exact(t, "flow_retransmits")
	lossless(t, s)
}

// flowSidesOnLoopback are two workers in one network namespace.
func flowSidesOnLoopback(t testing.TB, s *Set) (a, b side) {
	t.Helper()
	for _, one := range []*side{&a, &b} {
		one.group = newGroup(t, nil)
		one.target = newTarget(t, s, flowNames, one.group)
		one.worker = startWorker(t, workerOptions{Cgroup: one.group})
	}
	return a, b
}

// What is in no target is the remainder's; what a target says to itself is told once.
func TestFlowsOfTheRemainderAndOfOneself(t *testing.T) {
	s := want(t, flowNames...)
	a, _ := flowSidesOnLoopback(t, s)
	rest := startWorker(t, workerOptions{})
	at := rest.do("listen l 4 4")["port"]
	a.do("connect c 4 %d", at)
	rest.do("accept l s")
	a.do("send c 1234")
	rest.do("recv s 1234")
	own := a.do("listen l 4 4")["port"]
	a.do("connect d 4 %d", own)
	a.do("accept l e")
	a.do("send d 77")
	a.do("recv e 77")
	a.do("send e 5")
	a.do("recv d 5")
	m := a.mark()
	m.same(t, fmt.Sprintf("flow_sent_bytes/%s/slot 0:%d", a.name(), at), 1234)
	itself := flow(a, a, own)
	m.same(t, itself("sent_bytes"), 77)
	m.same(t, itself("received_bytes"), 5)
	m.same(t, itself("connects"), 1)
	m.same(t, itself("connections"), 1)
	lossless(t, s)
}

// Connections that are older than the wish for flows: which side they are is told by
// who listens.
func TestFlowsOlderThanTheWish(t *testing.T) {
	for _, attached := range []bool{false, true} {
		t.Run(fmt.Sprint("attached=", attached), func(t *testing.T) {
			ga, gb := newGroup(t, nil), newGroup(t, nil)
			a, b := side{worker: startWorker(t, workerOptions{Cgroup: ga})}, side{worker: startWorker(t, workerOptions{Cgroup: gb})}
			s, _ := open(t)
			if attached {
				works(t, s, "tcp_sent_bytes", "tcp_received_bytes")
			}
			at := b.do("listen l 4 4")["port"]
			a.do("connect c 4 %d", at)
			b.do("accept l s")
			a.do("send c 5000")
			b.do("recv s 5000")
			if err := s.Tick(); err != nil { // what was sent so far counts for who wants it now: nobody
				t.Fatal(err)
			}
			a.target, b.target = newTarget(t, s, flowNames, ga), newTarget(t, s, flowNames, gb)
			works(t, s, append(slices.Clone(flowNames), "tcp_sent_bytes")...)
			name := flow(a, b, at)
			a.mark() // the first end that is looked at hears of the other in the next pass
			a.mark()
			a.do("send c 7000")
			b.do("recv s 7000")
			b.do("send s 300")
			a.do("recv c 300")
			a.soon(t, nil, name("received_bytes"), 300)
			m := a.mark()
			m.same(t, name("sent_bytes"), 7000)
			m.same(t, name("connections"), 1)
			m.same(t, name("connects"), 0)
			m = b.mark()
			m.same(t, name("sent_bytes"), 300)
			m.same(t, name("received_bytes"), 7000)
			lossless(t, s)
		})
	}
}

// A socket that is passed on counts in its new holder's flow from the next pass on.
func TestFlowPassedOn(t *testing.T) {
	s := want(t, flowNames...)
	a, b := flowSidesOnLoopback(t, s)
	peer := startWorker(t, workerOptions{})
	at := peer.do("listen l 4 4")["port"]
	a.do("connect c 4 %d", at)
	peer.do("accept l s")
	a.do("send c 1200")
	a.tell("give c")
	_, rights := a.receive()
	b.send(rights, "take c")
	closeAll(t, rights)
	a.do("close c")
	s.Pass()
	of := func(x side, family string) string { return fmt.Sprintf("flow_%s/%s/slot 0:%d", family, x.name(), at) }
	a.mark().same(t, of(a, "sent_bytes"), 1200)
	b.do("send c 34")
	peer.do("recv s 1234")
	b.mark().same(t, of(b, "sent_bytes"), 34)
	b.mark().same(t, of(b, "connects"), 0)
	b.mark().same(t, of(b, "connections"), 1)
	m := a.mark()
	m.same(t, of(a, "sent_bytes"), 1200)
	m.same(t, of(a, "connections"), 0)
	lossless(t, s)
}

// Off, nothing is counted; on again, nothing of it comes back, and counts begin anew.
func TestFlowsSwitched(t *testing.T) {
	s := want(t, flowNames...)
	a, b := flowSidesOnLoopback(t, s)
	at := b.do("listen l 4 4")["port"]
	name := flow(a, b, at)
	a.do("connect c 4 %d", at)
	b.do("accept l s")
	talk := func(n int) { a.do("send c %d", n); b.do("recv s %d", n) }
	turn := func(on []*metric.Family) {
		t.Helper()
		if err := s.Switch(a.slot, on); err != nil {
			t.Fatal(err)
		}
	}
	talk(100)
	a.mark().same(t, name("sent_bytes"), 100)
	for range 100 {
		turn(nil)
		talk(1000)
		if got := flowsOf(a.mark()); len(got) > 0 {
			t.Fatalf("switched off, there are flows %q", got)
		}
		turn(a.families)
		talk(10)
		m := a.mark()
		m.same(t, name("sent_bytes"), 10)
		m.same(t, name("connections"), 1)
	}
	b.mark().same(t, name("received_bytes"), 100+100*1010) // nobody switched it
	lossless(t, s)
}
