package store

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
)

const (
	infoEvery   = time.Minute // well below PromQL's look-back of 5 minutes
	expireEvery = 8           // batches between two sweeps for series without samples
	missed      = 5           // windows without a sample after which a series ends
)

// Publish is Append.
func (s *Store) Publish(_ context.Context, b *metric.Batch) error { return s.Append(b) }

// Append writes a batch: all of it or nothing. A batch that is there already, by
// (node, epoch, sequence), changes nothing. When the disk is full the error is
// ErrFull; the samples of that batch are lost to the store, later ones go on, and
// the gap is recorded.
func (s *Store) Append(b *metric.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("append batch: store is closed")
	}
	st := s.nodes[b.Node]
	if st == nil {
		st = &stream{}
		s.nodes[b.Node] = st
	}
	if st.has(b) {
		s.stats.Duplicates++
		return nil
	}
	if err := s.room(); err != nil {
		s.stats.Failed++
		return err
	}
	w := &writer{store: s, app: s.db.AppenderV2(context.Background()), batch: b, time: st.next(b), start: b.Start.UnixMilli()}
	if err := w.write(st); err != nil {
		s.stats.Failed++
		s.cache.forget()
		return errors.Join(appendError(s.options.Dir, err), w.app.Rollback())
	}
	if err := w.app.Commit(); err != nil {
		s.stats.Failed++
		s.cache.forget()
		return appendError(s.options.Dir, err)
	}
	st.took(b, w.time)
	s.stats.Batches++
	s.stats.Samples += w.samples
	s.stats.Dropped += w.dropped
	s.stats.Other += w.other
	return nil
}

// room refuses before the disk is full: a TSDB whose log could not be written
// has series in memory that a crash would lose.
func (s *Store) room() error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(s.options.Dir, &fs); err != nil {
		return fmt.Errorf("append batch to store %s: %w", s.options.Dir, err)
	}
	if free := int64(fs.Bavail) * fs.Bsize; free < s.options.MinFree {
		return fmt.Errorf("append batch to store %s: %w: %d MiB are left, %d MiB are kept free; free some space or lower --retention-size",
			s.options.Dir, ErrFull, free>>20, s.options.MinFree>>20)
	}
	return nil
}

func appendError(dir string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("append batch to store %s: %w (%w); free some space", dir, ErrFull, err)
	}
	return fmt.Errorf("append batch to store %s: %w", dir, err)
}
