package main

import (
	"encoding"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// The values of flags have one text form, on the command line and in a file.

// A span is a duration that may also be whole days or weeks: 15d, 2w.
type span time.Duration

func (s *span) UnmarshalText(text []byte) error {
	v, unit := string(text), time.Duration(0)
	switch {
	case strings.HasSuffix(v, "d"):
		unit = 24 * time.Hour
	case strings.HasSuffix(v, "w"):
		unit = 7 * 24 * time.Hour
	}
	if unit > 0 {
		n, err := strconv.ParseUint(v[:len(v)-1], 10, 31)
		if err == nil && n <= uint64(math.MaxInt64/unit) {
			*s = span(time.Duration(n) * unit)
			return nil
		}
	} else if d, err := time.ParseDuration(v); err == nil {
		*s = span(d)
		return nil
	}
	return fmt.Errorf("want a duration, such as 500ms, 5m or 15d, have %q", v)
}

func (s *span) String() string {
	d := time.Duration(*s)
	if day := 24 * time.Hour; d > 0 && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// A size is a number of bytes: 2GiB, 500MB, 1024.
type size int64

var sizeUnits = []struct {
	name  string
	bytes float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1},
}

func (s *size) UnmarshalText(text []byte) error {
	v := string(text)
	for _, u := range sizeUnits {
		number, ok := strings.CutSuffix(v, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if bytes := n * u.bytes; err == nil && bytes >= 0 && bytes < math.MaxInt64 {
			*s = size(bytes)
			return nil
		}
		break
	}
	return fmt.Errorf("want a size, such as 2GiB or 500MB, have %q", v)
}

func (s *size) String() string {
	for i := 3; i >= 0; i-- {
		if u := sizeUnits[i]; *s > 0 && *s%size(u.bytes) == 0 {
			return fmt.Sprintf("%d%s", *s/size(u.bytes), u.name)
		}
	}
	return fmt.Sprintf("%dB", *s)
}

// A count is a whole number, 1 or more.
type count int

func (c *count) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 31)
	if err != nil || n == 0 {
		return fmt.Errorf("want a whole number, 1 or more, have %q", text)
	}
	*c = count(n)
	return nil
}

func (c *count) String() string { return strconv.Itoa(int(*c)) }

// A level is how much is logged.
type level slog.Level

func (l *level) UnmarshalText(text []byte) error {
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	v, ok := levels[string(text)]
	if !ok {
		return fmt.Errorf("want debug, info, warn or error, have %q", text)
	}
	*l = level(v)
	return nil
}

func (l *level) String() string { return strings.ToLower(slog.Level(*l).String()) }

// A choice is one word of a few.
type choice struct {
	value string
	words []string
}

func (c *choice) UnmarshalText(text []byte) error {
	for _, w := range c.words {
		if w == string(text) {
			c.value = w
			return nil
		}
	}
	return fmt.Errorf("want %s, have %q", strings.Join(c.words, ", "), text)
}

func (c *choice) String() string { return c.value }

// A demoMode says when the demo is started: off, on, auto. In a file, true and
// false are as good.
type demoMode string

func (d *demoMode) UnmarshalText(text []byte) error {
	modes := map[string]demoMode{"off": "off", "on": "on", "auto": "auto", "false": "off", "true": "on"}
	mode, ok := modes[string(text)]
	if !ok {
		return fmt.Errorf("want off, on or auto, have %q", text)
	}
	*d = mode
	return nil
}

func (d *demoMode) String() string { return string(*d) }

// oneOf is a choice whose default is the first word.
func oneOf(words ...string) choice { return choice{words[0], words} }

// A flagText is a flag whose value has a text form. Faults are kept instead of
// ending the parse, so that all of a command line are reported at once.
type flagText struct {
	name, kind string
	into       interface {
		encoding.TextUnmarshaler
		String() string
	}
	faults *[]error
}

func (f *flagText) Set(text string) error {
	if err := f.into.UnmarshalText([]byte(text)); err != nil {
		*f.faults = append(*f.faults, fmt.Errorf("--%s: %w", f.name, err))
	}
	return nil
}

func (f *flagText) String() string {
	if f.into == nil {
		return ""
	}
	return f.into.String()
}

func (f *flagText) Type() string { return f.kind }

// A flags is a flag set whose faults are collected.
type flags struct {
	*pflag.FlagSet
	faults []error
}

func (f *flags) text(into interface {
	encoding.TextUnmarshaler
	String() string
}, name, kind, help string) {
	f.Var(&flagText{name, kind, into, &f.faults}, name, help)
}

// err is every fault of the flags parsed so far, as one usage error.
func (f *flags) err() error { return usage(errors.Join(f.faults...)) }
