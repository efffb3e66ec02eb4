package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/test/rig"
)

// A subject is a program that measures, whose cost is asked for; without a command
// it is nothing. One with a URL is scraped there.
type subject struct {
	name    string
	command []string
	url     string
}

// A running subject, with what it said on standard error.
type running struct {
	cmd      *exec.Cmd
	errs     bytes.Buffer
	unscrape func() error
}

// A subject has come to rest when it attached nothing for as long as settle, and worked no
// more than atWork of it: programs may be loaded for seconds before they are attached.
// unattached is how long it may take to attach anything.
const (
	settle     = time.Second
	atWork     = settle / 20
	unattached = 5 * time.Second
)

// start starts a subject and waits until it has something attached or answers, and has
// come to rest. Its descendants are ended with it.
func (s subject) start() (*running, error) {
	if len(s.command) == 0 {
		return nil, nil
	}
	r := &running{cmd: exec.Command(s.command[0], s.command[1:]...)}
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	r.cmd.Stderr = &r.errs
	if err := r.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.name, err)
	}
	if s.url == "" {
		r.rest()
	} else {
		var err error
		if r.unscrape, err = scrape(s.url); err != nil {
			r.stop()
			return nil, fmt.Errorf("%s does not answer: %w: %s", s.name, err, r.errs.String())
		}
		<-time.After(peerSettle)
	}
	if err := r.cmd.Process.Signal(syscall.Signal(0)); err != nil {
		return nil, fmt.Errorf("%s has ended: %s", s.name, r.errs.String())
	}
	return r, nil
}

// rest waits until the subject has attached what it will, and has come to rest.
func (r *running) rest() {
	links, began := 0, time.Now()
	since, spent := began, time.Duration(0)
	rig.Poll(4*unattached, func() bool {
		n := rig.Links(r.cmd.Process.Pid)
		cpu, _ := r.cpu() // one that has ended is told by who started it
		if n != links || cpu > spent+atWork {
			links, since, spent = n, time.Now(), cpu
		}
		return time.Since(since) > settle && (links > 0 || time.Since(began) > unattached)
	})
}

func (r *running) stop() (err error) {
	if r == nil {
		return nil
	}
	if r.unscrape != nil {
		err = r.unscrape()
	}
	r.cmd.Process.Signal(syscall.SIGINT)
	late := time.AfterFunc(5*time.Second, func() { r.cmd.Process.Kill() })
	r.cmd.Wait()
	late.Stop()
	syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
	return err
}

// tree is the process and its living descendants.
func tree(pid int) []int {
	all := []int{pid}
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, t := range tasks {
		b, _ := os.ReadFile(t) // none when the thread has ended
		for _, f := range strings.Fields(string(b)) {
			if child, err := strconv.Atoi(f); err == nil {
				all = append(all, tree(child)...)
			}
		}
	}
	return all
}

// cpu is the CPU time so far of the process, its descendants and those of them that
// have ended (these to 10 ms).
func (r *running) cpu() (total time.Duration, err error) {
	for _, pid := range tree(r.cmd.Process.Pid) {
		// The clock of another process, as clock_getcpuclockid(3) makes it: dead threads included.
		var own unix.Timespec
		err := unix.ClockGettime(int32(^pid<<3|2), &own)
		stat, err2 := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err = errors.Join(err, err2); err != nil && pid == r.cmd.Process.Pid {
			return 0, fmt.Errorf("%s has ended: %w: %s", r.cmd.Path, err, r.errs.String())
		} else if err != nil {
			continue
		}
		total += time.Duration(own.Nano())
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		for _, f := range fields[13:15] { // cutime and cstime, in USER_HZ
			ticks, err := strconv.Atoi(f)
			if err != nil {
				return 0, fmt.Errorf("read /proc/%d/stat: %w", pid, err)
			}
			total += time.Duration(ticks) * time.Second / 100
		}
	}
	return total, nil
}

// rss is the resident memory of the process and its descendants, in KiB.
func (r *running) rss() (total float64, err error) {
	for _, pid := range tree(r.cmd.Process.Pid) {
		kib, err := rig.Field(fmt.Sprintf("/proc/%d/status", pid), "VmRSS")
		if err != nil && pid == r.cmd.Process.Pid {
			return 0, err
		}
		total += kib
	}
	return total, nil
}

// spread is a median with the least and the most.
func spread(v []float64, format string) string {
	return fmt.Sprintf(format+" ("+format+" - "+format+")", rig.Median(v), slices.Min(v), slices.Max(v))
}

// inTurn runs every subject once a round, each round beginning with another.
func inTurn(subjects []subject, rounds int, f func(s subject, r *running) error) error {
	for round := range rounds {
		for i := range subjects {
			s := subjects[(i+round)%len(subjects)]
			r, err := s.start()
			if err == nil {
				err = errors.Join(f(s, r), r.stop())
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
