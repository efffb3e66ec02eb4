// Package ratelog keeps a fault that comes back with each window, such as a full disk, from flooding the log.
package ratelog

import (
	"context"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"
)

// Of each message the first burst are passed on, and then one more each time every
// has passed.
const (
	burst = 10
	every = time.Minute
)

// maxMessages bounds the messages that are told apart; those beyond it share one limit.
const maxMessages = 256

// New limits how often h is given the same warning or error. Messages are the same
// when they are equal up to their first digit, whatever their attributes. What was left
// out is counted in the attribute unsaid of the next that is passed on. Safe for
// concurrent use.
func New(h slog.Handler) slog.Handler {
	return handler{h, &limits{messages: map[string]*bucket{}}}
}

type handler struct {
	slog.Handler
	limits *limits
}

// Handle passes r on, unless the like of it came too often.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		unsaid, ok := h.limits.take(r.Message, r.Time)
		if !ok {
			return nil
		}
		if unsaid > 0 {
			r = r.Clone()
			r.AddAttrs(slog.Int("unsaid", unsaid))
		}
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs shares the limits.
func (h handler) WithAttrs(as []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(as), h.limits}
}

// WithGroup shares the limits.
func (h handler) WithGroup(name string) slog.Handler {
	return handler{h.Handler.WithGroup(name), h.limits}
}

type limits struct {
	mu       sync.Mutex
	messages map[string]*bucket
}

// A bucket holds how many of one message may be passed on now.
type bucket struct {
	tokens float64
	at     time.Time // when tokens was true
	unsaid int       // since the last that was passed on
}

// take reports whether message may be passed on, and how many like it were not since
// the last that was.
func (l *limits) take(message string, now time.Time) (unsaid int, ok bool) {
	key := message
	if i := strings.IndexAny(message, "0123456789"); i >= 0 {
		key = message[:i]
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.messages[key]
	if b == nil {
		b = l.add(key, now)
	}
	b.tokens = min(burst, b.tokens+float64(now.Sub(b.at))/float64(every))
	b.at = now
	if b.tokens < 1 {
		b.unsaid++
		return 0, false
	}
	unsaid, b.unsaid = b.unsaid, 0
	b.tokens--
	return unsaid, true
}

// add makes the bucket of key, or gives the one that all share for whom there is no
// room. Buckets that are full again say nothing and make room.
func (l *limits) add(key string, now time.Time) *bucket {
	if len(l.messages) >= maxMessages {
		maps.DeleteFunc(l.messages, func(_ string, b *bucket) bool { return b.unsaid == 0 && now.Sub(b.at) >= burst*every })
	}
	if len(l.messages) >= maxMessages {
		key = ""
		if b := l.messages[key]; b != nil {
			return b
		}
	}
	b := &bucket{tokens: burst, at: now}
	l.messages[key] = b
	return b
}
