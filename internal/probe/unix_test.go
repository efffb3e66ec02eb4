package probe

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/kerneltest"
)

var unixNames = []string{"unix_bytes", "unix_messages"}

// unixActions: "unix pair TYPE N BYTES" sends N messages over a pair of sockets and
// reads each, after a look at it; "unix listen NAME TYPE" and "unix connect NAME TYPE PID
// LISTENER [bound]" meet in the abstract name space, the latter with a name of its own
// if it is bound; "unix each TYPE PID LISTENER TIMES" asks once on each connection.
func unixActions() map[string]action {
	return map[string]action{"unix": func(j *job, args []string) (answer, error) {
		switch args[0] {
		case "pair":
			return unixPair(number(args, 1), number(args, 2), number(args, 3))
		case "listen":
			fd, err := unixSocket(number(args, 2), args[1])
			j.fds[args[1]] = fd
			return answer{"pid": int64(os.Getpid())}, errors.Join(err, unix.Listen(fd, 8))
		case "connect":
			name := ""
			if len(args) > 5 {
				name = args[1]
			}
			fd, err := unixSocket(number(args, 2), name)
			j.fds[args[1]] = fd
			return nil, errors.Join(err, unix.Connect(fd, unixAddress(number(args, 3), args[4])))
		}
		for range number(args, 4) {
			fd, err := unixSocket(number(args, 1), "")
			if err := errors.Join(err, unix.Connect(fd, unixAddress(number(args, 2), args[3]))); err != nil {
				return nil, err
			}
			if _, err := ask(fd, 1, 1); err != nil {
				return nil, err
			}
			unix.Close(fd)
		}
		return nil, nil
	}}
}

func unixAddress(pid int, name string) unix.Sockaddr {
	return &unix.SockaddrUnix{Name: fmt.Sprintf("@viperprobe-test-%d-%s", pid, name)}
}

// unixSocket makes a socket, bound where it has a name.
func unixSocket(kind int, name string) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err == nil && name != "" {
		err = unix.Bind(fd, unixAddress(os.Getpid(), name))
	}
	return fd, err
}

func unixPair(kind, n, bytes int) (answer, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	a, b := answer{}, make([]byte, 1<<16)
	for range n {
		if err := unix.Sendto(pair[0], payload[:bytes], 0, nil); err != nil {
			return nil, err
		}
		for _, flags := range []int{unix.MSG_PEEK, 0} {
			n, _, err := unix.Recvfrom(pair[1], b, flags)
			if err != nil {
				return nil, err
			}
			if flags == 0 {
				a["messages"]++
				a["bytes"] += int64(n)
			}
		}
	}
	if _, _, err := unix.Recvfrom(pair[1], b, unix.MSG_DONTWAIT); err != unix.EAGAIN {
		return nil, fmt.Errorf("read where nothing was: %v", err)
	}
	if err := unix.Close(pair[0]); err != nil {
		return nil, err
	}
	if kind == unix.SOCK_STREAM { // its end is no message
		if n, _, err := unix.Recvfrom(pair[1], b, 0); n != 0 || err != nil {
			return nil, fmt.Errorf("read %d bytes at the end: %v", n, err)
		}
	}
	return a, unix.Close(pair[1])
}

// A talk is a worker whose every message is accounted for: commands and answers go
// over a pair of AF_UNIX sockets too.
type talk struct {
	*worker
	*target
	want mark
}

func newTalk(t *testing.T, s *Set) *talk {
	g := newGroup(t, nil)
	k := &talk{target: newTarget(t, s, unixNames, g), want: mark{}}
	k.worker = startWorker(t, workerOptions{Cgroup: g})
	k.add("hello", nil)
	return k
}

func (k *talk) add(command string, a answer) {
	reply, err := json.Marshal(message{Values: a})
	if err != nil {
		k.worker.t.Fatal(err)
	}
	k.moved("in", 1, len(command))
	k.moved("out", 1, len(reply))
}

func (k *talk) moved(direction string, messages, bytes int) {
	k.want["unix_messages/"+direction] += uint64(messages)
	k.want["unix_bytes/"+direction] += uint64(messages * bytes)
}

func (k *talk) do(format string, args ...any) answer {
	a := k.worker.do(format, args...)
	k.add(fmt.Sprintf(format, args...), a)
	return a
}

// check waits for the hook of the last answer, which comes behind it.
func (k *talk) check(t *testing.T) {
	t.Helper()
	for name, want := range k.want {
		k.soon(t, nil, name, want)
	}
}

func TestUnixBytes(t *testing.T) {
	for _, rung := range []int{0, 1} {
		t.Run(fmt.Sprintf("rung%d", rung), func(t *testing.T) {
			s := ladderSet(t, "unix", rung, "6.1.", unixNames...)
			if s == nil {
				return
			}
			kerneltest.Exact(t, unixNames...)
			k, peer := newTalk(t, s), newTalk(t, s)
			for _, kind := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_SEQPACKET} {
				for _, bytes := range []int{1234, 0} {
					if bytes == 0 && kind == unix.SOCK_STREAM {
						continue
					}
					a := k.do("unix pair %d 100 %d", kind, bytes)
					if a["messages"] != 100 || a["bytes"] != int64(100*bytes) {
						t.Fatalf("worker: %v", a)
					}
					k.moved("in", 100, bytes)
					k.moved("out", 100, bytes)
					k.check(t)
				}
			}
			// The client makes the server's socket, and each has its own messages.
			pid := k.do("unix listen l %d", unix.SOCK_STREAM)["pid"]
			peer.do("unix connect c %d %d l", unix.SOCK_STREAM, pid)
			k.do("accept l s")
			for range 20 {
				peer.do("send c 300")
				k.do("recv s 300")
				k.do("send s 40")
				peer.do("recv c 40")
			}
			peer.moved("out", 20, 300)
			k.moved("in", 20, 300)
			k.moved("out", 20, 40)
			peer.moved("in", 20, 40)
			tcp := k.do("listen t 4 4")["port"] // is none of it
			peer.do("connect t 4 %d", tcp)
			peer.do("send t 1000")
			k.check(t)
			peer.check(t)
			lossless(t, s)
		})
	}
}
