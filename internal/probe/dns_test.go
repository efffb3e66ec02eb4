package probe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/kerneltest"
)

var dnsNames = []string{"dns_latency", "dns_failures"}

const (
	dnsPending = 4096 // room for queries without an answer (dns.bpf.c)
	silent     = 16   // no code of an answer: there is none
)

// dnsActions: "dns bind NAME FAMILY PORT" and "dns open NAME FAMILY CONNECTED" make UDP
// sockets, "dns ask NAME N" sends queries to port 53 and reads each answer, "dns serve
// NAME N CODE" answers, "dns both CLIENT SERVER N CODE" does both in turn, "dns flood NAME N"
// asks only, "dns tcp NAME N" and "dns answer NAME N" do it over a connection.
func dnsActions() map[string]action {
	do := map[string]func(j *job, args []string) (answer, error){
		"bind": func(j *job, args []string) (answer, error) {
			return nil, j.dnsSocket(args[0], number(args, 1), number(args, 2), false)
		},
		"open": func(j *job, args []string) (answer, error) {
			return nil, j.dnsSocket(args[0], number(args, 1), 0, number(args, 2) == 1)
		},
		"ask": func(j *job, args []string) (answer, error) {
			began := time.Now()
			for i := range number(args, 1) {
				if err := errors.Join(askName(j.fds[args[0]], i), hear(j.fds[args[0]], i)); err != nil {
					return nil, err
				}
			}
			return answer{"ns": int64(time.Since(began))}, nil
		},
		"serve": func(j *job, args []string) (answer, error) {
			for range number(args, 1) {
				if err := serveQuery(j.fds[args[0]], number(args, 2)); err != nil {
					return nil, err
				}
			}
			return nil, nil
		},
		"both": func(j *job, args []string) (answer, error) {
			for i := range number(args, 2) {
				if err := errors.Join(askName(j.fds[args[0]], i), serveQuery(j.fds[args[1]], number(args, 3)), hear(j.fds[args[0]], i)); err != nil {
					return nil, err
				}
			}
			return nil, nil
		},
		"flood": func(j *job, args []string) (answer, error) {
			for i := range number(args, 1) {
				if err := askName(j.fds[args[0]], i); err != nil {
					return nil, err
				}
			}
			return nil, nil
		},
		"tcp": func(j *job, args []string) (answer, error) {
			for i := range number(args, 1) {
				if err := errors.Join(unix.Sendto(j.fds[args[0]], framed(query(i)), 0, nil), recv(j.fds[args[0]], 14)); err != nil {
					return nil, err
				}
			}
			return nil, nil
		},
		"answer": func(j *job, args []string) (answer, error) {
			for range number(args, 1) {
				b := make([]byte, 14)
				if _, _, err := unix.Recvfrom(j.fds[args[0]], b, unix.MSG_WAITALL); err != nil {
					return nil, err
				}
				b[4] |= 0x80
				if err := unix.Sendto(j.fds[args[0]], b, 0, nil); err != nil {
					return nil, err
				}
			}
			return nil, nil
		},
	}
	return map[string]action{"dns": func(j *job, args []string) (answer, error) {
		f := do[args[0]]
		if f == nil {
			return nil, fmt.Errorf("no action dns %s", args[0])
		}
		return f(j, args[1:])
	}}
}

func (j *job) dnsSocket(name string, family, port int, connected bool) error {
	domain := unix.AF_INET
	if family == 6 {
		domain = unix.AF_INET6
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	j.fds[name] = fd
	if connected {
		return unix.Connect(fd, localhost(family, 53))
	}
	return unix.Bind(fd, localhost(family, port))
}

// query is the header of a query with a number, for one name.
func query(number int) []byte {
	b := make([]byte, 12)
	binary.BigEndian.PutUint16(b, uint16(number))
	b[2], b[5] = 1, 1 // recursion wanted; one question
	return b
}

func framed(message []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...)
}

func askName(fd, number int) error {
	to := unix.Sockaddr(nil)
	if _, err := unix.Getpeername(fd); err != nil {
		at, err := unix.Getsockname(fd)
		if err != nil {
			return err
		}
		to = localhost(4, 53)
		if _, is6 := at.(*unix.SockaddrInet6); is6 {
			to = localhost(6, 53)
		}
	}
	return unix.Sendto(fd, query(number), 0, to)
}

func hear(fd, number int) error {
	b := make([]byte, 64)
	n, _, err := unix.Recvfrom(fd, b, 0)
	if err != nil {
		return err
	}
	if got := binary.BigEndian.Uint16(b); n != 12 || got != uint16(number) {
		return fmt.Errorf("%d bytes with number %d, want the answer to %d", n, got, number)
	}
	return nil
}

