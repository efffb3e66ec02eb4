package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"viperprobe.dev/viperprobe/test/rig"
)

// A subject is a program that measures, whose cost is asked for; without a command
// it is nothing.
type subject struct {
	name    string
	command []string
}

// A running subject, with what it said on standard error.
type running struct {
	cmd  *exec.Cmd
	errs bytes.Buffer
}

// settle is how long a subject has to come to rest after it has attached.
const settle = time.Second

// start starts a subject and waits until it has something attached, or has come to
// rest if it attaches nothing.
func (s subject) start() (*running, error) {
	if len(s.command) == 0 {
		return nil, nil
	}
	r := &running{cmd: exec.Command(s.command[0], s.command[1:]...)}
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	r.cmd.Stderr = &r.errs
	if err := r.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.name, err)
	}
	rig.Poll(5*time.Second, r.attached)
	<-time.After(settle)
	if err := r.cmd.Process.Signal(syscall.Signal(0)); err != nil {
		return nil, fmt.Errorf("%s has ended: %s", s.name, r.errs.String())
	}
	return r, nil
}

func (r *running) attached() bool {
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", r.cmd.Process.Pid))
	return slices.ContainsFunc(fds, func(fd string) bool {
		to, _ := os.Readlink(fd)
		return strings.Contains(to, "bpf_link") || strings.Contains(to, "perf_event")
	})
}

func (r *running) stop() {
	if r == nil {
		return
	}
	r.cmd.Process.Signal(syscall.SIGINT)
	late := time.AfterFunc(5*time.Second, func() { r.cmd.Process.Kill() })
	r.cmd.Wait()
	late.Stop()
}

// cpu is the CPU time of all threads so far.
func (r *running) cpu() (time.Duration, error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", r.cmd.Process.Pid))
	if err != nil || len(tasks) == 0 {
		return 0, fmt.Errorf("%s has ended: %s", r.cmd.Path, r.errs.String())
	}
	var total time.Duration
	for _, t := range tasks {
		b, err := os.ReadFile(t)
		var run int64
		if err == nil {
			_, err = fmt.Sscan(string(b), &run)
		}
		if err != nil && !os.IsNotExist(err) {
			return 0, err
		}
		total += time.Duration(run)
	}
	return total, nil
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(v))[len(v)/2]
}

// spread is a median with the least and the most.
func spread(v []float64, format string) string {
	return fmt.Sprintf(format+" ("+format+" - "+format+")", median(v), slices.Min(v), slices.Max(v))
}

// inTurn runs every subject once a round, each round beginning with another.
func inTurn(subjects []subject, rounds int, f func(s subject, r *running) error) error {
	for round := range rounds {
		for i := range subjects {
			s := subjects[(i+round)%len(subjects)]
			r, err := s.start()
			if err == nil {
				err = f(s, r)
				r.stop()
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
