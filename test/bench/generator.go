package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/test/rig"
)

// An order is a load: open loop at a rate, whatever the answers do, or closed (rate 0),
// each connection asking again when it is answered.
type order struct {
	Protocol string
	Port     int
	Conns    int
	Rate     float64 // requests a second
	Seconds  float64
}

// An outcome is what a load met with. Latencies, in seconds, run from when a request was due.
type outcome struct {
	Answers  int
	Seconds  float64
	Quantile map[string]float64
}

var quantileNames = map[string]float64{"p50": 0.5, "p99": 0.99, "p99.9": 0.999}

// load plays the load that standard input orders, on one thread, and prints the outcome.
func load() error {
	var o order
	if err := json.NewDecoder(os.Stdin).Decode(&o); err != nil {
		return err
	}
	runtime.LockOSThread()
	// Else timers are 50 us late.
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return err
	}
	g := &generator{order: o}
	if err := g.open(); err != nil {
		return err
	}
	if err := g.run(); err != nil {
		return fmt.Errorf("port %d: %w", o.Port, err)
	}
	return json.NewEncoder(os.Stdout).Encode(g.outcome())
}

type generator struct {
	order
	epoll     int
	conns     map[int32]*conn
	idle      []*conn
	late      []int64 // due, but no connection is idle
	latencies []int64
	began     int64
	ended     int64
}

func (g *generator) open() (err error) {
	if g.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	g.conns = map[int32]*conn{}
	for range g.Conns {
		c, err := dial(g.Protocol, g.Port)
		if err != nil {
			return err
		}
		g.conns[int32(c.fd)] = c
		g.idle = append(g.idle, c)
		if err := unix.EpollCtl(g.epoll, unix.EPOLL_CTL_ADD, c.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(c.fd)}); err != nil {
			return err
		}
	}
	return nil
}

func now() int64 {
	var t unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // it cannot fail
	return t.Nano()
}

func (g *generator) run() error {
	g.latencies = make([]int64, 0, 1<<20)
	g.began = now()
	end, sent := g.began+int64(g.Seconds*1e9), 0
	due := func() int64 { return g.began + int64(float64(sent)/g.Rate*1e9) } // of the next request
	if g.Rate == 0 {
		g.late = slices.Repeat([]int64{g.began}, len(g.conns))
	}
	for t := g.began; t < end; t = now() {
		wait := end - t
		if g.Rate > 0 {
			for ; due() <= t; sent++ {
				g.late = append(g.late, due())
			}
			wait = min(wait, due()-t)
		}
		if err := errors.Join(g.send(), g.receive(wait)); err != nil {
			return err
		}
	}
	g.ended = now()
	return nil
}

// send gives what is due to the connections that are idle.
func (g *generator) send() error {
	for len(g.late) > 0 && len(g.idle) > 0 {
		c := g.idle[0]
		if err := c.send(g.late[0]); err != nil {
			return err
		}
		g.late, g.idle = g.late[1:], g.idle[1:]
	}
	return nil
}

// receive waits for answers, at most so many nanoseconds, and takes in those that are there.
func (g *generator) receive(wait int64) error {
	var events [64]unix.EpollEvent
	timeout := unix.NsecToTimespec(wait)
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(g.epoll), uintptr(unsafe.Pointer(&events)), uintptr(len(events)), uintptr(unsafe.Pointer(&timeout)), 0, 0)
	if errno != 0 && !errors.Is(errno, unix.EINTR) {
		return fmt.Errorf("epoll_pwait2: %w", errno)
	}
	if errno != 0 {
		return nil
	}
	for _, e := range events[:n] {
		c := g.conns[e.Fd]
		done, err := c.receive()
		if err != nil {
			return err
		}
		if done {
			t := now()
			g.latencies = append(g.latencies, t-c.since)
			g.idle = append(g.idle, c)
			if g.Rate == 0 {
				g.late = append(g.late, t)
			}
		}
	}
	return nil
}

func (g *generator) outcome() outcome {
	// What was never answered was late as well.
	for _, c := range g.conns {
		if !slices.Contains(g.idle, c) {
			g.latencies = append(g.latencies, g.ended-c.since)
		}
	}
	answers := len(g.latencies) - (len(g.conns) - len(g.idle))
	for _, due := range g.late {
		g.latencies = append(g.latencies, g.ended-due)
	}
	slices.Sort(g.latencies)
	o := outcome{Answers: answers, Seconds: float64(g.ended-g.began) / 1e9, Quantile: map[string]float64{}}
	for name, q := range quantileNames {
		if n := len(g.latencies); n > 0 {
			o.Quantile[name] = float64(g.latencies[min(n-1, int(q*float64(n)))]) / 1e9
		}
	}
	return o
}

// loadWith runs a load in a cgroup, on every CPU but the first.
func (s *software) loadWith(o order) (outcome, error) {
	var out outcome
	self, err := os.Executable()
	if err != nil {
		return out, err
	}
	text, err := json.Marshal(o)
	if err != nil {
		return out, err
	}
	cmd := rig.Pinned(rig.LoadCPUs(), self)
	cmd.Env = append(os.Environ(), roleEnv+"=load", "GOMAXPROCS=1", "GOGC=off")
	var said strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(string(text)), &said, os.Stderr
	if err := s.load.Start(cmd); err != nil {
		return out, err
	}
	late := time.AfterFunc(time.Duration((o.Seconds+20)*float64(time.Second)), func() { cmd.Process.Kill() })
	defer late.Stop()
	if err := cmd.Wait(); err != nil {
		return out, fmt.Errorf("load of port %d: %w", o.Port, err)
	}
	return out, json.Unmarshal([]byte(said.String()), &out)
}
