package main

import (
	"testing"
	"time"
)

func TestSpan(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"15d": 15 * 24 * time.Hour, "2w": 14 * 24 * time.Hour, "500ms": 500 * time.Millisecond, "1h30m": 90 * time.Minute, "0s": 0,
	} {
		var s span
		if err := s.UnmarshalText([]byte(text)); err != nil || time.Duration(s) != want {
			t.Errorf("%q is %v, %v; want %v", text, time.Duration(s), err, want)
		}
	}
	for _, text := range []string{"", "d", "1.5d", "-1d", "5", "9999999999d", "2147483647w"} {
		var s span
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q accepted as %v", text, time.Duration(s))
		}
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]size{
		"2GiB": 2 << 30, "500MB": 500e6, "1.5KiB": 1536, "10 kB": 10_000, "7": 7, "7B": 7,
	} {
		var s size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%q is %d, %v; want %d", text, s, err, want)
		}
	}
	for _, text := range []string{"", "GiB", "-1B", "2G", "1e30TB", "NaN", "Inf"} {
		var s size
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q accepted as %d", text, s)
		}
	}
}

// What a value prints is read back as the same value.
func FuzzValues(f *testing.F) {
	for _, text := range []string{"15d", "2w", "1h30m", "500ms", "2GiB", "1.5kB", "7", "-3s", "0"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var a, b span
		if a.UnmarshalText([]byte(text)) == nil {
			if err := b.UnmarshalText([]byte(a.String())); err != nil || a != b {
				t.Errorf("span %q prints as %q, which is %v, %v", text, a.String(), b, err)
			}
		}
		var c, d size
		if c.UnmarshalText([]byte(text)) == nil {
			if err := d.UnmarshalText([]byte(c.String())); err != nil || c != d {
				t.Errorf("size %q prints as %q, which is %v, %v", text, c.String(), d, err)
			}
		}
	})
}
