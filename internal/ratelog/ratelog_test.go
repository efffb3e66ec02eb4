package ratelog

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// said gives what a handler is told at times of the test's choice.
type said struct {
	text strings.Builder
	slog.Handler
}

func newSaid() *said {
	s := &said{}
	inner := slog.NewTextHandler(&s.text, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	s.Handler = New(inner)
	return s
}

var t0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func (s *said) say(t *testing.T, h slog.Handler, level slog.Level, at time.Duration, message string, args ...any) (lines string) {
	t.Helper()
	s.text.Reset()
	r := slog.NewRecord(t0.Add(at), level, message, 0)
	r.Add(args...)
	if err := h.Handle(context.Background(), r); err != nil {
		t.Fatal(err)
	}
	return s.text.String()
}

func TestFaultsThatComeBack(t *testing.T) {
	s := newSaid()
	passed := 0
	for i := range 610 { // one a second
		line := s.say(t, s.Handler, slog.LevelError, time.Duration(i)*time.Second, "batch not taken", "seq", i)
		switch {
		case line == "":
			continue
		case i < burst:
			if want := fmt.Sprintf("level=ERROR msg=\"batch not taken\" seq=%d\n", i); line != want {
				t.Errorf("said %q, want %q", line, want)
			}
		case !strings.Contains(line, " unsaid="):
			t.Errorf("at %d s: %q does not say what was left out", i, line)
		}
		passed++
	}
	if passed != burst+10 {
		t.Errorf("%d of 610 in ten minutes were passed on, want %d", passed, burst+10)
	}
	// A long quiet: said at once again.
	if line := s.say(t, s.Handler, slog.LevelError, time.Hour, "batch not taken"); !strings.Contains(line, "unsaid=") {
		t.Errorf("after an hour: %q", line)
	}
}

func TestOthersAreNotLimited(t *testing.T) {
	s := newSaid()
	more := s.Handler.WithAttrs([]slog.Attr{slog.String("part", "x")}).WithGroup("g")
	for i := range 100 {
		s.say(t, s.Handler, slog.LevelWarn, 0, fmt.Sprintf("http: TLS handshake error from 192.0.2.1:%d: EOF", i))
	}
	for what, tc := range map[string]struct {
		h       slog.Handler
		level   slog.Level
		message string
		passed  bool
	}{
		"the same but for a port":       {s.Handler, slog.LevelWarn, "http: TLS handshake error from 192.0.2.9:1: EOF", false},
		"the same of a derived logger":  {more, slog.LevelWarn, "http: TLS handshake error from 192.0.2.9:1: EOF", false},
		"another message":               {s.Handler, slog.LevelWarn, "batch not taken", true},
		"another of a derived logger":   {more, slog.LevelError, "cgroup not measured", true},
		"what is no fault is never cut": {s.Handler, slog.LevelInfo, "http: TLS handshake error from 192.0.2.9:1: EOF", true},
	} {
		if got := s.say(t, tc.h, tc.level, 0, tc.message) != ""; got != tc.passed {
			t.Errorf("%s: passed on %v, want %v", what, got, tc.passed)
		}
	}
}

func TestMessagesAreBounded(t *testing.T) {
	s := newSaid()
	l := s.Handler.(handler).limits
	name := func(i int) string { return fmt.Sprintf("%c%c%c", 'a'+i/676, 'a'+i/26%26, 'a'+i%26) }
	passed := 0
	for i := range 5000 {
		if s.say(t, s.Handler, slog.LevelWarn, 0, name(i)) != "" {
			passed++
		}
	}
	if len(l.messages) > maxMessages+1 {
		t.Errorf("%d messages are kept", len(l.messages))
	}
	if passed != maxMessages+burst {
		t.Errorf("%d passed on, want %d of their own and %d of all others", passed, maxMessages, burst)
	}
	if s.say(t, s.Handler, slog.LevelWarn, burst*every, "new") == "" || len(l.messages) > 10 {
		t.Errorf("what was quiet for long made no room: %d are kept", len(l.messages))
	}
}
