// Package store keeps samples: at rest in an embedded Prometheus TSDB, which
// PromQL and viperprobe query read, and the most recent ones in memory. It is
// the home of github.com/prometheus/prometheus.
//
// What a batch becomes:
//   - a counter is its total since the target began, under the family's
//     Prometheus name; a histogram is a native histogram of schema 2, cumulative
//     as well; a gauge is the last value of the window. Values are in base units.
//   - the first sample of a series is preceded by what the series was when its
//     window began (total - increase), so that the increase of a target that
//     lived for 100 ms is not lost; increase(x[5m] anchored) gives it exactly.
//   - NAME_max is the largest value of a gauge in the window; the series begins
//     when a window had a maximum that is not its last value.
//   - viperprobe_sample_ratio (label family) is the share of events that was looked at,
//     from the first window in which it was below 1; values are estimates of all of them.
//   - viperprobe_target_info is 1 and carries what else is known of a target.
//   - viperprobe_batch_sequence (labels node, epoch) is the batch's number, written in the
//     transaction of its samples; viperprobe_gap_seconds (labels node, reason) stands
//     at the end of an interval of that length in which nothing was measured.
//
// The time of a sample is its batch's slot.
package store

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"sync"
	"time"

	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/util/compression"
)

// Errors that a person can cause or has to act on. What Open and Append return
// wraps them and says where and what to do.
var (
	ErrLocked  = errors.New("store is in use")
	ErrFull    = errors.New("disk is full")
	ErrCorrupt = errors.New("store is corrupt")
)

// Options says where and how much to keep. Only Dir has to be given.
type Options struct {
	Dir       string
	MaxBytes  int64         // oldest blocks go when the store is larger; 0: 2 GiB
	MaxAge    time.Duration // oldest blocks go when they are older; 0: 15 days
	MaxSeries int           // live series; more are summed as target "other"; 0: 50,000
	MaxValues int           // values of a label found at run time, per target and family; 0: 64
	MinFree   int64         // Append refuses when the disk has less room than this; 0: 32 MiB
	Log       *slog.Logger  // repairs and failures in the background; nil: none

	Query QueryOptions
}

func (o Options) withDefaults() Options {
	if o.MaxBytes == 0 {
		o.MaxBytes = 2 << 30
	}
	if o.MaxAge == 0 {
		o.MaxAge = 15 * 24 * time.Hour
	}
	if o.MaxSeries == 0 {
		o.MaxSeries = 50_000
	}
	if o.MaxValues == 0 {
		o.MaxValues = 64
	}
	if o.MinFree == 0 {
		o.MinFree = 32 << 20
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Stats counts what a store took, holds and lost since it was opened.
type Stats struct {
	Batches    uint64 // appended
	Duplicates uint64 // batches that were there already, or older than what was there
	Failed     uint64 // batches that could not be written
	Samples    uint64 // samples of families appended
	Dropped    uint64 // samples that the TSDB refused: too old, or out of order
	Other      uint64 // samples that were summed into `other` by a cap
	Series     int    // live series
	Bytes      int64  // on disk
}

// A Store is an open store. It has one writer at a time and any number of
// readers; all methods are safe for concurrent use.
type Store struct {
	Reader
	options Options
	lock    *os.File
	db      *tsdb.DB

	mu     sync.Mutex // one Append at a time; guards what follows
	cache  cache
	nodes  map[string]*stream
	stats  Stats
	closed bool
}

// blockRange is how much one block holds at first. It bounds what a start after
// a crash has to replay: 5,000 samples a second are 9 million in half an hour.
const blockRange = 30 * time.Minute

// Open opens the store in o.Dir and makes it when there is none. What a crash
// left is replayed, and a torn end is cut off. The store is locked until Close.
func Open(o Options) (*Store, error) {
	o = o.withDefaults()
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, openError(o.Dir, err)
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	removeSandboxes(o.Dir)
	db, err := tsdb.Open(o.Dir, quiet(o.Log), nil, tsdbOptions(o), nil)
	if err != nil {
		return nil, errors.Join(openError(o.Dir, err), lock.Close())
	}
	s := &Store{options: o, lock: lock, db: db, cache: newCache(o), nodes: map[string]*stream{}}
	s.Reader = newReader(db, o.Query, o.Log)
	if err := s.loadStreams(); err != nil {
		return nil, errors.Join(openError(o.Dir, err), s.Close())
	}
	return s, nil
}

func tsdbOptions(o Options) *tsdb.Options {
	t := tsdb.DefaultOptions()
	t.NoLockfile = true // ours says who holds it
	t.MaxBytes = o.MaxBytes
	t.RetentionDuration = o.MaxAge.Milliseconds()
	t.MinBlockDuration = blockRange.Milliseconds()
	t.MaxBlockDuration = max(t.MinBlockDuration, min(t.RetentionDuration/10, (24*time.Hour).Milliseconds()))
	t.WALCompression = compression.Snappy
	t.WALSegmentSize = 32 << 20
	t.StripeSize = 1 << 10
	t.HeadChunksWriteBufferSize = 256 << 10
	t.EnableMemorySnapshotOnShutdown = true
	return t
}

// Close writes what is in memory, and releases the store. Closing twice is fine.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if err := errors.Join(s.db.Close(), s.lock.Close()); err != nil {
		return fmt.Errorf("close store %s: %w; what was appended is in its log", s.options.Dir, err)
	}
	return nil
}

// Stats returns the counts of now.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	st := s.stats
	st.Series = s.cache.live
	s.mu.Unlock()
	for _, b := range s.db.Blocks() {
		st.Bytes += b.Size()
	}
	st.Bytes += s.db.Head().Size()
	return st
}

// Bounds is the time of the oldest and of the newest sample; zero times when
// there is none.
func (s *Store) Bounds() (from, to time.Time) {
	first, last := s.db.Head().MinTime(), s.db.Head().MaxTime()
	for _, b := range s.db.Blocks() {
		first, last = min(first, b.MinTime()), max(last, b.MaxTime())
	}
	if first == math.MaxInt64 || last == math.MinInt64 {
		return from, to
	}
	return time.UnixMilli(first), time.UnixMilli(last)
}
