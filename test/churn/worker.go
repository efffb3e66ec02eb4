package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// workerEnv makes this program a workload: its value is the bytes to send and
// over how many connections.
const workerEnv = "VIPERPROBE_CHURN"

// life is how long a workload lives at least.
const life = 100 * time.Millisecond

// A share is what one workload does, different for each.
type share struct{ bytes, connections int }

func shareOf(i int) share { return share{bytes: 10_000 + 37*i, connections: 1 + i%5} }

func (s share) env() string { return fmt.Sprintf("%s=%d %d", workerEnv, s.bytes, s.connections) }

func work() int {
	end := time.Now().Add(life)
	var s share
	_, err := fmt.Sscan(os.Getenv(workerEnv), &s.bytes, &s.connections)
	if err == nil {
		err = s.do()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "workload:", err)
		return 1
	}
	<-time.After(time.Until(end))
	return 0
}

// do sends the bytes to this very process.
func (s share) do() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	for i := range s.connections {
		n := s.bytes / s.connections
		if i == 0 {
			n += s.bytes % s.connections
		}
		if err := exchange(l, n); err != nil {
			return err
		}
	}
	return nil
}

func exchange(l net.Listener, n int) error {
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return err
	}
	in, err := l.Accept()
	if err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(make([]byte, n))
		sent <- errors.Join(err, c.Close())
	}()
	got, err := io.Copy(io.Discard, in)
	if err := errors.Join(err, <-sent, in.Close()); err != nil {
		return err
	}
	if got != int64(n) {
		return fmt.Errorf("sent %d bytes, %d arrived", n, got)
	}
	return nil
}
