package probe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/kerneltest"
)

var requestNames = []string{"requests", "request_latency", "request_wait", "outbound_requests", "outbound_latency"}

// wantRequests makes a set by the given rung of the request group; nil where this
// kernel has no such hook (sock_*_length came with 6.4).
func wantRequests(t *testing.T, rung int) *Set {
	t.Helper()
	s := wantRung(t, "request", rung, requestNames...)
	if s == nil && rung > 0 {
		t.Fatal("this kernel refuses a rung that the catalogue says it has")
	}
	return s
}

// eachRung runs a test by each rung that this kernel has; one at least.
func eachRung(t *testing.T, test func(t *testing.T, s *Set)) {
	ran := 0
	for _, rung := range rungs(2) {
		t.Run(fmt.Sprintf("rung%d", rung), func(t *testing.T) {
			if s := wantRequests(t, rung); s != nil {
				ran++
				test(t, s)
				lossless(t, s)
			}
		})
	}
	if ran == 0 {
		t.Error("no rung works on this kernel")
	}
}

// requestTarget makes a target with one worker, for the families of TCP or AF_UNIX.
func requestTarget(t *testing.T, s *Set, names ...string) (*target, *worker) {
	t.Helper()
	if len(names) == 0 {
		names = requestNames
	}
	g := newGroup(t, nil)
	return newTarget(t, s, names, g), startWorker(t, workerOptions{Cgroup: g})
}

// between fails the test when a sum is not within what the two ends know.
func between(t *testing.T, name string, got, low, high uint64) {
	t.Helper()
	if got < low || got > high {
		t.Errorf("%s is %d ns in sum, want %d to %d", name, got, low, high)
	}
}

// turns checks what one end counted: n requests served, m asked.
func (m mark) turns(t *testing.T, served, asked uint64) {
	t.Helper()
	m.same(t, "requests", served)
	m.same(t, "request_latency/count", served)
	m.same(t, "request_wait/count", served)
	m.same(t, "outbound_requests", asked)
	m.same(t, "outbound_latency/count", asked)
}

func TestRequestsOfTwoTargets(t *testing.T) {
	kerneltest.Exact(t, "requests", "outbound_requests")
	eachRung(t, func(t *testing.T, s *Set) {
		server, sw := requestTarget(t, s)
		client, cw := requestTarget(t, s)
		for _, version := range []string{"4", "6"} {
			port := sw.do("turn listen l %s", version)["port"]
			oldServer, oldClient := server.mark(), client.mark()
			sw.tell("turn serve l 1 0 0") // kept alive
			cw.do("turn connect c %s %d", version, port)
			cw.do("turn ask c 2000 1")
			cw.do("turn close c")
			if n := sw.answer()["requests"]; n != 2000 {
				t.Fatalf("served %d requests", n)
			}
			server.mark().since(oldServer).turns(t, 2000, 0)
			client.mark().since(oldClient).turns(t, 0, 2000)

			oldServer, oldClient = server.mark(), client.mark()
			sw.tell("turn serve l 150 0 0")
			cw.do("turn each %s %d 150", version, port)
			sw.answer()
			server.mark().since(oldServer).turns(t, 150, 0)
			client.mark().since(oldClient).turns(t, 0, 150)
		}
	})
}

// In network namespaces of their own: the same ports, and nobody is confused.
func TestRequestsInNetworkNamespaces(t *testing.T) {
	s := want(t, requestNames...)
	for i := range 3 {
		g := newGroup(t, nil)
		tg := newTarget(t, s, requestNames, g)
		w := startWorker(t, workerOptions{Cgroup: g, NewNet: true})
		w.do("turn self 4 %d", 100+i)
		tg.mark().turns(t, uint64(100+i), uint64(100+i))
	}
	lossless(t, s)
}

// What the two ends know of themselves bounds every figure of ours.
func TestRequestTimes(t *testing.T) {
	kerneltest.Exact(t, "request_latency", "request_wait", "outbound_latency")
	eachRung(t, func(t *testing.T, s *Set) {
		server, sw := requestTarget(t, s)
		client, cw := requestTarget(t, s)
		port := sw.do("turn listen l 4")["port"]
		cw.do("turn connect c 4 %d", port)
		const n, wait, work = 20, 3 * time.Millisecond, 7 * time.Millisecond
		sw.tell("turn serve l 1 %d %d", wait, work)
		asked := uint64(cw.do("turn ask c %d 1", n)["ns"])
		cw.do("turn close c")
		served := sw.answer()
		m, out := server.mark(), client.mark()
		m.turns(t, n, 0)
		out.turns(t, 0, n)
		between(t, "request_latency", m["request_latency/sum"], uint64(served["worked"]), asked)
		between(t, "request_wait", m["request_wait/sum"], uint64(served["waited"]), asked-n*uint64(work))
		between(t, "outbound_latency", out["outbound_latency/sum"], n*uint64(wait+work)*9/10, asked)
	})
}

