package probe

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sockets are kept by name and block. A family is 4 or 6, the loopback address, and
// 104 or 106 for MPTCP.
func socketActions() map[string]action {
	return map[string]action{
		"socket": func(j *job, args []string) (answer, error) { return nil, j.socket(args[0], number(args, 1)) },
		"listen": func(j *job, args []string) (answer, error) { // name, family, backlog, port (0: any)
			return j.listen(args[0], number(args, 1), number(args, 2), number(args, 3))
		},
		"connect": func(j *job, args []string) (answer, error) { // name, family, port
			return nil, j.connect(args[0], number(args, 1), number(args, 2))
		},
		"reach": func(j *job, args []string) (answer, error) { // as connect, but does not wait for the handshake
			if err := j.socket(args[0], number(args, 1)); err != nil {
				return nil, err
			}
			if err := unix.SetNonblock(j.fds[args[0]], true); err != nil {
				return nil, err
			}
			if err := unix.Connect(j.fds[args[0]], localhost(number(args, 1), number(args, 2))); err != unix.EINPROGRESS {
				return nil, fmt.Errorf("want EINPROGRESS: %w", err)
			}
			return nil, nil
		},
		"accept": func(j *job, args []string) (answer, error) { return nil, j.accept(args[0], args[1]) }, // listener, name
		"send": func(j *job, args []string) (answer, error) { // name, bytes
			return nil, send(j.fds[args[0]], number(args, 1))
		},
		"fill": func(j *job, args []string) (answer, error) { return fill(j.fds[args[0]]) },
		"recv": func(j *job, args []string) (answer, error) { // name, bytes
			return nil, recv(j.fds[args[0]], number(args, 1))
		},
		"drain": func(j *job, args []string) (answer, error) { // name; to the end
			n, err := drain(j.fds[args[0]])
			return answer{"bytes": n}, err
		},
		"turns": func(j *job, args []string) (answer, error) { // client, server, number: there and back
			a, b := j.fds[args[0]], j.fds[args[1]]
			for range number(args, 2) {
				if err := errors.Join(send(a, 100), recv(b, 100), send(b, 100), recv(a, 100)); err != nil {
					return nil, err
				}
			}
			return nil, nil
		},
		"close": func(j *job, args []string) (answer, error) { return nil, j.close(args[0]) },
		"shutdown": func(j *job, args []string) (answer, error) {
			return nil, unix.Shutdown(j.fds[args[0]], unix.SHUT_WR)
		},
		"disconnect": func(j *job, args []string) (answer, error) { return nil, disconnect(j.fds[args[0]]) },
		"info":       func(j *job, args []string) (answer, error) { return info(j.fds[args[0]]) },
		"deaf": func(j *job, args []string) (answer, error) { // name, on or off: drop whatever arrives for a socket
			return nil, deaf(j.fds[args[0]], args[1] == "on")
		},
		"serve": func(j *job, args []string) (answer, error) { // listener, connections: accept, read to the end, close
			return j.serve(args[0], number(args, 1))
		},
		"many": func(j *job, args []string) (answer, error) { // connections, bytes each, family, port
			for range number(args, 0) {
				err := errors.Join(j.connect("many", number(args, 2), number(args, 3)), send(j.fds["many"], number(args, 1)), j.close("many"))
				if err != nil {
					return nil, err
				}
			}
			return nil, nil
		},
		"refused": func(j *job, args []string) (answer, error) { // times, family, port
			for range number(args, 0) {
				if err := j.connect("refused", number(args, 1), number(args, 2)); !errors.Is(err, unix.ECONNREFUSED) {
					return nil, fmt.Errorf("want ECONNREFUSED: %w", err)
				}
				if err := j.close("refused"); err != nil {
					return nil, err
				}
			}
			return nil, nil
		},
		"lazy": func(j *job, args []string) (answer, error) { // name: acknowledge late
			return nil, unix.SetsockoptInt(j.fds[args[0]], unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0)
		},
		"netstat":    func(*job, []string) (answer, error) { return netstat() },
		"namespaces": func(j *job, args []string) (answer, error) { return j.namespaces(number(args, 0), number(args, 1)) },
		"udp":        func(j *job, args []string) (answer, error) { return j.udp(args[0], number(args, 1)) }, // name, receive buffer
		"datagrams": func(j *job, args []string) (answer, error) { // number, bytes each, port
			return nil, datagrams(number(args, 0), number(args, 1), number(args, 2))
		},
		"count": func(j *job, args []string) (answer, error) { return countDatagrams(j.fds[args[0]]) },
		"give":  func(j *job, args []string) (answer, error) { j.give = []int{j.fds[args[0]]}; return nil, nil },
		"take":  func(j *job, args []string) (answer, error) { j.fds[args[0]] = j.rights[0]; return nil, nil },
	}
}

