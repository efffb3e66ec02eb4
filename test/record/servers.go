package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"viperprobe.dev/viperprobe/test/rig"
)

// limit bounds a group to a share of a CPU, and gives it that many times the usual weight.
func limit(g *rig.Group, share float64, weight int) error {
	quota := strconv.Itoa(int(share * period))
	if v1 := g.V1["cpu"]; v1 != "" {
		return errors.Join(os.WriteFile(filepath.Join(v1, "cpu.cfs_period_us"), []byte(strconv.Itoa(period)), 0o644),
			os.WriteFile(filepath.Join(v1, "cpu.cfs_quota_us"), []byte(quota), 0o644),
			os.WriteFile(filepath.Join(v1, "cpu.shares"), []byte(strconv.Itoa(1024*weight)), 0o644))
	}
	err := errors.Join(os.WriteFile(filepath.Join(g.V2, "cpu.max"), fmt.Appendf(nil, "%s %d", quota, period), 0o644),
		os.WriteFile(filepath.Join(g.V2, "cpu.weight"), []byte(strconv.Itoa(100*weight)), 0o644))
	if err != nil {
		return fmt.Errorf("limit CPU of %s: %w: is the controller on? echo +cpu > cgroup.subtree_control in the root", g.Path, err)
	}
	return nil
}

func (s *stage) startServers() error {
	for _, name := range []string{"redis", "nginx"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		s.ports[name] = l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			return err
		}
	}
	config := fmt.Sprintf(`worker_processes 1; daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 1024; }
http { access_log off; keepalive_requests 100000000; root %[1]s; gzip on; gzip_min_length 1;
  client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
  server { listen 127.0.0.1:%[2]d; } }
`, s.dir, s.ports["nginx"])
	file := filepath.Join(s.dir, "nginx.conf")
	if err := errors.Join(os.WriteFile(file, []byte(config), 0o644), os.Chmod(s.dir, 0o755),
		os.WriteFile(filepath.Join(s.dir, "index.html"), page(), 0o644)); err != nil {
		return err
	}
	redis := pinned("0", "redis-server", "--port", strconv.Itoa(s.ports["redis"]), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", s.dir)
	nginx := pinned("0", "nginx", "-p", s.dir, "-c", file, "-e", filepath.Join(s.dir, "error.log"))
	return errors.Join(s.serve("redis", redis), s.serve("nginx", nginx), fill(s.address("redis")))
}

// page is one that takes nginx some time to compress.
func page() []byte {
	var b bytes.Buffer
	r := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		fmt.Fprintf(&b, "<li>article %d costs %d\n", r.IntN(1e6), r.IntN(1e4))
	}
	return b.Bytes()
}

// fill gives Redis a list that takes it some time to sort.
func fill(address string) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	r := rand.New(rand.NewPCG(2, 2))
	command := "RPUSH stock"
	for range 1000 {
		command += fmt.Sprint(" ", r.IntN(1e6))
	}
	if _, err := fmt.Fprint(c, command+"\r\n"); err != nil {
		return err
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && answer != ":1000\r\n" {
		err = fmt.Errorf("redis answers %q", answer)
	}
	return err
}

// pinned is a command on some CPUs.
func pinned(cpus string, args ...string) *exec.Cmd {
	cmd := exec.Command("taskset", append([]string{"-c", cpus}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

func (s *stage) address(name string) string { return fmt.Sprintf("127.0.0.1:%d", s.ports[name]) }

func (s *stage) serve(name string, cmd *exec.Cmd) error {
	if err := s.groups[name].Start(cmd); err != nil {
		return err
	}
	s.served = append(s.served, cmd)
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
