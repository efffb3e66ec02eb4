package probe

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// A freezer is an ext4 file system that can be frozen: the VM's /disk, or one on a
// loop device.
type freezer struct{ dir string }

// frozen makes one, which goes with the test.
func frozen(t *testing.T) freezer {
	t.Helper()
	if os.Getenv("VIPERPROBE_VM") == "1" {
		return freezer{"/disk"}
	}
	dir := t.TempDir()
	d := newLoop(t, filepath.Join(dir, "ext4"), 16<<20)
	if out, err := exec.Command("mkfs.ext4", "-q", d.path).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v: %s", err, out)
	}
	at := filepath.Join(dir, "mounted")
	if err := os.Mkdir(at, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(d.path, at, "ext4", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		var err error
		if !poll(removeLimit, func() bool { err = unix.Unmount(at, 0); return err == nil }) {
			t.Errorf("unmount %s: %v", at, err)
		}
	})
	return freezer{at}
}

// freeze stops all writing; thaw, which is called at the end of the test at the
// latest, lets it go on.
func (f freezer) freeze(t *testing.T) (thaw func()) {
	t.Helper()
	dir, err := os.Open(f.dir)
	if err != nil {
		t.Fatal(err)
	}
	const fifreeze, fithaw = 0xc0045877, 0xc0045878 // FIFREEZE, FITHAW of linux/fs.h
	if err := unix.IoctlSetInt(int(dir.Fd()), fifreeze, 0); err != nil {
		t.Fatal(err)
	}
	thaw = sync.OnceFunc(func() {
		if err := unix.IoctlSetInt(int(dir.Fd()), fithaw, 0); err != nil {
			t.Error(err)
		}
		dir.Close()
	})
	t.Cleanup(thaw)
	return thaw
}
