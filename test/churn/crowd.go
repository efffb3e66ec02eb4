package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/test/rig"
)

// crowd runs all cgroups and containers under an agent with its defaults, and
// checks each.
func (c *churn) crowd() error {
	opens := []float64{activeOpens()}
	a, err := rig.StartAgent(c.agent, c.families)
	if err != nil {
		return err
	}
	if err := a.Windows(2); err != nil {
		_, stopped := a.Stop()
		return errors.Join(err, stopped)
	}
	opens = append(opens, activeOpens())
	before, err := look(a)
	if err != nil {
		return err
	}
	began := time.Now()
	err = c.groupsIn(a)
	took := time.Since(began)
	began = time.Now()
	err = errors.Join(err, c.containersIn(func(int) {}))
	fmt.Printf("churn: %d cgroups in %.1f s, %d containers of runc in %.1f s\n", c.groups, took.Seconds(), c.containers, time.Since(began).Seconds())
	began = time.Now()
	err = errors.Join(err, a.Wait("all to drain", 75*time.Second, func(l *rig.Ledger) bool { return c.drained(l) == c.groups+c.containers }))
	fmt.Printf("churn: all drained and reported %.1f s after the last\n", time.Since(began).Seconds())
	// The agent looks for what the kernel side missed in every tenth window.
	err = errors.Join(err, a.Windows(12))
	after, lookErr := look(a)
	err = errors.Join(err, lookErr)
	opens = append(opens, activeOpens())
	l, stopErr := a.Stop()
	opens = append(opens, activeOpens())
	return errors.Join(err, stopErr, c.account(l), c.same(before, after, l), c.sums(l, opens), losses(l))
}

// groupsIn runs a workload in each cgroup, half of them below a slice. The agent
// has to know the slice before the first: the kernel side cannot tell that a new
// cgroup is one.
func (c *churn) groupsIn(a *rig.Agent) error {
	slice, err := rig.NewGroup(c.host, c.slice())
	if err != nil {
		return err
	}
	if err := a.Windows(1); err != nil {
		return errors.Join(err, slice.Remove())
	}
	errs := make(chan error, c.groups)
	room := make(chan struct{}, c.atOnce)
	var wait sync.WaitGroup
	for i := range c.groups {
		room <- struct{}{}
		wait.Go(func() {
			errs <- c.groupIn(i)
			<-room
		})
	}
	wait.Wait()
	close(errs)
	for e := range errs {
		err = errors.Join(err, e)
	}
	return errors.Join(err, slice.Remove())
}

func (c *churn) slice() string { return "/" + c.tag + ".slice" }

func (c *churn) groupPath(i int) string {
	if i%2 == 0 {
		return fmt.Sprintf("%s/g%d", c.slice(), i)
	}
	return fmt.Sprintf("/%s-g%d", c.tag, i)
}

func (c *churn) groupIn(i int) error {
	g, err := rig.NewGroup(c.host, c.groupPath(i))
	if err != nil {
		return err
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env, cmd.Stderr = append(os.Environ(), shareOf(i).env()), os.Stderr
	if err = g.Start(cmd); err == nil {
		err = cmd.Wait()
	}
	return errors.Join(err, g.Remove())
}

// paths calls f for every cgroup and container that there was.
func (c *churn) paths(f func(path string, s share, kind metric.TargetKind)) {
	for i := range c.groups {
		f(c.groupPath(i), shareOf(i), metric.Plain)
	}
	for i := range c.containers {
		f("/"+c.containerID(i), shareOf(i), metric.Container)
	}
}

func (c *churn) drained(l *rig.Ledger) (n int) {
	c.paths(func(path string, _ share, _ metric.TargetKind) {
		if l.Ended[path] {
			n++
		}
	})
	return n
}

// activeOpens is how many connections this network namespace began to open.
func activeOpens() float64 {
	n, err := snmp("Tcp:", "ActiveOpens")
	if err != nil {
		return 0
	}
	return n
}