func localhost(family, port int) unix.Sockaddr {
	if family%100 == 6 {
		return &unix.SockaddrInet6{Port: port, Addr: [16]byte{15: 1}}
	}
	return &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}
}

func port(fd int) (int64, error) {
	at, err := unix.Getsockname(fd)
	switch at := at.(type) {
	case *unix.SockaddrInet4:
		return int64(at.Port), err
	case *unix.SockaddrInet6:
		return int64(at.Port), err
	}
	return 0, err
}

func (j *job) socket(name string, family int) error {
	domain, protocol := unix.AF_INET, unix.IPPROTO_TCP
	if family%100 == 6 {
		domain = unix.AF_INET6
	}
	if family > 100 {
		protocol = unix.IPPROTO_MPTCP
	}
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, protocol)
	j.fds[name] = fd
	return err
}

func (j *job) listen(name string, family, backlog, at int) (answer, error) {
	if _, made := j.fds[name]; !made {
		if err := j.socket(name, family); err != nil {
			return nil, err
		}
	}
	fd := j.fds[name]
	if err := errors.Join(unix.Bind(fd, localhost(family, at)), unix.Listen(fd, backlog)); err != nil {
		return nil, err
	}
	p, err := port(fd)
	return answer{"port": p}, err
}

func (j *job) connect(name string, family, port int) error {
	if _, made := j.fds[name]; !made {
		if err := j.socket(name, family); err != nil {
			return err
		}
	}
	return unix.Connect(j.fds[name], localhost(family, port))
}

func (j *job) accept(listener, name string) error {
	fd, _, err := unix.Accept4(j.fds[listener], unix.SOCK_CLOEXEC)
	j.fds[name] = fd
	return err
}

func (j *job) close(name string) error {
	fd := j.fds[name]
	delete(j.fds, name)
	return unix.Close(fd)
}

var payload [1 << 16]byte

// send and recv are system calls that syscall_io does not count.
func send(fd, n int) error {
	for n > 0 {
		sent, err := unix.SendmsgN(fd, payload[:min(n, len(payload))], nil, nil, 0)
		if err != nil {
			return err
		}
		n -= sent
	}
	return nil
}

// fill sends until nothing more is taken.
func fill(fd int) (answer, error) {
	var sum int64
	for {
		n, err := unix.SendmsgN(fd, payload[:], nil, nil, unix.MSG_DONTWAIT)
		if err == unix.EAGAIN {
			return answer{"bytes": sum}, nil
		}
		if err != nil {
			return nil, err
		}
		sum += int64(n)
	}
}

func recv(fd, n int) error {
	buf := make([]byte, 1<<16)
	for n > 0 {
		got, _, err := unix.Recvfrom(fd, buf[:min(n, len(buf))], 0)
		if err != nil || got == 0 {
			return fmt.Errorf("end of stream, %d bytes missing: %w", n, err)
		}
		n -= got
	}
	return nil
}

func drain(fd int) (int64, error) {
	buf, sum := make([]byte, 1<<16), int64(0)
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if err != nil || n == 0 {
			return sum, err
		}
		sum += int64(n)
	}
}

func (j *job) serve(listener string, connections int) (answer, error) {
	var sum int64
	for range connections {
		if err := j.accept(listener, "served"); err != nil {
			return nil, err
		}
		n, err := drain(j.fds["served"])
		if err := errors.Join(err, j.close("served")); err != nil {
			return nil, err
		}
		sum += n
	}
	return answer{"bytes": sum}, nil
}

