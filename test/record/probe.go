package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/test/rig"
)

// measure starts viperprobe run and waits until it has measured something.
func (s *stage) measure(ctx context.Context) error {
	s.probe = exec.Command(s.viperprobe, "run", "--cgroup", prefix+"*", "--exclude-cgroup", prefix+"load", "--listen", "127.0.0.1:0",
		"--control", s.control(), "--store", s.store())
	s.probe.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s.probe.Stderr = &s.said
	if err := s.probe.Start(); err != nil {
		return err
	}
	if !rig.Poll(20*time.Second, func() bool { return rig.Attached(s.probe.Process.Pid) || ctx.Err() != nil }) {
		return fmt.Errorf("viperprobe run attaches nothing: %s", s.said.String())
	}
	return ctx.Err()
}

func (s *stage) store() string { return filepath.Join(s.out, "store") }

func (s *stage) control() string { return filepath.Join(s.dir, "control.sock") }

// price has viperprobe cost measure, in the middle of a moderate load, what each family costs.
func (s *stage) price(ctx context.Context, capacity float64) error {
	const length = 10
	cmd, said := exec.CommandContext(ctx, s.viperprobe, "cost", "--all", "-o", "json", "--control", s.control()), &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = said, os.Stderr
	done := make(chan error, 1)
	start := soon()
	time.AfterFunc(time.Until(start.Add(length*time.Second/2)), func() { done <- cmd.Run() })
	_, err := s.visits(ctx, order{Start: start, Values: tenths(length, path(0, .6, 1, .6), capacity)})
	if err := errors.Join(err, <-done); err != nil {
		return err
	}
	text, err := costs(said.Bytes())
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.out, "costs.csv"), text, 0o644)
}

// costs are what the families of a bill cost per container, as analyze reads it. Here all that a bill names is measured:
// what had no event meanwhile costs nothing, where analyze, who cannot know, would call its cost unknown.
func costs(bill []byte) ([]byte, error) {
	var b metric.Bill
	if err := json.Unmarshal(bill, &b); err != nil {
		return nil, fmt.Errorf("read costs: %w", err)
	}
	out := []byte("family,cost\n")
	for _, f := range b.Families {
		if f.CPUPercent >= 0 { // what families share has no name, and may be negative
			out = fmt.Appendf(out, "%s,%g\n", f.Family, f.CPUPercent/float64(max(1, len(f.Containers))))
		}
	}
	return out, nil
}

// export ends the measuring and writes samples.csv.
func (s *stage) export(ctx context.Context) error {
	if err := s.stopProbe(); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(s.out, "samples.csv"))
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, s.viperprobe, "export", "--store", s.store(), "--target", prefix+"*", "--rate")
	cmd.Stdout, cmd.Stderr = f, os.Stderr
	return errors.Join(cmd.Run(), f.Close())
}

// stopProbe lets viperprobe run finish its last window.
func (s *stage) stopProbe() error {
	if s.probe == nil {
		return nil
	}
	p := s.probe
	s.probe = nil
	err := p.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(20*time.Second, func() { p.Process.Kill() })
	defer late.Stop()
	if err := errors.Join(err, p.Wait()); err != nil {
		return fmt.Errorf("viperprobe run: %w: %s", err, s.said.String())
	}
	return nil
}
