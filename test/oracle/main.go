// Command oracle runs real software, each server and each load tool in a cgroup of
// its own, and sets the agent's totals and percentiles beside what others say of
// the same interval: /proc, cgroup files, bpftrace, and the tools themselves.
// `make oracle` runs it as root. It fails for a difference that is larger than its
// stated cause explains.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/test/rig"
)

type options struct {
	agent              string
	requests, ios      int
	clients, pageLoads int
}

func main() {
	if os.Getenv(loadEnv) != "" {
		os.Exit(load())
	}
	var o options
	flag.StringVar(&o.agent, "agent", "bin/viperprobe-agent", "the agent's program")
	flag.IntVar(&o.requests, "requests", 200_000, "requests to Redis")
	flag.IntVar(&o.pageLoads, "pages", 100_000, "requests to nginx")
	flag.IntVar(&o.clients, "clients", 20, "connections to each")
	flag.IntVar(&o.ios, "ios", 5000, "IOs to a file, O_DIRECT")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "oracle: FAILED:", err)
		os.Exit(1)
	}
	fmt.Println("oracle: ok")
}

func run(o options) (err error) {
	host, unlock, err := rig.Begin()
	if err != nil {
		return err
	}
	defer unlock()
	dir, err := os.MkdirTemp("", "viperprobe-oracle")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s := &stage{options: o, host: host, dir: dir}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.start(); err != nil {
		return err
	}
	a, err := rig.StartAgent(o.agent, catalogue.Families(), "--families", "default,protocol_requests,outbound_protocol_requests")
	if err != nil {
		return err
	}
	r, err := s.measure(a)
	_, stopErr := a.Stop()
	if err := errors.Join(err, stopErr); err != nil {
		return err
	}
	return r.print()
}

// measure runs the loads between two quiet marks. Whatever else attaches to the
// kernel is attached before the first and detached after the second.
func (s *stage) measure(a *rig.Agent) (*report, error) {
	trace, err := s.startTrace()
	if err != nil {
		return nil, err
	}
	tools, err := s.startTools()
	if err != nil {
		trace.end()
		return nil, err
	}
	first, last, err := s.between(a)
	said, traceErr := trace.end()
	tallies, toolsErr := endTools(tools)
	if err := errors.Join(err, traceErr, toolsErr); err != nil {
		return nil, err
	}
	return s.compare(first, last, said, tallies)
}

// between runs the loads and marks before and after.
func (s *stage) between(a *rig.Agent) (first, last *mark, err error) {
	if first, err = s.mark(a); err != nil {
		return nil, nil, err
	}
	if err = s.loads(); err != nil {
		return nil, nil, err
	}
	last, err = s.mark(a)
	return first, last, err
}