func serveQuery(fd, code int) error {
	b := make([]byte, 64)
	n, from, err := unix.Recvfrom(fd, b, 0)
	if err != nil || code == silent {
		return err
	}
	b[2] |= 0x80
	b[3] = byte(code)
	return unix.Sendto(fd, b[:n], 0, from)
}

// dnsPair makes a client, who owns all sockets, and a server who answers on one of
// them: the client is not the current task when the answer comes.
func dnsPair(t *testing.T, s *Set, family int) (client, server side) {
	t.Helper()
	for _, one := range []*side{&client, &server} {
		one.group = newGroup(t, nil)
		one.target = newTarget(t, s, dnsNames, one.group)
		one.worker = startWorker(t, workerOptions{Cgroup: one.group, NewNet: one == &client})
	}
	client.do("dns bind u %d 53", family)
	client.tell("give u")
	_, rights := client.receive()
	server.send(rights, "take u")
	closeAll(t, rights)
	return client, server
}

func TestDNS(t *testing.T) {
	s := want(t, dnsNames...)
	kerneltest.Exact(t, dnsNames...)
	for _, family := range []int{4, 6} {
		client, server := dnsPair(t, s, family)
		took, asked := uint64(0), uint64(0)
		for connected := range 2 {
			client.do("dns open c%d %d %d", connected, family, connected)
			for code := range 8 {
				server.tell("dns serve u 50 %d", code)
				took += uint64(client.do("dns ask c%d 50", connected)["ns"])
				server.worker.answer()
				asked += 50
			}
		}
		m := client.mark()
		m.same(t, "dns_latency/count", asked)
		if sum := m["dns_latency/sum"]; sum == 0 || sum > took {
			t.Errorf("answers took %d ns in sum, the client says %d", sum, took)
		}
		for _, kind := range []string{"formerr", "servfail", "nxdomain", "notimp", "refused"} {
			m.same(t, "dns_failures/"+kind, 100)
		}
		m.same(t, "dns_failures/other", 200)
		m.same(t, "dns_failures/timeout", 0)
		for name, n := range server.mark() {
			if n != 0 {
				t.Errorf("the server's %s = %d", name, n)
			}
		}
	}
	lossless(t, s)
}

func TestDNSOverTCP(t *testing.T) {
	s := want(t, dnsNames...)
	g := newGroup(t, nil)
	tg := newTarget(t, s, dnsNames, g)
	client, server := startWorker(t, workerOptions{Cgroup: g, NewNet: true}), startWorker(t, workerOptions{})
	for _, family := range []int{4, 6} {
		client.do("listen l%d %d 4 53", family, family)
		client.do("connect c%d %d 53", family, family)
		client.do("accept l%d s", family)
		client.tell("give s")
		_, rights := client.receive()
		server.send(rights, "take s")
		closeAll(t, rights)
		old := tg.mark()
		server.tell("dns answer s 30")
		client.do("dns tcp c%d 30", family)
		server.answer()
		tg.mark().since(old).same(t, "dns_latency/count", 30)
	}
	lossless(t, s)
}

// What nobody answers is told after 5 s, and makes room again; there is room for a
// bounded number, and what finds none is counted.
func TestDNSTimeouts(t *testing.T) {
	s := want(t, dnsNames...)
	client, server := dnsPair(t, s, 4)
	client.do("dns open c 4 0")
	server.tell("dns serve u 7 %d", silent)
	client.do("dns flood c 7")
	client.do("dns flood c 7") // asked again: the same queries
	server.worker.answer()
	client.mark().same(t, "dns_failures/timeout", 0)
	eventually(t, "what was not answered for 5 s", func() bool { return client.mark()["dns_failures/timeout"] >= 7 })
	m := client.mark()
	m.same(t, "dns_failures/timeout", 7)
	m.same(t, "dns_latency/count", 0)
	lossless(t, s)
	client.do("dns flood c %d", dnsPending+60)
	if n := kernelCount(t, s, "dns", "vp_failed"); n != 60 {
		t.Errorf("%d queries found no room, want 60", n)
	}
}

// Datagrams to other ports are none of it.
func TestDNSPassesOthersOver(t *testing.T) {
	s := want(t, dnsNames...)
	client, _ := dnsPair(t, s, 4)
	client.do("echo 4 50 12")
	client.do("dns bind d 4 5353")
	client.do("datagrams 20 12 5353")
	for name, n := range client.mark() {
		if n != 0 {
			t.Errorf("%s = %d", name, n)
		}
	}
	lossless(t, s)
}
