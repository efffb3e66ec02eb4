package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

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
		port, err := freePort()
		if err != nil {
			return err
		}
		s.ports[name] = port
	}
	// Before the interval the file is laid out, and fio's own pages are read.
	if err := s.prefill(); err != nil {
		return err
	}
	redis := exec.Command("redis-server", "--port", strconv.Itoa(s.ports["redis"]), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", s.dir)
	if err := s.serve("redis", redis); err != nil {
		return err
	}
	config := fmt.Sprintf(`worker_processes 1; daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 1024; }
http { access_log %[1]s/access.log; keepalive_requests 100000000;
  client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
  server { listen 127.0.0.1:%[2]d; location / { return 200 "ok\n"; } } }
`, s.dir, s.ports["nginx"])
	file := filepath.Join(s.dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		return err
	}
	return s.serve("nginx", exec.Command("nginx", "-p", s.dir, "-c", file, "-e", filepath.Join(s.dir, "error.log")))
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (s *stage) address(name string) string { return fmt.Sprintf("127.0.0.1:%d", s.ports[name]) }

func (s *stage) serve(name string, cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.groups[name].Start(cmd); err != nil {
		return err
	}
	s.servers[name], s.pids[name] = cmd, strconv.Itoa(cmd.Process.Pid)
	if !rig.Poll(10*time.Second, func() bool {
		c, err := net.Dial("tcp", s.address(name))
		if err == nil {
			c.Close()
		}
		return err == nil
	}) {
		return fmt.Errorf("%s does not answer at %s", name, s.address(name))
	}
	return nil
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
