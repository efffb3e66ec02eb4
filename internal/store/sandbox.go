package store

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/tsdb"
)

const sandboxPrefix = "reader-"

// A Snapshot is a store as it was when it was opened, for reading only.
type Snapshot struct {
	Reader
	db  *tsdb.DB
	dir string
}

// OpenReadOnly opens the store in dir for reading, whether or not a process
// writes it, and changes nothing in it: it works on links to its files in a folder
// beside them, where a torn end can be cut off. It sees everything that was
// appended before the call.
func OpenReadOnly(dir string, o QueryOptions) (*Snapshot, error) {
	if _, err := os.Stat(filepath.Join(dir, "wal")); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("open store %s: there is none; viperprobe run makes one, --store says where it is", dir)
		}
		return nil, openError(dir, err)
	}
	sandbox, err := os.MkdirTemp(dir, sandboxPrefix)
	if err != nil {
		return nil, openError(dir, err)
	}
	// A block or segment can go while we link: the next attempt sees a whole state.
	var db *tsdb.DB
	for range 3 {
		if err = linkStore(dir, sandbox); err != nil {
			continue
		}
		if db, err = tsdb.Open(sandbox, slog.New(slog.DiscardHandler), nil, snapshotOptions(), nil); err == nil {
			db.DisableCompactions()
			return &Snapshot{Reader: newReader(db, o, slog.New(slog.DiscardHandler)), db: db, dir: sandbox}, nil
		}
	}
	return nil, errors.Join(openError(dir, err), os.RemoveAll(sandbox))
}

func snapshotOptions() *tsdb.Options {
	t := tsdb.DefaultOptions()
	t.NoLockfile = true
	t.RetentionDuration = 0
	t.StripeSize = 1 << 10
	t.MinBlockDuration = (100 * 24 * time.Hour).Milliseconds() // the head takes whatever the log has
	t.MaxBlockDuration = t.MinBlockDuration
	t.HeadChunksWriteBufferSize = 64 << 10
	return t
}

// Close forgets the snapshot.
func (s *Snapshot) Close() error {
	return errors.Join(s.db.Close(), os.RemoveAll(s.dir))
}

// linkStore makes sandbox look like dir, by hard links: names may go while we read.
func linkStore(dir, sandbox string) error {
	if err := clearDir(sandbox); err != nil {
		return err
	}
	// Head first: what moves from head to block meanwhile is then seen twice, not missed.
	for _, part := range []string{"chunks_head", "wal"} {
		if err := linkTree(filepath.Join(dir, part), filepath.Join(sandbox, part)); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if _, err := ulid.ParseStrict(e.Name()); err != nil {
			continue
		}
		if err := linkTree(filepath.Join(dir, e.Name()), filepath.Join(sandbox, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func linkTree(from, to string) error {
	return filepath.WalkDir(from, func(name string, d os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) && name == from {
			return nil
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		return linkOrCopy(name, filepath.Join(to, rel))
	})
}

func linkOrCopy(from, to string) (err error) {
	if os.Link(from, to) == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func clearDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// removeSandboxes removes what readers that were killed left.
func removeSandboxes(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && strings.HasPrefix(e.Name(), sandboxPrefix) && time.Since(info.ModTime()) > time.Hour {
			_ = os.RemoveAll(filepath.Join(dir, e.Name())) // a reader's, or not ours to remove
		}
	}
}

// union merges sorted lists into one without repetitions.
func union(lists [][]string) []string {
	all := slices.Concat(lists...)
	slices.Sort(all)
	return slices.Compact(all)
}