// Requests in one segment: a server that reads them one by one has them counted,
// and only the first waited as far as we can see; for the client they are one.
func TestPipelinedRequests(t *testing.T) {
	eachRung(t, func(t *testing.T, s *Set) {
		server, sw := requestTarget(t, s)
		client, cw := requestTarget(t, s)
		port := sw.do("turn listen l 4")["port"]
		cw.do("turn connect c 4 %d", port)
		sw.tell("turn serve l 1 0 0")
		cw.do("turn ask c 30 5")
		cw.do("turn close c")
		sw.answer()
		m := server.mark()
		m.same(t, "requests", 150)
		m.same(t, "request_latency/count", 150)
		m.same(t, "request_wait/count", 30)
		client.mark().same(t, "outbound_requests", 30)
	})
}

// The listener's maker is one target, who accepts is another: systemd and a
// service that it starts at the first connection.
func TestRequestsBelongToWhoReadsThem(t *testing.T) {
	s := want(t, requestNames...)
	maker, mw := requestTarget(t, s)
	server, sw := requestTarget(t, s)
	port := mw.do("turn listen l 4")["port"]
	mw.tell("turn give l")
	_, fds := mw.receive()
	if len(fds) != 1 {
		t.Fatalf("%d descriptors came", len(fds))
	}
	sw.send(fds, "turn take l")
	if err := unix.Close(fds[0]); err != nil {
		t.Fatal(err)
	}
	sw.tell("turn serve l 1 0 0")
	g := newGroup(t, nil)
	cw := startWorker(t, workerOptions{Cgroup: g})
	cw.do("turn each 4 %d 1", port)
	sw.answer()
	maker.mark().turns(t, 0, 0)
	server.mark().turns(t, 1, 0)
	lossless(t, s)
}

// A connection that one target opened and another uses is the user's.
func TestOutboundRequestsBelongToWhoSendsThem(t *testing.T) {
	s := want(t, requestNames...)
	opener, ow := requestTarget(t, s)
	user, uw := requestTarget(t, s)
	sw := startWorker(t, workerOptions{})
	port := sw.do("turn listen l 4")["port"]
	sw.tell("turn serve l 1 0 0")
	ow.do("turn connect c 4 %d", port)
	ow.do("turn ask c 5 1")
	ow.tell("turn give c")
	_, fds := ow.receive()
	uw.send(fds, "turn take c")
	if err := unix.Close(fds[0]); err != nil {
		t.Fatal(err)
	}
	uw.do("turn ask c 7 1")
	opener.mark().turns(t, 0, 5)
	user.mark().turns(t, 0, 7)
	lossless(t, s)
}

// The hook is at the return of a send: an answer that came before it counts too.
func TestOutboundAnswersThatOvertakeTheSend(t *testing.T) {
	eachRung(t, func(t *testing.T, s *Set) {
		client, cw := requestTarget(t, s)
		sw := startWorker(t, workerOptions{})
		port := sw.do("turn listen l 4")["port"]
		cw.do("turn connect c 4 %d", port)
		const n, bytes = 50, 8 << 20 // more than buffers hold: the send waits for the server's reads
		sw.tell("turn hasty l %d %d", n, bytes)
		took := uint64(cw.do("turn upload c %d %d", n, bytes)["ns"])
		sw.answer()
		m := client.mark()
		m.turns(t, 0, n)
		if sum := m["outbound_latency/sum"]; sum == 0 || sum > took {
			t.Errorf("outbound_latency is %d ns in sum, the client took %d", sum, took)
		}
	})
}

