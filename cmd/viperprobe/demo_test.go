package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"viperprobe.dev/viperprobe/internal/cgroup"
)

// The workload runs in its own cgroups, does something there, and leaves nothing.
func TestDemo(t *testing.T) {
	host, err := cgroup.Find("/")
	if err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath("viperprobe") // this test binary under the command's name: see TestMain
	if err != nil {
		t.Fatal(err)
	}
	d := &demo{program: program, prefix: fmt.Sprintf("viperprobe-demo-test-%d", os.Getpid())}
	if err := d.startIn(host); err != nil {
		t.Fatal(err)
	}
	stopped := false
	defer func() {
		if !stopped {
			_ = d.stop()
		}
	}()
	for _, m := range d.members {
		inside, err := os.ReadFile(filepath.Join(m.cgroup, "cgroup.procs"))
		if err != nil || strings.TrimSpace(string(inside)) != fmt.Sprint(m.process.Process.Pid) {
			t.Errorf("%s holds %q, want %d; %v", m.cgroup, inside, m.process.Process.Pid, err)
		}
	}
	// The server of a few requests has read its sockets: rchar of /proc/PID/io grows.
	deadline := time.Now().Add(20 * time.Second)
	for first := read(t, d.members[0]); read(t, d.members[0]) < first+1000; {
		if time.Now().After(deadline) {
			t.Fatal("the server read nothing in 20 s")
		}
	}
	stopped = true
	if err := d.stop(); err != nil {
		t.Error(err)
	}
	for _, m := range d.members {
		if _, err := os.Stat(m.cgroup); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", m.cgroup, err)
		}
	}
}

func read(t *testing.T, m member) (chars uint64) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", m.process.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(string(b), "rchar: %d", &chars); err != nil {
		t.Fatal(err)
	}
	return chars
}

func TestWantsDemo(t *testing.T) {
	root := t.TempDir()
	for mode, want := range map[string]bool{"on": true, "off": false} {
		if got, err := wantsDemo(mode, nil); got != want || err != nil {
			t.Errorf("%s: %v, %v", mode, got, err)
		}
	}
	host := &cgroup.Host{Root: "/", V2: root}
	if got, err := wantsDemo("auto", host); !got || err != nil {
		t.Errorf("auto without a container: %v, %v", got, err)
	}
	id := strings.Repeat("0123456789abcdef", 4)
	if err := os.MkdirAll(filepath.Join(root, "docker", id), 0o755); err != nil {
		t.Fatal(err)
	}
	if got, err := wantsDemo("auto", host); got || err != nil {
		t.Errorf("auto beside a container: %v, %v", got, err)
	}
}
