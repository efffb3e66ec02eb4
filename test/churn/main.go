// Command churn makes containers that live for a tenth of a second, by the
// thousand, and checks that the agent accounts for every one of them exactly and
// names it. `make churn` runs it as root.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/cgroup"
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/test/rig"
)

type options struct {
	agent              string
	groups, containers int
	atOnce             int
}

func main() {
	if os.Getenv(workerEnv) != "" {
		os.Exit(work())
	}
	var o options
	flag.StringVar(&o.agent, "agent", "bin/viperprobe-agent", "the agent's program")
	flag.IntVar(&o.groups, "groups", 1000, "cgroups to make")
	flag.IntVar(&o.containers, "containers", 100, "containers to run with runc")
	flag.IntVar(&o.atOnce, "at-once", 16, "how many cgroups live at the same time")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "churn: FAILED:", err)
		os.Exit(1)
	}
	fmt.Println("churn: ok")
}

func run(o options) error {
	host, unlock, err := rig.Begin()
	if err != nil {
		return err
	}
	defer unlock()
	c := &churn{options: o, host: host, families: catalogue.Families(), tag: fmt.Sprintf("vp-churn-%d", os.Getpid())}
	return errors.Join(c.crowd(), c.naming())
}

type churn struct {
	options
	host     *cgroup.Host
	families []*metric.Family
	tag      string
}
