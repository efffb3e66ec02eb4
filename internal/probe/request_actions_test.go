package probe

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Sizes of a request and its answer.
const (
	askBytes    = 64
	answerBytes = 128
)

// requestActions are both ends of a protocol of fixed sizes.
//
//	turn listen NAME 4|6             port
//	turn give NAME, turn take NAME   a listener goes to another worker
//	turn serve NAME CONNECTIONS WAIT WORK   until the last of them ended: see serve
//	turn connect NAME 4|6 PORT
//	turn ask NAME TIMES BATCH        see ask
//	turn close NAME
//	turn each 4|6 PORT TIMES         a connection for each request
//	turn self 4|6 TIMES              both ends in one process
//	turn upload NAME TIMES BYTES     one send, then the answer
//	turn hasty NAME TIMES BYTES      one connection of uploads, answered at their first byte
func requestActions() map[string]action {
	return map[string]action{"turn": func(j *job, args []string) (answer, error) {
		do := map[string]action{"listen": turnListen, "give": turnGive, "take": turnTake, "serve": turnServe,
			"connect": turnConnect, "ask": turnAsk, "close": turnClose, "each": turnEach, "self": turnSelf,
			"upload": turnUpload, "hasty": turnHasty}[args[0]]
		return do(j, args[1:])
	}}
}

func turnListen(j *job, args []string) (answer, error) {
	fd, port, err := listen(args[1])
	j.fds[args[0]] = fd
	return answer{"port": int64(port)}, err
}

func turnGive(j *job, args []string) (answer, error) {
	j.give = []int{j.fds[args[0]]}
	return nil, nil
}

func turnTake(j *job, args []string) (answer, error) {
	j.fds[args[0]] = j.rights[0]
	return nil, nil
}

func turnServe(j *job, args []string) (answer, error) {
	return serve(j.fds[args[0]], number(args, 1), time.Duration(number(args, 2)), time.Duration(number(args, 3)))
}

func turnConnect(j *job, args []string) (answer, error) {
	fd, err := connect(args[1], number(args, 2))
	j.fds[args[0]] = fd
	return nil, err
}

func turnAsk(j *job, args []string) (answer, error) {
	return ask(j.fds[args[0]], number(args, 1), max(1, number(args, 2)))
}

func turnClose(j *job, args []string) (answer, error) {
	return nil, unix.Close(j.fds[args[0]])
}

func turnEach(_ *job, args []string) (answer, error) {
	for range number(args, 2) {
		fd, err := connect(args[0], number(args, 1))
		if err != nil {
			return nil, err
		}
		if _, err := ask(fd, 1, 1); err != nil {
			return nil, err
		}
		unix.Close(fd)
	}
	return nil, nil
}

func turnSelf(j *job, args []string) (answer, error) {
	listener, port, err := listen(args[0])
	if err != nil {
		return nil, err
	}
	defer unix.Close(listener)
	served := make(chan error)
	go func() {
		_, err := serve(listener, 1, 0, 0)
		served <- err
	}()
	fd, err := connect(args[0], port)
	if err != nil {
		return nil, err
	}
	a, err := ask(fd, number(args, 1), 1)
	unix.Close(fd)
	if fault := <-served; fault != nil {
		return nil, fault
	}
	return a, err
}

func turnUpload(j *job, args []string) (answer, error) {
	out, in := make([]byte, number(args, 2)), make([]byte, answerBytes)
	began := monotonic()
	for range number(args, 1) {
		for sent := 0; sent < len(out); { // a signal may cut it short
			n, err := unix.Write(j.fds[args[0]], out[sent:])
			if err != nil {
				return nil, err
			}
			sent += n
		}
		if _, err := full(j.fds[args[0]], in); err != nil {
			return nil, err
		}
	}
	return answer{"ns": int64(monotonic() - began)}, nil
}

