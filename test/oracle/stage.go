package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"viperprobe.dev/viperprobe/internal/cgroup"
	"viperprobe.dev/viperprobe/test/rig"
)

// A stage is the servers, the loads and their cgroups.
type stage struct {
	options
	host    *cgroup.Host
	dir     string
	groups  map[string]*rig.Group
	servers map[string]*exec.Cmd
	ports   map[string]int
	pids    map[string]string // the process of each group
	fio     struct{ Read, Write fioSaid }
}

var groupNames = []string{"redis", "redis-load", "nginx", "nginx-load", "crowd", "fio"}

// start starts the servers and waits until they answer.
func (s *stage) start() error {
	s.groups, s.servers, s.ports, s.pids = map[string]*rig.Group{}, map[string]*exec.Cmd{}, map[string]int{}, map[string]string{}
	for _, name := range groupNames {
		g, err := rig.NewGroup(s.host, fmt.Sprintf("/vp-oracle-%d-%s", os.Getpid(), name), "cpu", "cpuacct", "memory", "blkio")
		s.groups[name] = g
		if err != nil {
			return err
		}
	}
	for _, name := range []string{"redis", "nginx"} {
		port, err := rig.FreePort()
		if err != nil {
			return err
		}
		s.ports[name] = port
	}
	// Before the interval the file is laid out, and fio's own pages are read.
	if err := s.prefill(); err != nil {
		return err
	}
	if err := s.serve("redis", rig.Redis(s.ports["redis"], s.dir)); err != nil {
		return err
	}
	nginx, err := rig.Nginx(s.ports["nginx"], s.dir, "access_log "+filepath.Join(s.dir, "access.log")+";", `location / { return 200 "ok\n"; }`)
	if err != nil {
		return err
	}
	return s.serve("nginx", nginx)
}

func (s *stage) address(name string) string { return rig.Address(s.ports[name]) }

func (s *stage) serve(name string, command []string) error {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.groups[name].Start(cmd); err != nil {
		return err
	}
	s.servers[name], s.pids[name] = cmd, strconv.Itoa(cmd.Process.Pid)
	return rig.Listens(s.ports[name])
}

// loads runs each load to its end.
func (s *stage) loads() error {
	redis := exec.Command("redis-benchmark", "-p", strconv.Itoa(s.ports["redis"]), "-c", strconv.Itoa(s.clients), "-n", strconv.Itoa(s.requests), "-t", "get", "-q")
	self, err := os.Executable()
	if err != nil {
		return err
	}
	crowd := exec.Command("fio", "--name=crowd", "--ioengine=cpuio", "--cpuload=60", "--cpuchunks=1500", "--numjobs=4", "--thread",
		"--cpus_allowed=0", "--time_based", "--runtime=3")
	pages := exec.Command(self)
	pages.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %d", loadEnv, s.address("nginx"), s.clients, s.pageLoads))
	fio, said := s.fioCommand(s.ios), bytes.Buffer{}
	fio.Stdout = &said // a file of it would be IO of its own
	for _, l := range []struct {
		group string
		cmd   *exec.Cmd
	}{{"redis-load", redis}, {"nginx-load", pages}, {"crowd", crowd}, {"fio", fio}} {
		l.cmd.Stderr = os.Stderr
		if err := s.groups[l.group].Start(l.cmd); err != nil {
			return err
		}
		s.pids[l.group] = strconv.Itoa(l.cmd.Process.Pid)
		if err := l.cmd.Wait(); err != nil {
			return fmt.Errorf("%s: %w", l.group, err)
		}
	}
	return s.readFio(said.Bytes())
}

// file is what fio reads and writes: beside the repository's build output, since
// the directory for temporary files may have no disk.
func (s *stage) file() string { return filepath.Join(filepath.Dir(s.agent), "oracle.fio") }

func (s *stage) prefill() error {
	f, err := os.Create(s.file())
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, fileSize))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := s.fioCommand(10).Run(); err != nil {
		return fmt.Errorf("warm fio up: %w", err)
	}
	return nil
}

const fileSize = 32 << 20

func (s *stage) fioCommand(ios int) *exec.Cmd {
	return exec.Command("fio", "--name=oracle", "--filename="+s.file(), fmt.Sprintf("--size=%d", fileSize), "--direct=1", "--rw=randrw", "--bs=4k",
		"--ioengine=psync", "--number_ios="+strconv.Itoa(ios), "--io_size=1G", "--output-format=json")
}

func (s *stage) readFio(out []byte) error {
	var said struct {
		Jobs []struct{ Read, Write fioSaid }
	}
	if err := json.Unmarshal(out, &said); err != nil || len(said.Jobs) != 1 {
		return fmt.Errorf("read what fio says: %d jobs, %v", len(said.Jobs), err)
	}
	s.fio = said.Jobs[0]
	return nil
}

type fioSaid struct {
	Ios   float64 `json:"total_ios"`
	Bytes float64 `json:"io_bytes"`
}

func (s *stage) close() error {
	var faults []error
	for _, cmd := range s.servers {
		cmd.Process.Kill()
		cmd.Wait()
	}
	for _, g := range s.groups {
		faults = append(faults, g.Remove())
	}
	if err := os.Remove(s.file()); !errors.Is(err, os.ErrNotExist) {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}
