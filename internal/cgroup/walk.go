package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// Walk calls fn for every v2 cgroup, parents first, with its id (the kernel's
// cgroup id is the directory's inode) and its path, "/" for the root. Cgroups
// that go away meanwhile are passed over. It stops at fn's first error and
// returns it.
func (h *Host) Walk(fn func(id uint64, path string) error) error {
	var st unix.Stat_t
	if err := unix.Stat(h.V2, &st); err != nil {
		return fmt.Errorf("stat %s: %w", h.V2, err)
	}
	return h.walk("/", &st, fn)
}

func (h *Host) walk(at string, st *unix.Stat_t, fn func(uint64, string) error) error {
	if err := fn(st.Ino, at); err != nil {
		return err
	}
	// A directory's links are itself, its name and its subdirectories: most
	// cgroups are leaves and need not be read. (Some file systems do not count.)
	if st.Nlink == 2 {
		return nil
	}
	entries, err := os.ReadDir(h.V2 + at)
	if gone(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("walk cgroups: %w", err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		child := path.Join(at, e.Name())
		var st unix.Stat_t
		if err := unix.Lstat(h.V2+child, &st); err != nil {
			if gone(err) {
				continue
			}
			return fmt.Errorf("stat cgroup %s: %w", child, err)
		}
		if err := h.walk(child, &st, fn); err != nil {
			return err
		}
	}
	return nil
}

// gone reports whether err is what is left of a cgroup after its removal.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV)
}