func TestRequestPortsAreBounded(t *testing.T) {
	s := want(t, requestNames...)
	ports := s.objects["request"].coll.Maps["request_ports"]
	var key [16]byte
	var err error
	for i := uint64(1); err == nil; i++ { // namespaces that do not exist
		binary.NativeEndian.PutUint64(key[:], i)
		err = ports.Put(key, uint32(0))
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s.Pass()
	if err := s.Tick(); err != nil {
		t.Fatal(err)
	}
	if n := kernelCount(t, s, "request", "vp_failed"); n == 0 {
		t.Error("a listener found no room for its port, and vp_failed = 0")
	}
}

// Connections that are older than we: passive where their port has a listener.
func TestRequestsOnOlderConnections(t *testing.T) {
	s, _ := open(t)
	sg, cg := newGroup(t, nil), newGroup(t, nil)
	sw, cw := startWorker(t, workerOptions{Cgroup: sg}), startWorker(t, workerOptions{Cgroup: cg})
	port := sw.do("turn listen l 4")["port"]
	cw.do("turn connect c 4 %d", port)
	sw.tell("turn serve l 1 0 0")
	cw.do("turn ask c 3 1")
	server, client := newTarget(t, s, requestNames, sg), newTarget(t, s, requestNames, cg)
	if err := s.Want(find(t, s, requestNames...)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Switch(server.slot, server.families), s.Switch(client.slot, client.families)); err != nil {
		t.Fatal(err)
	}
	cw.do("turn ask c 100 1")
	// Switched off for the server, and on again: found by the next pass.
	if err := s.Switch(server.slot, nil); err != nil {
		t.Fatal(err)
	}
	cw.do("turn ask c 10 1")
	if err := s.Switch(server.slot, server.families); err != nil {
		t.Fatal(err)
	}
	s.Pass()
	server.mark()
	cw.do("turn ask c 40 1")
	cw.do("turn close c")
	sw.answer()
	server.mark().same(t, "requests", 140)
	client.mark().same(t, "outbound_requests", 150)
	lossless(t, s)
}

// A Go program listens on MPTCP sockets; who connects by plain TCP gets plain TCP.
func TestRequestsOfAGoListener(t *testing.T) {
	s, _ := open(t)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error)
	go func() {
		for range 2 {
			done <- echo(l)
		}
	}()
	cg := newGroup(t, nil)
	cw := startWorker(t, workerOptions{Cgroup: cg})
	port := l.Addr().(*net.TCPAddr).Port
	cw.do("turn connect old 4 %d", port)
	cw.do("turn ask old 1 1") // accepted before we are there
	if err := s.Want(find(t, s, requestNames...)); err != nil {
		t.Fatal(err)
	}
	server, client := slotTarget(t, s, RemainderSlot, requestNames...), newTarget(t, s, requestNames, cg)
	s.Pass() // the test is in no target, so it is the remainder's
	server.mark()
	cw.do("turn ask old 20 1")
	cw.do("turn close old")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	client.mark().same(t, "outbound_requests", 20)
	old := server.mark()
	if old["requests"] < 20 {
		t.Errorf("requests = %d on a connection that is older than we, want 20 at least", old["requests"])
	}
	cw.do("turn each 4 %d 1", port)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := server.mark().since(old)["requests"]; n < 1 {
		t.Errorf("requests = %d on a new connection, want 1 at least", n)
	}
}

// echo answers the requests of one connection.
func echo(l net.Listener) error {
	c, err := l.Accept()
	if err != nil {
		return err
	}
	defer c.Close()
	var in [askBytes]byte
	var out [answerBytes]byte
	for {
		if _, err := io.ReadFull(c, in[:]); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if _, err := c.Write(out[:]); err != nil {
			return err
		}
	}
}

// A connection whose reader does not want it keeps nothing.
func TestRequestStorageGoesWithTheFirstRead(t *testing.T) {
	s := want(t, requestNames...)
	storage := s.objects["request"].coll.Maps["request_sockets"]
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	a, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	has := func(conn net.Conn) bool {
		raw, err := conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		value := make([]byte, storage.ValueSize())
		var fault error
		if err := raw.Control(func(fd uintptr) { fault = storage.Lookup(int32(fd), value) }); err != nil {
			t.Fatal(err)
		}
		if fault != nil && !errors.Is(fault, ebpf.ErrKeyNotExist) {
			t.Fatal(fault)
		}
		return fault == nil
	}
	if has(c) || !has(a) {
		t.Errorf("before the first read: storage of the opened end %v, of the accepted one %v", has(c), has(a))
	}
	var b [1]byte
	if _, err := c.Write(b[:]); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Read(b[:]); err != nil {
		t.Fatal(err)
	}
	if has(a) {
		t.Error("nobody wants the accepted end, and it still has its storage")
	}
}
