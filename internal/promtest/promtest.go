// Package promtest starts a real Prometheus for tests (Debian package prometheus).
package promtest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Tool is the path of a program of Debian's package prometheus.
func Tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is missing (Debian package prometheus): run `make tools`", name)
	}
	return path
}

// Start has a Prometheus scrape the server at target, host:port, as job viperprobe
// until the test ends, and gives its address, host:port, at which it may not answer yet.
func Start(t testing.TB, target string, every time.Duration, flags ...string) (address string) {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf("global: {scrape_interval: %[1]dms, scrape_timeout: %[1]dms}\nscrape_configs:\n- job_name: viperprobe\n  honor_labels: true\n  static_configs: [{targets: [%[2]q]}]\n",
		every.Milliseconds(), target)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, Tool(t, "prometheus"), append([]string{
		"--config.file=" + config, "--storage.tsdb.path=" + filepath.Join(dir, "data"), "--web.listen-address=" + address, "--log.level=warn",
	}, flags...)...)
	out := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // killed
		if t.Failed() {
			t.Logf("prometheus said:\n%s", out)
		}
	})
	return address
}
