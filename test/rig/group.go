// Package rig is what the programs under test share that drive the built commands
// from outside: cgroups of their own, the agent as a process, and what it said.
package rig

import (
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

	"viperprobe.dev/viperprobe/internal/cgroup"
)

// A Group is a cgroup of v2 and, on hybrid hosts, one of the same path in each v1
// hierarchy that was asked for.
type Group struct {
	Path string
	V2   string            // its directory
	V1   map[string]string // its directory in the hierarchy of each controller
}

// NewGroup makes a cgroup below the root. Controllers that are on v2 here are
// part of it anyway.
func NewGroup(h *cgroup.Host, path string, controllers ...string) (*Group, error) {
	g := &Group{Path: path, V2: filepath.Join(h.V2, path), V1: map[string]string{}}
	faults := []error{os.Mkdir(g.V2, 0o755)}
	for _, c := range controllers {
		if at := h.V1[c]; at != "" {
			g.V1[c] = filepath.Join(at, path)
			if err := os.Mkdir(g.V1[c], 0o755); err != nil && !errors.Is(err, os.ErrExist) {
				faults = append(faults, err)
			}
		}
	}
	return g, errors.Join(faults...)
}

func (g *Group) dirs() []string {
	all := []string{g.V2}
	for _, d := range g.V1 {
		if !slices.Contains(all, d) {
			all = append(all, d)
		}
	}
	return all
}

// Remove removes the cgroup, whose last process may be on its way out still.
func (g *Group) Remove() error {
	var err error
	for _, d := range g.dirs() {
		ok := Poll(10*time.Second, func() bool {
			err = os.Remove(d)
			return err == nil || errors.Is(err, os.ErrNotExist)
		})
		if !ok {
			return fmt.Errorf("remove cgroup: %w", err)
		}
	}
	return nil
}

// Start starts cmd in the cgroup: born in it on v2, and in those of v1 before its
// first instruction.
func (g *Group) Start(cmd *exec.Cmd) error {
	dir, err := os.Open(g.V2)
	if err != nil {
		return fmt.Errorf("open cgroup: %w", err)
	}
	defer dir.Close()
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(dir.Fd())
	if len(g.V1) > 0 {
		script := ""
		for _, d := range g.V1 {
			script += "echo $$ > " + d + "/cgroup.procs && "
		}
		cmd.Args = slices.Concat([]string{"sh", "-c", script + `exec "$0" "$@"`, cmd.Path}, cmd.Args[1:])
		cmd.Path = "/bin/sh"
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s in %s: %w", cmd.Path, g.Path, err)
	}
	return nil
}

// CPU is the CPU time of the cgroup so far, in seconds.
func (g *Group) CPU() (float64, error) {
	if g.V1["cpuacct"] != "" {
		n, err := g.Number("cpuacct", "cpuacct.usage", "")
		return n / 1e9, err
	}
	n, err := g.Number("cpu", "cpu.stat", "usage_usec")
	return n / 1e6, err
}

// Number reads one number of a file of the cgroup: the whole file, or the line
// that begins with key.
func (g *Group) Number(controller, file, key string) (float64, error) {
	dir := g.V2
	if v1 := g.V1[controller]; v1 != "" {
		dir = v1
	}
	return Number(filepath.Join(dir, file), key)
}

// Number reads one number of a file: the whole file, or the line that begins with
// key.
func Number(file, key string) (float64, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		if key == "" && len(fields) == 1 || key != "" && len(fields) > 1 && strings.TrimSuffix(fields[0], ":") == key {
			return strconv.ParseFloat(fields[len(fields)-1], 64)
		}
	}
	return 0, fmt.Errorf("%s: no line %q", file, key)
}

// Poll asks until it is true or the time is over.
func Poll(limit time.Duration, done func() bool) bool {
	for end := time.Now().Add(limit); ; time.Sleep(2 * time.Millisecond) {
		if done() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// Field reads the first number behind key in a file of lines `key: number unit`.
func Field(file, key string) (float64, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if fields := strings.Fields(line); len(fields) > 1 && strings.TrimSuffix(fields[0], ":") == key {
			return strconv.ParseFloat(fields[1], 64)
		}
	}
	return 0, fmt.Errorf("%s: no line %q", file, key)
}
