package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"viperprobe.dev/viperprobe/test/rig"
)

// Of each load: how many requests to Redis, and how long to nginx.
const (
	redisRequests = 100_000
	nginxSeconds  = 2
)

// loads measures what software under full load loses with each subject. Servers
// have CPU 0, load tools CPU 1.
func (b *bench) loads() error {
	dir, err := os.MkdirTemp("", "viperprobe-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	servers, err := b.startServers(dir)
	defer servers.end()
	if err != nil {
		return err
	}
	subjects := append([]subject{
		{name: "nothing"},
		{name: "ViperProbe, default families", command: []string{b.agent, "run"}},
		{name: "ViperProbe, file and snapshot tiers", command: []string{b.agent, "run", "--families", "file,snapshot"}},
		{name: "ViperProbe, everything", command: []string{b.agent, "run", "--families", "all"}},
	}, b.peers...)
	rates := map[string]map[string][]float64{"nginx": {}, "redis": {}}
	if err := inTurn(subjects, b.rounds, func(s subject, _ *running) error {
		for name, run := range map[string]func(*software) (float64, error){"nginx": wrk, "redis": redisBenchmark} {
			rate, err := run(servers)
			if err != nil {
				return err
			}
			rates[name][s.name] = append(rates[name][s.name], rate)
		}
		return nil
	}); err != nil {
		return err
	}
	fmt.Printf("\n## Throughput under full load, closed loop\n\n| subject | nginx, requests/s | against nothing | Redis, GET/s | against nothing |\n|---|---|---|---|---|\n")
	for _, s := range subjects {
		n, r := rates["nginx"], rates["redis"]
		fmt.Printf("| %s | %s | %+.1f %% | %s | %+.1f %% |\n", s.name, spread(n[s.name], "%.0f"), 100*(median(n[s.name])/median(n["nothing"])-1),
			spread(r[s.name], "%.0f"), 100*(median(r[s.name])/median(r["nothing"])-1))
	}
	return nil
}

// software are nginx and Redis, each in a cgroup, and the ports where they listen.
type software struct {
	groups       []*rig.Group
	cmds         []*exec.Cmd
	nginx, redis string
	load         *rig.Group
}

func (b *bench) startServers(dir string) (*software, error) {
	s := &software{}
	for _, name := range []string{"load", "nginx", "redis"} {
		g, err := rig.NewGroup(b.host, fmt.Sprintf("/vp-bench-%d-%s", os.Getpid(), name), "cpu", "cpuacct", "memory")
		s.groups = append(s.groups, g)
		if err != nil {
			return s, err
		}
	}
	s.load = s.groups[0]
	var err [2]error
	s.nginx, err[0] = freePort()
	s.redis, err[1] = freePort()
	if err := errors.Join(err[:]...); err != nil {
		return s, err
	}
	config := fmt.Sprintf(`worker_processes 1; daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 1024; }
http { access_log off; keepalive_requests 100000000;
  client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
  server { listen 127.0.0.1:%[2]s; location / { return 200 "ok\n"; } } }
`, dir, s.nginx)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		return s, err
	}
	return s, errors.Join(
		s.serve(1, s.nginx, "nginx", "-p", dir, "-c", file, "-e", filepath.Join(dir, "error.log")),
		s.serve(2, s.redis, "redis-server", "--port", s.redis, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", dir))
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

func (s *software) serve(group int, port string, command ...string) error {
	cmd := exec.Command("taskset", append([]string{"--cpu-list", "0"}, command...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.groups[group].Start(cmd); err != nil {
		return err
	}
	s.cmds = append(s.cmds, cmd)
	if !rig.Poll(10*time.Second, func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			c.Close()
		}
		return err == nil
	}) {
		return fmt.Errorf("%s does not answer at port %s", command[0], port)
	}
	return nil
}

func (s *software) end() {
	for _, cmd := range s.cmds {
		cmd.Process.Kill()
		cmd.Wait()
	}
	for _, g := range s.groups {
		if err := g.Remove(); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
	}
}

// tool runs a load tool on CPU 1 and finds a number in what it says.
func (s *software) tool(pattern string, command ...string) (float64, error) {
	cmd := exec.Command("taskset", append([]string{"--cpu-list", "1"}, command...)...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := s.load.Start(cmd); err != nil {
		return 0, err
	}
	if err := cmd.Wait(); err != nil {
		return 0, fmt.Errorf("%s: %w", command[0], err)
	}
	found := regexp.MustCompile(pattern).FindStringSubmatch(out.String())
	if found == nil {
		return 0, fmt.Errorf("%s says %q", command[0], out.String())
	}
	return strconv.ParseFloat(found[1], 64)
}

func wrk(s *software) (float64, error) {
	return s.tool(`Requests/sec: +([0-9.]+)`, "wrk", "-t1", "-c16", fmt.Sprintf("-d%d", nginxSeconds), "http://127.0.0.1:"+s.nginx+"/")
}

func redisBenchmark(s *software) (float64, error) {
	return s.tool(`"GET","([0-9.]+)"`, "redis-benchmark", "-p", s.redis, "-c", "50", "-n", strconv.Itoa(redisRequests), "-t", "get", "--csv")
}
