package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/test/rig"
)

// roleEnv makes this program a part of a load.
const roleEnv = "VIPERPROBE_BENCH_ROLE"

func play(role string) int {
	var err error
	switch role {
	case "ping":
		err = ping()
	case "pong":
		rig.Pong()
	case "tenant":
		err = tenant()
	case "load":
		err = load()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", role, err)
		return 1
	}
	return 0
}

// What a tenant has: connections with both ends, and threads beside Go's own.
const (
	pairs   = 10
	threads = 20
)

// tenant idles with threads and sockets in a network namespace of its own until
// its standard input ends.
func tenant() error {
	if err := loopbackUp(); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var held []net.Conn
	for range pairs {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			return err
		}
		s, err := l.Accept()
		if err != nil {
			return err
		}
		held = append(held, c, s)
	}
	own, _ := os.ReadDir("/proc/self/task")
	var never [2]int
	if err := unix.Pipe2(never[:], 0); err != nil {
		return err
	}
	for range max(0, threads-len(own)) {
		go func() {
			runtime.LockOSThread()
			unix.Read(never[0], make([]byte, 1))
		}()
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	for _, c := range held {
		err = errors.Join(err, c.Close())
	}
	return err
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r)
}
