package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"viperprobe.dev/viperprobe/internal/cgroup"
	"viperprobe.dev/viperprobe/internal/metric"
)

// A demo is a small real workload: a web server and its clients, each in a cgroup
// of its own. They are this program again, and end when their standard input
// does, so that they never outlive us.
type demo struct {
	program string // this one
	prefix  string // of the cgroups' names
	members []member
}

type member struct {
	process *exec.Cmd
	input   io.WriteCloser
	cgroup  string // directory
}

// wantsDemo reports whether the workload is to be started: when it was asked for,
// or with auto when the machine has no container.
func wantsDemo(mode string, host *cgroup.Host) (bool, error) {
	if mode != "auto" {
		return mode == "on", nil
	}
	found := errors.New("found")
	err := host.Walk(func(_ uint64, path string) error {
		if p := host.Place(path); p.Role == cgroup.Own && p.Kind == metric.Container {
			return found
		}
		return nil
	})
	if errors.Is(err, found) {
		return false, nil
	}
	return err == nil, err
}

// startIn starts the workload; the caller stops it.
func (d *demo) startIn(host *cgroup.Host) (err error) {
	output, err := d.start(host, d.prefix+"-web", "server")
	if err != nil {
		return errors.Join(fmt.Errorf("start demo server: %w", err), d.stop())
	}
	address, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		return errors.Join(fmt.Errorf("start demo server: read its address: %w", err), d.stop())
	}
	if _, err := d.start(host, d.prefix+"-load", "client", strings.TrimSpace(address)); err != nil {
		return errors.Join(fmt.Errorf("start demo clients: %w", err), d.stop())
	}
	return nil
}

// start runs `viperprobe demo ROLE ARGS...` in the cgroup name and gives its output.
func (d *demo) start(host *cgroup.Host, name, role string, args ...string) (io.Reader, error) {
	m := member{cgroup: filepath.Join(host.V2, name), process: exec.Command(d.program, append([]string{"demo", role}, args...)...)}
	if err := os.Mkdir(m.cgroup, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	group, err := os.Open(m.cgroup)
	if err != nil {
		return nil, err
	}
	defer group.Close()
	m.process.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(group.Fd())}
	if m.input, err = m.process.StdinPipe(); err != nil {
		return nil, err
	}
	output, err := m.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := m.process.Start(); err != nil {
		return nil, errors.Join(err, os.Remove(m.cgroup))
	}
	d.members = append(d.members, m)
	return output, nil
}

// stop ends the workload and removes its cgroups.
func (d *demo) stop() error {
	var faults []error
	for _, m := range d.members {
		faults = append(faults, m.input.Close())
	}
	for _, m := range d.members {
		late := time.AfterFunc(demoGrace, func() { _ = m.process.Process.Kill() }) // it may have ended
		if err := m.process.Wait(); late.Stop() && err != nil {                    // when late, we killed it
			faults = append(faults, fmt.Errorf("end demo: %w", err))
		}
		faults = append(faults, os.Remove(m.cgroup))
	}
	return errors.Join(faults...)
}

// demoGrace is how long the workload has to end by itself.
const demoGrace = time.Second