// disconnect is connect(AF_UNSPEC): the socket can connect again, its counters
// begin anew.
func disconnect(fd int) error {
	to := unix.RawSockaddr{Family: unix.AF_UNSPEC}
	if _, _, e := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&to)), unsafe.Sizeof(to)); e != 0 {
		return e
	}
	return nil
}

func info(fd int) (answer, error) {
	i, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return nil, err
	}
	out, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
	if err != nil {
		return nil, err
	}
	in := 0
	if i.State != 10 { // a listener has no input queue
		if in, err = unix.IoctlGetInt(fd, unix.SIOCINQ); err != nil {
			return nil, err
		}
	}
	return answer{
		"sent": int64(i.Bytes_sent - i.Bytes_retrans), "received": int64(i.Bytes_received), "acked": int64(i.Bytes_acked),
		"in": int64(i.Segs_in), "out": int64(i.Segs_out), "retransmits": int64(i.Total_retrans), "rtt": int64(i.Rtt),
		"busy": int64(i.Busy_time), "rwnd": int64(i.Rwnd_limited), "sndbuf": int64(i.Sndbuf_limited), "min rtt": int64(i.Min_rtt),
		"outq": int64(out), "inq": int64(in), "state": int64(i.State),
	}, nil
}

// netstat is what the kernel counts of TCP in this network namespace.
func netstat() (answer, error) {
	text, err := os.ReadFile("/proc/thread-self/net/netstat")
	a, lines := answer{}, strings.Split(string(text), "\n")
	for i := 0; i+1 < len(lines); i += 2 {
		names, values := strings.Fields(lines[i]), strings.Fields(lines[i+1])
		for k := range names {
			if n, err := strconv.ParseInt(values[k], 10, 64); err == nil {
				a[strings.TrimSuffix(names[0], ":")+" "+names[k]] = n
			}
		}
	}
	return a, err
}

// deaf attaches a classic filter that lets nothing in.
func deaf(fd int, on bool) error {
	if !on {
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
	}
	none := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &none})
}

// namespaces opens a connection to itself in each of n network namespaces, sends
// over it, and keeps both ends open.
func (j *job) namespaces(n, bytes int) (answer, error) {
	type result struct {
		fds []int
		err error
	}
	results := make(chan result)
	for range n {
		go func() {
			runtime.LockOSThread() // never unlocked: the thread ends in its namespace
			inner := &job{fds: map[string]int{}}
			err := inner.talk(bytes)
			results <- result{[]int{inner.fds["listener"], inner.fds["client"], inner.fds["server"]}, err}
		}()
		r := <-results
		if r.err != nil {
			return nil, r.err
		}
		for i, fd := range r.fds {
			j.fds[fmt.Sprintf("n%d.%d", len(j.fds), i)] = fd
		}
	}
	return nil, nil
}

func (j *job) talk(bytes int) error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return err
	}
	if err := upLoopback(); err != nil {
		return err
	}
	at, err := j.listen("listener", 4, 8, 0)
	if err != nil {
		return err
	}
	return errors.Join(j.connect("client", 4, int(at["port"])), j.accept("listener", "server"),
		send(j.fds["client"], bytes), recv(j.fds["server"], bytes))
}

func (j *job) udp(name string, buffer int) (answer, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	j.fds[name] = fd
	if err := errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, buffer), unix.Bind(fd, localhost(4, 0))); err != nil {
		return nil, err
	}
	p, err := port(fd)
	return answer{"port": p}, err
}

func datagrams(n, bytes, port int) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for range n {
		if err := unix.Sendto(fd, payload[:bytes], 0, localhost(4, port)); err != nil {
			return err
		}
	}
	return nil
}

// countDatagrams reads what the queue of a socket holds.
func countDatagrams(fd int) (answer, error) {
	buf, n := make([]byte, 1<<16), int64(0)
	for {
		_, _, err := unix.Recvfrom(fd, buf, unix.MSG_DONTWAIT)
		if err == unix.EAGAIN {
			return answer{"datagrams": n}, nil
		}
		if err != nil {
			return nil, err
		}
		n++
	}
}
