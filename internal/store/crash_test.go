package store

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// childDir tells a copy of the test program to append to this store until it is
// killed.
const childDir = "VIPERPROBE_TEST_STORE"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := appendForever(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// appendForever prints the number of each batch that is stored.
func appendForever(dir string) error {
	s, err := Open(Options{Dir: dir})
	if err != nil {
		return err
	}
	l := newLoad(100)
	for seq := 1; ; seq++ {
		if err := s.Append(l.batch(seq)); err != nil {
			return err
		}
		fmt.Println(seq)
	}
}

// After kill -9 under load every batch that was acknowledged is there, once, for a
// reader beside the lock as well as for the next writer.
func TestKilledWriter(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self)
	child.Env = append(os.Environ(), childDir+"="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	stored, killed := 0, false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if stored, err = strconv.Atoi(lines.Text()); err != nil {
			t.Fatal(err)
		}
		if stored < 40 || killed {
			continue
		}
		if _, err := Open(Options{Dir: dir}); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("process %d;", child.Process.Pid)) {
			t.Errorf("Open beside it: %v", err)
		}
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		killed = true
	}
	if child.Wait() == nil || !killed {
		t.Fatal("the child was not killed")
	}
	l := newLoad(100)
	snapshot, err := OpenReadOnly(dir, QueryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	checkStored(t, &snapshot.Reader, stored, stored+1)
	if err := snapshot.Close(); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, Options{Dir: dir})
	for seq := stored; seq <= stored+10; seq++ {
		appendAll(t, s, l.batch(seq))
	}
	checkStored(t, &s.Reader, stored+10, stored+10)
	if st := s.Stats(); st.Duplicates < 1 || st.Duplicates > 2 || st.Dropped != 0 {
		t.Errorf("stats %+v", st)
	}
	gaps, err := s.Gaps(context.Background(), t0, t0.Add(time.Hour))
	if err != nil || len(gaps) != 0 {
		t.Errorf("gaps %v, %v", gaps, err)
	}
}

// checkStored wants every series to have one sample for each of the first least
// (or, where the last was not acknowledged, most) batches and one before them.
func checkStored(t *testing.T, r *Reader, least, most int) {
	t.Helper()
	for _, query := range []string{
		`count_values without(target,pod,container) ("n", count_over_time(viperprobe_family_00_total[1h]))`,
		`count_values without(target,pod,container) ("n", count_over_time(viperprobe_family_49_seconds[1h]))`,
	} {
		got := ask(t, r, 3599, query)
		ok := false
		for n := least; n <= most; n++ {
			ok = ok || strings.Contains(got, fmt.Sprintf(`n="%d"`, n+1)) && strings.Contains(got, "=> 100 @")
		}
		if !ok || strings.Count(got, "=>") != 1 {
			t.Errorf("want 100 series with %d samples: %s", least+1, got)
		}
	}
}

