package probe

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/kerneltest"
)

var unixRequestNames = []string{"unix_requests", "unix_request_latency", "unix_request_wait"}

// eachUnixRung runs a test by each rung that this kernel has.
func eachUnixRung(t *testing.T, test func(t *testing.T, s *Set)) {
	for _, rung := range []int{0, 1} {
		t.Run(fmt.Sprintf("rung%d", rung), func(t *testing.T) {
			if s := ladderSet(t, "unixrequest", rung, "6.1.", unixRequestNames...); s != nil {
				kerneltest.Exact(t, unixRequestNames...)
				test(t, s)
				lossless(t, s)
			}
		})
	}
}

// unixTurns checks what a target counted: n requests served, m asked.
func (m mark) unixTurns(t *testing.T, served, asked uint64) {
	t.Helper()
	m.same(t, "unix_requests/server", served)
	m.same(t, "unix_request_latency/server/count", served)
	m.same(t, "unix_requests/client", asked)
	m.same(t, "unix_request_latency/client/count", asked)
	if waits := m["unix_request_wait/count"]; waits > served {
		t.Errorf("%d waits of %d requests", waits, served)
	}
}

func TestUnixRequests(t *testing.T) {
	eachUnixRung(t, func(t *testing.T, s *Set) {
		server, sw := requestTarget(t, s, unixRequestNames...)
		client, cw := requestTarget(t, s, unixRequestNames...)
		for kind, name := range map[int]string{unix.SOCK_STREAM: "stream", unix.SOCK_SEQPACKET: "packets"} {
			pid := sw.do("unix listen %s %d", name, kind)["pid"]
			for _, bound := range []string{"", "bound"} { // a client with a name is no server
				oldServer, oldClient := server.mark(), client.mark()
				sw.tell("turn serve %s 1 0 0", name)
				cw.do("unix connect %s%s %d %d %[1]s %[2]s", name, bound, kind, pid)
				cw.do("turn ask %s%s 1000 1", name, bound)
				cw.do("turn close %s%s", name, bound)
				if n := sw.answer()["requests"]; n != 1000 {
					t.Fatalf("served %d requests", n)
				}
				server.mark().since(oldServer).unixTurns(t, 1000, 0)
				client.mark().since(oldClient).unixTurns(t, 0, 1000)
			}
			oldServer, oldClient := server.mark(), client.mark()
			sw.tell("turn serve %s 150 0 0", name)
			cw.do("unix each %d %d %s 150", kind, pid, name)
			sw.answer()
			server.mark().since(oldServer).unixTurns(t, 150, 0)
			client.mark().since(oldClient).unixTurns(t, 0, 150)

			oldClient = client.mark()
			cw.do("unix pair %d 100 10", kind) // nobody's requests
			client.mark().since(oldClient).unixTurns(t, 0, 0)
		}
		old := server.mark()
		port := sw.do("turn listen tcp 4")["port"] // is another family's
		sw.tell("turn serve tcp 1 0 0")
		cw.do("turn each 4 %d 1", port)
		sw.answer()
		server.mark().since(old).unixTurns(t, 0, 0)
	})
}

// Requests in one send that the server reads one by one: only the first was sent since
// the last read, as far as we can see.
func TestPipelinedUnixRequests(t *testing.T) {
	eachUnixRung(t, func(t *testing.T, s *Set) {
		server, sw := requestTarget(t, s, unixRequestNames...)
		client, cw := requestTarget(t, s, unixRequestNames...)
		pid := sw.do("unix listen l %d", unix.SOCK_STREAM)["pid"]
		cw.do("unix connect c %d %d l", unix.SOCK_STREAM, pid)
		sw.tell("turn serve l 1 %d 0", 2*time.Millisecond) // so that each send returns before the read
		cw.do("turn ask c 20 5")
		cw.do("turn close c")
		sw.answer()
		m := server.mark()
		m.unixTurns(t, 100, 0)
		m.same(t, "unix_request_wait/count", 20)
		client.mark().unixTurns(t, 0, 100)
	})
}

// What the two ends know of themselves bounds every figure of ours.
func TestUnixRequestTimes(t *testing.T) {
	eachUnixRung(t, func(t *testing.T, s *Set) {
		server, sw := requestTarget(t, s, unixRequestNames...)
		client, cw := requestTarget(t, s, unixRequestNames...)
		pid := sw.do("unix listen l %d", unix.SOCK_STREAM)["pid"]
		cw.do("unix connect c %d %d l", unix.SOCK_STREAM, pid)
		const n, wait, work = 20, 3 * time.Millisecond, 7 * time.Millisecond
		sw.tell("turn serve l 1 %d %d", wait, work)
		asked := uint64(cw.do("turn ask c %d 1", n)["ns"])
		cw.do("turn close c")
		sw.answer()
		m, out := server.mark(), client.mark()
		m.unixTurns(t, n, 0)
		out.unixTurns(t, 0, n)
		m.same(t, "unix_request_wait/count", n)
		latency := m["unix_request_latency/server/sum"]
		between(t, "latency", latency, n*uint64(wait+work)*9/10, asked)
		between(t, "wait", m["unix_request_wait/sum"], n*uint64(wait)*9/10, asked-n*uint64(work))
		out.same(t, "unix_request_latency/client/sum", latency)
	})
}

// A connection that one target opened, and another uses, when it is older than we.
func TestUnixRequestsBelongToWhoSendsThem(t *testing.T) {
	s, _ := open(t)
	sg, og, ug := newGroup(t, nil), newGroup(t, nil), newGroup(t, nil)
	sw, ow, uw := startWorker(t, workerOptions{Cgroup: sg}), startWorker(t, workerOptions{Cgroup: og}), startWorker(t, workerOptions{Cgroup: ug})
	pid := sw.do("unix listen l %d", unix.SOCK_STREAM)["pid"]
	ow.do("unix connect c %d %d l", unix.SOCK_STREAM, pid)
	sw.tell("turn serve l 1 %d 0", time.Millisecond) // the asker is known before it is answered
	ow.do("turn ask c 3 1")
	works(t, s, unixRequestNames...)
	server, opener, user := newTarget(t, s, unixRequestNames, sg), newTarget(t, s, unixRequestNames, og), newTarget(t, s, unixRequestNames, ug)
	ow.do("turn ask c 5 1")
	ow.tell("turn give c")
	_, fds := ow.receive()
	uw.send(fds, "turn take c")
	if err := unix.Close(fds[0]); err != nil {
		t.Fatal(err)
	}
	uw.do("turn ask c 7 1")
	opener.mark().unixTurns(t, 0, 5)
	user.mark().unixTurns(t, 0, 7)
	server.mark().unixTurns(t, 12, 0)
	lossless(t, s)
}
