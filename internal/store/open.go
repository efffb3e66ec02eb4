package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
)

// lockDir takes the lock file that Prometheus takes as well, and leaves our
// process id in it.
func lockDir(dir string) (*os.File, error) {
	name := filepath.Join(dir, "lock")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, openError(dir, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		who := "another process"
		if pid, err := os.ReadFile(name); err == nil && len(pid) > 0 {
			who = "process " + string(pid)
		}
		return nil, errors.Join(fmt.Errorf("open store %s: %w by %s; stop it, or use another directory (--store)", dir, ErrLocked, who), f.Close())
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = fmt.Fprintf(f, "%d", os.Getpid())
	}
	if err != nil {
		return nil, errors.Join(openError(dir, err), f.Close())
	}
	return f, nil
}

// openError says what a person can do about err.
func openError(dir string, err error) error {
	switch {
	case errors.Is(err, os.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("open store %s: %w; make it writable for this user, or use another directory (--store)", dir, err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("open store %s: %w (%w); free some space, or use another directory (--store)", dir, ErrFull, err)
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("open store %s: a file is in the way: %w; use another directory (--store)", dir, err)
	}
	if errno := syscall.Errno(0); errors.As(err, &errno) { // the machine's trouble, not the data's
		return fmt.Errorf("open store %s: %w", dir, err)
	}
	return fmt.Errorf("open store %s: %w: %w; move what is named here out of the store (its samples are lost), or use another directory (--store)", dir, ErrCorrupt, err)
}

// quiet passes on warnings and errors only: at its info level the TSDB tells its
// life.
func quiet(log *slog.Logger) *slog.Logger { return slog.New(atLeastWarn{log.Handler()}) }

type atLeastWarn struct{ slog.Handler }

func (h atLeastWarn) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && h.Handler.Enabled(ctx, l)
}
func (h atLeastWarn) WithAttrs(as []slog.Attr) slog.Handler {
	return atLeastWarn{h.Handler.WithAttrs(as)}
}
func (h atLeastWarn) WithGroup(name string) slog.Handler {
	return atLeastWarn{h.Handler.WithGroup(name)}
}
