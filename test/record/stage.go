package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"viperprobe.dev/viperprobe/internal/cgroup"
	"viperprobe.dev/viperprobe/test/rig"
)

// A stage is the servers, the load, the neighbour and who measures them.
type stage struct {
	options
	dir    string
	host   *cgroup.Host
	groups map[string]*rig.Group
	ports  map[string]int
	served []*exec.Cmd
	probe  *exec.Cmd
	said   bytes.Buffer // by it
}

// groupNames are the cgroups, below the root.
var groupNames = []string{"redis", "nginx", "neighbour", "load"}

const (
	prefix  = "/record-"
	clients = 64
	period  = 100_000 // us of CFS, for the limits
	weight  = 3       // of a server beside the rest of the machine; cgroup v2 has no more than 100 for the neighbour
)

// open makes the cgroups, starts the servers on CPU 0, and measures.
func (s *stage) open(ctx context.Context) (err error) {
	if runtime.NumCPU() < 2 {
		return errors.New("two CPUs are needed: one for the servers, one for the load")
	}
	if s.host, err = cgroup.Find("/"); err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("", "viperprobe-record"); err != nil {
		return err
	}
	s.groups, s.ports = map[string]*rig.Group{}, map[string]int{}
	for _, name := range groupNames {
		g, err := rig.NewGroup(s.host, prefix+name, "cpu", "cpuacct", "memory", "blkio")
		s.groups[name] = g
		if err != nil {
			return fmt.Errorf("make cgroup %s%s: %w: is another recording running? If not, remove it", prefix, name, err)
		}
	}
	// All weigh more than whatever else runs, so that their neighbour is the one that is known.
	if err := errors.Join(limit(s.groups["redis"], s.share, weight), limit(s.groups["nginx"], s.share, weight),
		limit(s.groups["neighbour"], .9, 30*weight), limit(s.groups["load"], float64(runtime.NumCPU()), 30*weight)); err != nil {
		return err
	}
	if err := s.startServers(); err != nil {
		return err
	}
	return s.measure(ctx)
}

// role starts this program as the load or the neighbour in its cgroup. What it says is read when it has ended.
func (s *stage) role(name, cpus string, o order) (*exec.Cmd, *bytes.Buffer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	text, err := json.Marshal(o)
	if err != nil {
		return nil, nil, err
	}
	cmd, out := rig.Pinned(cpus, self), &bytes.Buffer{}
	cmd.Env = append(os.Environ(), roleEnv+"="+name)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(text), out, os.Stderr
	return cmd, out, s.groups[name].Start(cmd)
}

// visits runs the load to its end.
func (s *stage) visits(ctx context.Context, o order) (out []second, err error) {
	o.Nginx, o.Redis, o.Clients = s.address("nginx"), s.address("redis"), clients
	cmd, said, err := s.role("load", fmt.Sprintf("1-%d", runtime.NumCPU()-1), o)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { cmd.Process.Kill() })
	defer stop()
	if err := cmd.Wait(); err != nil {
		return nil, errors.Join(ctx.Err(), err)
	}
	return out, json.Unmarshal(said.Bytes(), &out)
}

// calibrate finds how many visits a second the servers can do.
func (s *stage) calibrate(ctx context.Context) (float64, error) {
	const length = 8
	seconds, err := s.visits(ctx, order{Start: soon(), Values: make([]float64, 10*length), Closed: true})
	if err != nil {
		return 0, fmt.Errorf("find capacity: %w", err)
	}
	total := 0
	for _, v := range seconds {
		total += v.Visits - v.Failed
	}
	if total == 0 {
		return 0, errors.New("find capacity: no visit was served")
	}
	return float64(total) / length, rest(ctx, pause)
}

// soon is the next whole second but one: seconds of the load are windows of who measures.
func soon() time.Time { return time.Now().Truncate(time.Second).Add(2 * time.Second) }

// run plays one run and says how it went.
func (s *stage) run(ctx context.Context, r run, capacity float64) ([]second, error) {
	start := soon()
	n, _, err := s.role("neighbour", "0", order{Start: start, Values: tenths(s.seconds, r.neighbour, 1)})
	if err != nil {
		return nil, err
	}
	seconds, err := s.visits(ctx, order{Start: start, Values: tenths(s.seconds, r.load, capacity), Seed: uint64(len(r.name))})
	if err != nil {
		n.Process.Kill()
		n.Wait()
		return nil, err
	}
	if err := n.Wait(); err != nil {
		return nil, fmt.Errorf("neighbour: %w", err)
	}
	visits, failed, violated, first := 0, 0, 0, -1
	for i := range seconds {
		v := &seconds[i]
		v.Run = r.name
		visits, failed = visits+v.Visits, failed+v.Failed
		if s.violates(*v) {
			violated++
			if first < 0 {
				first = i
			}
		}
	}
	fmt.Printf("%-16s %6d visits, %5d failed; %3d of %d seconds violate the SLO, the first is %d\n", r.name, visits, failed, violated, len(seconds), first)
	return seconds, nil
}

func (s *stage) violates(v second) bool { return v.Failed > 0 || v.P99 > s.objective.Seconds() }

// writeSLO writes what the load tool says.
func (s *stage) writeSLO(seconds []second) error {
	f, err := os.Create(filepath.Join(s.out, "slo.csv"))
	if err != nil {
		return err
	}
	w := csv.NewWriter(f)
	rows := [][]string{{"time", "slo", "run", "workload"}}
	for _, v := range seconds {
		slo := "0"
		if s.violates(v) {
			slo = "1"
		}
		rows = append(rows, []string{strconv.FormatInt(v.Unix, 10), slo, v.Run, v.Run})
	}
	return errors.Join(w.WriteAll(rows), f.Close())
}

func (s *stage) close() error {
	faults := []error{s.stopProbe()}
	for _, cmd := range s.served {
		cmd.Process.Kill()
		cmd.Wait()
	}
	for _, g := range s.groups {
		if g != nil {
			faults = append(faults, g.Remove())
		}
	}
	if s.dir != "" {
		faults = append(faults, os.RemoveAll(s.dir))
	}
	return errors.Join(faults...)
}