// filled makes a closed store with n batches.
func filled(t *testing.T, n int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	s, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	l := newLoad(100)
	for seq := 1; seq <= n; seq++ {
		appendAll(t, s, l.batch(seq))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A torn end of the log costs what was torn, is repaired, and is said. A reader
// that comes first repairs a copy of its own.
func TestTornLog(t *testing.T) {
	dir := filled(t, 50)
	snapshots, err := filepath.Glob(filepath.Join(dir, "chunk_snapshot*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range snapshots { // a crash leaves none
		if err := os.RemoveAll(s); err != nil {
			t.Fatal(err)
		}
	}
	segment := filepath.Join(dir, "wal", "00000000")
	info, err := os.Stat(segment)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(segment, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(bytes.Repeat([]byte{0xff}, 4096), info.Size()/2); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	snapshot, err := OpenReadOnly(dir, QueryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	const query = `max(count_over_time(viperprobe_family_00_total[1h]))`
	got := ask(t, &snapshot.Reader, 3599, query)
	if err := snapshot.Close(); err != nil {
		t.Error(err)
	}
	var log bytes.Buffer
	s := openStore(t, Options{Dir: dir, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if again := ask(t, &s.Reader, 3599, query); again != got || !strings.Contains(got, "=>") || strings.Contains(got, "=> 51 @") {
		t.Errorf("reader: %s, writer: %s", got, again)
	}
	if !strings.Contains(log.String(), "repair") {
		t.Errorf("nothing said: %q", log.String())
	}
	l := newLoad(100)
	appendAll(t, s, l.batch(60))
	if got := ask(t, &s.Reader, 60, `viperprobe_gap_seconds`); !strings.Contains(got, `reason="lost"`) {
		t.Errorf("gap: %s", got)
	}
}

// spread makes a store of two hours with blocks, one batch a minute.
func spread(t *testing.T, o Options, l *load) *Store {
	t.Helper()
	s := openStore(t, o)
	for minute := 1; minute <= 120; minute++ {
		b := l.batch(minute * 60)
		b.Seq, b.Start, b.Interval = uint64(minute), b.End.Add(-time.Minute), time.Minute
		appendAll(t, s, b)
	}
	if err := s.db.Compact(context.Background()); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCorruptBlock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := spread(t, Options{Dir: dir}, newLoad(5))
	block := s.db.Blocks()[0].Dir()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(block, "index"), []byte("broken"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Open(Options{Dir: dir})
	if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), filepath.Base(block)) || !strings.Contains(err.Error(), "move what is named here out of the store") {
		t.Errorf("Open: %v", err)
	}
	if _, err := OpenReadOnly(dir, QueryOptions{}); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), filepath.Base(block)) {
		t.Errorf("OpenReadOnly: %v", err)
	}
	// The advice helps.
	if err := os.Rename(block, filepath.Join(filepath.Dir(dir), "aside")); err != nil {
		t.Fatal(err)
	}
	openStore(t, Options{Dir: dir})
}

func TestRetention(t *testing.T) {
	for name, o := range map[string]Options{"by age": {MaxAge: time.Hour}, "by size": {MaxBytes: 1}} {
		s := spread(t, o, newLoad(5))
		all := spread(t, Options{}, newLoad(5))
		from, _ := s.Bounds()
		begin, to := all.Bounds()
		if !begin.Equal(t0) && begin.Sub(t0) > time.Minute {
			t.Errorf("%s: all begins at %s", name, begin)
		}
		if !from.After(begin.Add(20*time.Minute)) || to.Before(t0.Add(2*time.Hour)) {
			t.Errorf("%s: kept %s to %s of %s", name, from, to, begin)
		}
	}
}

// A reader beside a writer sees what was appended before it came, and leaves
// nothing behind.
func TestReaderBesideWriter(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	l := newLoad(5)
	s := spread(t, Options{Dir: dir}, l)
	if len(s.db.Blocks()) == 0 {
		t.Fatal("no blocks")
	}
	for i := range 3 {
		r, err := OpenReadOnly(dir, QueryOptions{})
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("=> %d @", 121+i)
		if got := ask(t, &r.Reader, 9000, `max(count_over_time(viperprobe_family_00_total[3h]))`); !strings.Contains(got, want) {
			t.Errorf("reader %d: %s, want %s", i, got, want)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		b := l.batch((121 + i) * 60)
		b.Seq = uint64(121 + i)
		appendAll(t, s, b)
	}
	left, err := filepath.Glob(filepath.Join(dir, sandboxPrefix+"*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
	if _, err := OpenReadOnly(filepath.Join(dir, "none"), QueryOptions{}); err == nil || !strings.Contains(err.Error(), "there is none; viperprobe run makes one") {
		t.Errorf("no store: %v", err)
	}
}

// small mounts a file system of the given size that is unmounted at the end.
func small(t *testing.T, size string, flags uintptr) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", flags, size); err != nil {
		t.Fatalf("mount tmpfs (needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestReadOnlyDisk(t *testing.T) {
	_, err := Open(Options{Dir: filepath.Join(small(t, "size=1m", syscall.MS_RDONLY), "store")})
	if err == nil || !strings.Contains(err.Error(), "read-only file system; make it writable") {
		t.Errorf("Open: %v", err)
	}
}

// Append says that the disk is full, before and when it is, and goes on when there
// is room again; nothing that was stored is lost.
func TestFullDisk(t *testing.T) {
	for name, keep := range map[string]int64{"kept free": 1 << 20, "to the last byte": 1} {
		t.Run(name, func(t *testing.T) {
			disk := small(t, "size=8m", 0)
			dir := filepath.Join(disk, "store")
			s := openStore(t, Options{Dir: dir, MinFree: keep})
			l := newLoad(100)
			ballast := filepath.Join(disk, "ballast")
			if err := os.WriteFile(ballast, make([]byte, 6<<20), 0o644); err != nil {
				t.Fatal(err)
			}
			seq, stored := 1, uint64(0)
			for ; seq < 2000; seq++ {
				if err := s.Append(l.batch(seq)); err != nil {
					if !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), "free some space") {
						t.Fatalf("Append: %v", err)
					}
					break
				}
				stored++
			}
			if err := s.Append(l.batch(seq + 1)); !errors.Is(err, ErrFull) {
				t.Errorf("Append to a full disk: %v", err)
			}
			if st := s.Stats(); st.Batches != stored || st.Failed != 2 {
				t.Errorf("stored %d: %+v", stored, st)
			}
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
			appendAll(t, s, l.batch(seq+2))
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			s = openStore(t, Options{Dir: dir, MinFree: keep})
			got := ask(t, &s.Reader, seq+2, `min(count_over_time(viperprobe_batch_sequence[1h]))`)
			if !strings.Contains(got, fmt.Sprintf("=> %d @", stored+1)) {
				t.Errorf("stored %d and 1: %s", stored, got)
			}
			if got := ask(t, &s.Reader, seq+2, `viperprobe_gap_seconds`); !strings.Contains(got, `reason="lost"`) {
				t.Errorf("gap: %s", got)
			}
		})
	}
}
