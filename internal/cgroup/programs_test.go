package cgroup

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestParseMaps(t *testing.T) {
	got := parseMaps(strings.NewReader(`00400000-00452000 r-xp 00000000 08:02 173521      /usr/bin/dbus daemon
00651000-00652000 r--p 00051000 08:02 173521      /usr/bin/dbus daemon
35b1800000-35b1820000 r-xp 00000000 08:02 135522  /usr/lib/a\012b.so (deleted)
35b1a20000-35b1a21000 r-xp 00020000 08:02 135522  /usr/lib/a\012b.so (deleted)
7fffb2d48000-7fffb2d49000 r-xp 00000000 00:00 0   [vdso]
f2c6ff8c000-7f2c7078c000 rwxp 00000000 00:00 0
7f00-8f00 r-xp 00000000 00:01 7 anon_inode:x
`))
	want := []mapping{{"400000-452000", "/usr/bin/dbus daemon"}, {"35b1800000-35b1820000", "/usr/lib/a\nb.so"}}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(mapping{})); d != "" {
		t.Error(d)
	}
}

// A program that was deleted while it runs, and its libraries, can be opened all the same.
func TestProgramsOfAProcess(t *testing.T) {
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "sleep")
	if err := os.WriteFile(path, data, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "100")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid))
	want := 1
	if dynamic(t, sleep) {
		want = 2 // its loader, at least, which maps libraries after execve; busybox in VMs has none
	}
	var found []Program
	for end := time.Now().Add(20 * time.Second); (len(found) < want || found[0].Path != path) && time.Now().Before(end); { // before execve it is this program
		found = programs(dir)
	}
	if len(found) < want {
		t.Fatalf("found %+v, want %d programs at least", found, want)
	}
	if !found[0].Executable || found[0].Path != path {
		t.Fatalf("first is %+v, want %s", found[0], path)
	}
	i := slices.IndexFunc(found, func(p Program) bool { return strings.HasPrefix(filepath.Base(p.Path), "ld-linux") })
	if want > 1 && (i < 0 || found[i].Executable) {
		t.Fatalf("no loader in %+v", found)
	}
	for _, p := range []Program{found[0], found[max(i, 0)]} {
		f, err := p.Open()
		if err != nil {
			t.Fatal(err)
		}
		var st unix.Stat_t
		if err := unix.Fstat(int(f.Fd()), &st); err != nil || st.Size == 0 {
			t.Errorf("%s: %d bytes, %v", p.Path, st.Size, err)
		}
		f.Close()
	}
}

func FuzzMaps(f *testing.F) {
	f.Add("00400000-00452000 r-xp 00000000 08:02 173521      /usr/bin/x\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, m := range parseMaps(strings.NewReader(text)) {
			if m.path == "" || strings.HasSuffix(m.path, " (deleted) (deleted)") && strings.Contains(m.addresses, "/") {
				t.Errorf("%+v", m)
			}
		}
	})
}

// dynamic tells whether a program asks for a loader.
func dynamic(t *testing.T, path string) bool {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
}