func turnHasty(j *job, args []string) (answer, error) {
	fd, _, err := unix.Accept4(j.fds[args[0]], unix.SOCK_CLOEXEC)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	in, out := make([]byte, number(args, 2)), make([]byte, answerBytes)
	for range number(args, 1) {
		if _, err := full(fd, in[:1]); err != nil {
			return nil, err
		}
		if _, err := unix.Write(fd, out); err != nil {
			return nil, err
		}
		if _, err := full(fd, in[1:]); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func loopback(version string, port int) (domain int, to unix.Sockaddr) {
	if version == "6" {
		return unix.AF_INET6, &unix.SockaddrInet6{Port: port, Addr: [16]byte{15: 1}}
	}
	return unix.AF_INET, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}
}

func listen(version string) (fd, port int, err error) {
	domain, at := loopback(version, 0)
	if fd, err = unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return 0, 0, err
	}
	if err := unix.Bind(fd, at); err != nil {
		return 0, 0, err
	}
	if err := unix.Listen(fd, 64); err != nil {
		return 0, 0, err
	}
	name, err := unix.Getsockname(fd)
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		port = a.Port
	case *unix.SockaddrInet6:
		port = a.Port
	}
	return fd, port, err
}

func connect(version string, port int) (int, error) {
	domain, to := loopback(version, port)
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return 0, err
	}
	return fd, unix.Connect(fd, to)
}

// serve answers what comes on connections, one after the other. Once a request is
// there it waits, looks at it (MSG_PEEK), reads it, works, and answers in two
// sends. It says how long in sum it knows to have waited before its reads, and to
// have had requests before its answers.
func serve(listener, connections int, wait, work time.Duration) (answer, error) {
	a := answer{"requests": 0, "waited": 0, "worked": 0}
	for range connections {
		fd, from, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
		if err != nil {
			return nil, err
		}
		if _, local := from.(*unix.SockaddrUnix); !local {
			if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
				return nil, err
			}
		}
		for more := true; more; {
			if more, err = serveOne(fd, wait, work, a); err != nil {
				return nil, err
			}
		}
		unix.Close(fd)
	}
	return a, nil
}

func serveOne(fd int, wait, work time.Duration, a answer) (more bool, err error) {
	var in [askBytes]byte
	var out [answerBytes]byte
	ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for n := 0; n == 0; {
		if n, err = unix.Poll(ready, -1); err != nil && err != unix.EINTR {
			return false, err
		}
	}
	there := monotonic()
	pause(wait)
	if _, _, err := unix.Recvfrom(fd, in[:], unix.MSG_PEEK); err != nil {
		return false, err
	}
	reads := monotonic()
	if n, err := full(fd, in[:]); err != nil || n == 0 {
		return false, err
	}
	pause(work)
	a["requests"]++
	a["waited"] += int64(reads - there)
	a["worked"] += int64(monotonic() - there)
	for _, part := range [][]byte{out[:answerBytes/2], out[answerBytes/2:]} {
		if _, err := unix.Write(fd, part); err != nil {
			return false, err
		}
	}
	return true, nil
}

// ask sends requests, batch of them in one send, and reads the answers of each
// batch before the next. It says how long that took.
func ask(fd, times, batch int) (answer, error) {
	out, in := make([]byte, askBytes*batch), make([]byte, answerBytes*batch)
	began := monotonic()
	for range times {
		if _, err := unix.Write(fd, out); err != nil {
			return nil, err
		}
		if n, err := full(fd, in); err != nil || n == 0 {
			return nil, fmt.Errorf("the answer ended after %d bytes: %w", n, err)
		}
	}
	return answer{"ns": int64(monotonic() - began)}, nil
}

// full reads until b is full; 0 at the end of the stream.
func full(fd int, b []byte) (n int, err error) {
	for n < len(b) {
		m, err := unix.Read(fd, b[n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil || m == 0 {
			return 0, err
		}
		n += m
	}
	return n, nil
}

func pause(d time.Duration) {
	if d <= 0 {
		return
	}
	ts := unix.NsecToTimespec(int64(d))
	for unix.Nanosleep(&ts, &ts) == unix.EINTR {
	}
}
