package recording

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A clock reads the times of one file, which have one form.
type clock struct{ form string }

const (
	unixForm    = "unix seconds"
	rfc3339Form = "RFC 3339"
	// latest is the year 5138 in seconds; times in milliseconds are beyond it since 1973.
	latest = 1e11
)

// read gives a time in unix seconds.
func (c *clock) read(cell string) (float64, error) {
	cell = strings.TrimSpace(cell)
	form, at := unixForm, 0.0
	if t, err := time.Parse(time.RFC3339, cell); err == nil {
		form, at = rfc3339Form, float64(t.Unix())+float64(t.Nanosecond())/1e9
	} else if at, err = strconv.ParseFloat(cell, 64); err != nil || math.IsNaN(at) || math.IsInf(at, 0) {
		return 0, fmt.Errorf("want a time in unix seconds or RFC 3339, have %q", clip(cell))
	}
	if c.form == "" {
		c.form = form
	}
	if c.form != form {
		return 0, fmt.Errorf("%q is %s, the times above are %s; use one of them", clip(cell), form, c.form)
	}
	if math.Abs(at) > latest {
		return 0, fmt.Errorf("%s are no unix seconds: milliseconds, perhaps; divide them by 1000", clip(cell))
	}
	return at, nil
}

// readNumber gives NaN for a missing value.
func readNumber(cell string) (float64, error) {
	if cell == "" {
		return math.NaN(), nil
	}
	x, err := strconv.ParseFloat(cell, 64)
	switch {
	case err == nil && math.IsInf(x, 0), errors.Is(err, strconv.ErrRange):
		return 0, fmt.Errorf("%s is no measurement; leave the cell empty", clip(cell))
	case err == nil:
		return x, nil
	}
	if trimmed := strings.TrimSpace(cell); trimmed != cell {
		return readNumber(trimmed)
	}
	digits := strings.TrimRight(cell, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ%µ/ ")
	if _, err := strconv.ParseFloat(digits, 64); err == nil && digits != "" {
		return 0, fmt.Errorf("%q has a unit; write plain numbers, all of a column in one unit", clip(cell))
	}
	return 0, fmt.Errorf("want a number, have %q; leave cells without a value empty", clip(cell))
}

// readViolation gives 1, 0, or -1 for unknown.
func readViolation(cell string) (int8, error) {
	switch strings.TrimSpace(cell) {
	case "1", "true":
		return 1, nil
	case "0", "false":
		return 0, nil
	case "":
		return -1, nil
	}
	return 0, fmt.Errorf("want 1 (violated) or 0, have %q", clip(cell))
}

// clockTime is a time for people.
func clockTime(at float64) string {
	if at < 1e8 { // not a clock's
		return strconv.FormatFloat(at, 'f', -1, 64)
	}
	return time.UnixMilli(int64(math.Round(at * 1000))).UTC().Format(time.RFC3339Nano)
}
