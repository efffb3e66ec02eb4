package probe

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/kerneltest"
)

// inGroup makes a command that is born in a cgroup and dies with this thread's
// process.
func inGroup(g *group, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL, UseCgroupFD: true, CgroupFD: g.fd}
	return cmd
}

// startRedis starts redis-server in a cgroup, with more arguments, and returns its port
// once it answers.
func startRedis(t testing.TB, g *group, more ...string) string {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatal("redis-server is not installed: run make tools")
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	runtime.LockOSThread() // Pdeathsig follows the thread
	t.Cleanup(runtime.UnlockOSThread)
	cmd := inGroup(g, "redis-server", append([]string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir()}, more...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	eventually(t, "redis-server to listen", func() bool {
		c, err := net.Dial("tcp4", "127.0.0.1:"+port)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return port
}

// redisBenchmark asks n times over 50 connections, of what flag -p or -s names. The tool
// asks once more: for the server's configuration, two commands in one send.
func redisBenchmark(t testing.TB, g *group, flag, at string, n int) {
	t.Helper()
	cmd := inGroup(g, "redis-benchmark", flag, at, "-c", "50", "-n", fmt.Sprint(n), "-t", "get", "-q")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
}

func TestRequestsOfRedisAreThoseOfTheBenchmark(t *testing.T) {
	sg, cg := newGroup(t, nil), newGroup(t, nil)
	local := filepath.Join(t.TempDir(), "redis.sock")
	port := startRedis(t, sg, "--unixsocket", local)
	for _, c := range []struct {
		flag, at string
		names    []string
		exact    int // of them; what was read before it was seen sent has no wait
		turns    func(m mark, t *testing.T, served, asked uint64)
	}{{"-p", port, requestNames, 3, mark.turns}, {"-s", local, unixRequestNames, 2, mark.unixTurns}} {
		t.Run(c.flag, func(t *testing.T) {
			s := want(t, c.names...)
			kerneltest.Exact(t, c.names[:c.exact]...)
			server, client := newTarget(t, s, c.names, sg), newTarget(t, s, c.names, cg)
			for _, n := range []int{1000, 50000} {
				oldServer, oldClient := server.mark(), client.mark()
				redisBenchmark(t, cg, c.flag, c.at, n)
				c.turns(server.mark().since(oldServer), t, uint64(n)+1, 0)
				c.turns(client.mark().since(oldClient), t, 0, uint64(n)+1)
			}
			lossless(t, s)
		})
	}
}
