package rig

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// FreePort is a TCP port of loopback on which nobody listens.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// Address is a port of loopback as one dials it.
func Address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// Listens waits until somebody listens on a port of loopback, 10 seconds at most.
func Listens(port int) error {
	if Poll(10*time.Second, func() bool {
		c, err := net.Dial("tcp", Address(port))
		if err == nil {
			c.Close()
		}
		return err == nil
	}) {
		return nil
	}
	return fmt.Errorf("nobody answers at %s", Address(port))
}

// Redis is the command of a Redis on a port that keeps nothing.
func Redis(port int, dir string) []string {
	return []string{"redis-server", "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", dir}
}

// Nginx is the command of an nginx of one process that keeps its files in dir. http and
// server are further lines of these blocks of its configuration.
func Nginx(port int, dir, http, server string) ([]string, error) {
	config := fmt.Sprintf(`worker_processes 1; daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 1024; }
http { keepalive_requests 100000000; %[2]s
  client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
  server { listen %[3]s; %[4]s } }
`, dir, http, Address(port), server)
	file := filepath.Join(dir, "nginx.conf")
	return []string{"nginx", "-p", dir, "-c", file, "-e", filepath.Join(dir, "error.log")}, os.WriteFile(file, []byte(config), 0o644)
}

// Pinned is a command on some CPUs, which ends with this program.
func Pinned(cpus string, command ...string) *exec.Cmd {
	cmd := exec.Command("taskset", append([]string{"--cpu-list", cpus}, command...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}
