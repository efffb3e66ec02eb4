package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"viperprobe.dev/viperprobe/test/rig"
)

// A server is real software in a cgroup of its own, on CPU 0.
type server struct {
	name     string
	protocol string // of package-level protocols
	port     int
	group    *rig.Group
}

// software is the servers, and the cgroup of what loads them, which has the other CPUs.
type software struct {
	dir     string
	servers []*server
	load    *rig.Group
	cmds    []*exec.Cmd
}

// startServers starts the servers of the given names, and those they need.
func (b *bench) startServers(dir string, names []string) (*software, error) {
	s := &software{dir: dir}
	var err error
	if s.load, err = b.newGroup("load"); err != nil {
		return s, err
	}
	for _, name := range names {
		g, err := b.newGroup(name)
		if err != nil {
			return s, err
		}
		port, err := rig.FreePort()
		if err != nil {
			return s, errors.Join(err, g.Remove())
		}
		v := &server{name: name, protocol: "http", port: port, group: g}
		s.servers = append(s.servers, v)
		switch name {
		case "nginx":
			var command []string
			if command, err = rig.Nginx(port, dir, "access_log off;", `location / { return 200 "ok\n"; }`); err == nil {
				err = s.serve(v, command...)
			}
		case "redis":
			v.protocol = "redis"
			err = s.serve(v, rig.Redis(port, dir)...)
		case "postgresql":
			v.protocol = "postgresql"
			err = s.startPostgreSQL(v)
		case "envoy":
			err = s.startEnvoy(v, b.envoy)
		default:
			err = fmt.Errorf("no server is called %s; there are redis, nginx, postgresql, envoy", name)
		}
		if err != nil {
			return s, fmt.Errorf("%s: %w", name, err)
		}
	}
	return s, nil
}

func (b *bench) newGroup(name string) (*rig.Group, error) {
	return rig.NewGroup(b.host, fmt.Sprintf("/vp-bench-%d-%s", os.Getpid(), name), "cpu", "cpuacct", "memory")
}

// startPostgreSQL makes a database in a folder of the user postgres, as whom alone it runs.
func (s *software) startPostgreSQL(v *server) error {
	binaries, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(binaries) == 0 {
		return errors.New("not installed: test/tools.sh postgresql installs it")
	}
	bin := binaries[len(binaries)-1]
	owner, err := user.Lookup("postgres")
	if err != nil {
		return err
	}
	uid, uidErr := strconv.Atoi(owner.Uid)
	gid, gidErr := strconv.Atoi(owner.Gid)
	data := filepath.Join(s.dir, "postgresql")
	if err := errors.Join(uidErr, gidErr, os.Chmod(s.dir, 0o755), os.Mkdir(data, 0o700), os.Chown(data, uid, gid)); err != nil {
		return err
	}
	as := []string{"setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"}
	initialise := exec.Command(as[0], append(as[1:], filepath.Join(bin, "initdb"), "-A", "trust", "-D", data)...)
	initialise.Dir = data
	if out, err := initialise.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	return s.serve(v, append(as, filepath.Join(bin, "postgres"), "-D", data, "-p", strconv.Itoa(v.port), "-k", data, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off")...)
}

// startEnvoy puts Envoy in front of nginx, which has to be there.
func (s *software) startEnvoy(v *server, program string) error {
	upstream := 0
	for _, o := range s.servers {
		if o.name == "nginx" {
			upstream = o.port
		}
	}
	if upstream == 0 || program == "" {
		return errors.New("it needs nginx before it in -servers, and -envoy (make bench-overhead gives it)")
	}
	config := strings.NewReplacer("LISTEN", strconv.Itoa(v.port), "UPSTREAM", strconv.Itoa(upstream)).Replace(envoyConfig)
	file := filepath.Join(s.dir, "envoy.yaml")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		return err
	}
	return s.serve(v, program, "-c", file, "--concurrency", "1", "-l", "error", "--disable-hot-restart")
}

// envoyConfig has no header whose length changes from answer to answer.
const envoyConfig = `static_resources:
  listeners:
  - address: { socket_address: { address: 127.0.0.1, port_value: LISTEN } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          route_config: { virtual_hosts: [{ name: all, domains: ["*"], routes: [{ match: { prefix: / }, route: { cluster: web } }] }] }
          http_filters:
          - name: envoy.filters.http.router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router, suppress_envoy_headers: true }
  clusters:
  - name: web
    type: STATIC
    load_assignment: { cluster_name: web, endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: UPSTREAM } } } }] }] }
`

// serve starts a server and waits until it answers.
func (s *software) serve(v *server, command ...string) error {
	cmd := rig.Pinned("0", command...)
	if err := v.group.Start(cmd); err != nil {
		return err
	}
	s.cmds = append(s.cmds, cmd)
	if !rig.Poll(20*time.Second, func() bool {
		c, err := dial(v.protocol, v.port)
		if err == nil {
			err = errors.Join(c.ask(), c.close())
		}
		return err == nil
	}) {
		return fmt.Errorf("it does not answer at port %d", v.port)
	}
	return nil
}

// end stops the servers, and the processes that they made, and removes the groups.
func (s *software) end() (err error) {
	for _, cmd := range s.cmds {
		cmd.Process.Signal(syscall.SIGQUIT) // at once, but with its children (PostgreSQL)
		late := time.AfterFunc(5*time.Second, func() { cmd.Process.Kill() })
		cmd.Wait()
		late.Stop()
	}
	for _, v := range s.servers {
		err = errors.Join(err, v.group.Remove())
	}
	if s.load != nil {
		err = errors.Join(err, s.load.Remove())
	}
	return err
}
