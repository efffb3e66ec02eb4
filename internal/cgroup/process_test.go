package cgroup

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/internal/policy"
)

// This process, which is a Go program with arguments that listens.
func TestProcessIsUs(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p, ok := process("/proc/"+strconv.Itoa(os.Getpid()), policy.Needs{Arguments: true, Ports: true, Build: true})
	if !ok || p.Build != "go" || p.Executable != filepath.Base(os.Args[0]) || !slices.Equal(p.Arguments, os.Args) {
		t.Errorf("got %+v, %v", p, ok)
	}
	if port := l.Addr().(*net.TCPAddr).Port; !slices.Contains(p.Ports, port) {
		t.Errorf("ports %v, want %d", p.Ports, port)
	}
	bare, ok := process("/proc/self", policy.Needs{})
	if !ok || bare.Arguments != nil || bare.Ports != nil || bare.Build != "" {
		t.Errorf("read what nobody needs: %+v", bare)
	}
}

func TestProcesses(t *testing.T) {
	root := t.TempDir()
	h := &Host{Proc: filepath.Join(root, "proc"), V2: filepath.Join(root, "cg")}
	put := func(name, text string) {
		t.Helper()
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("cg/a/cgroup.procs", "7\n8\n9\n10\n")
	put("proc/7/comm", "runc:[2:INIT]\n")
	put("proc/8/comm", "redis-server\n")
	put("proc/8/cmdline", "redis-server\x00*:6379\x00")
	put("proc/10/comm", "sh\n")
	if err := os.Symlink("/usr/bin/redis-server (deleted)", filepath.Join(root, "proc/8/exe")); err != nil {
		t.Fatal(err)
	}
	want := []policy.Process{
		{Command: "redis-server", Executable: "redis-server", Arguments: []string{"redis-server", "*:6379"}},
		{Command: "sh"},
	}
	if d := cmp.Diff(want, h.Processes("/a", policy.Needs{Arguments: true})); d != "" {
		t.Error(d)
	}
	if got := h.Processes("/none", policy.Needs{}); got != nil {
		t.Errorf("of no cgroup: %v", got)
	}
	many := ""
	for i := range 3 * maxMembers {
		many += strconv.Itoa(100+i) + "\n"
		put("proc/"+strconv.Itoa(100+i)+"/comm", "x\n")
	}
	put("cg/b/cgroup.procs", many)
	if got := len(h.Processes("/b", policy.Needs{})); got != maxMembers {
		t.Errorf("%d processes, want %d", got, maxMembers)
	}
}

func TestGoNote(t *testing.T) {
	for text, want := range map[string]bool{
		"\x7fELF....\x04\x00\x00\x00\x53\x00\x00\x00\x04\x00\x00\x00Go\x00\x00id": true,
		"\x7fELF....\x05\x00\x00\x00\x53\x00\x00\x00\x04\x00\x00\x00Go\x00\x00id": false,
		"\x04\x00\x00\x00Go\x00\x00": false, "": false,
	} {
		if got := hasGoNote([]byte(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func FuzzListeners(f *testing.F) {
	f.Add([]byte("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n" +
		"   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 31337 1 0 100 0 0 10 0\n"))
	f.Add([]byte("0: : : 0A a b c d e f g"))
	f.Fuzz(func(t *testing.T, table []byte) {
		ports := map[string]int{}
		parseListeners(table, ports)
		for inode, port := range ports {
			if port < 1 || port > 65535 || inode == "" {
				t.Errorf("inode %q, port %d", inode, port)
			}
		}
		hasGoNote(table)
	})
}
