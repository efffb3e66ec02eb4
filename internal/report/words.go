package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// space keeps a number and its unit on one line.
const space = "\u00a0"

// number prints three significant digits, with thousands set apart, and never an exponent where people would not write
// one.
func number(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v):
		return "–"
	case a >= 1e12 || a > 0 && a < 1e-4:
		return strings.Replace(strconv.FormatFloat(v, 'g', 3, 64), "-", "−", 1)
	case a >= 1000:
		return thousands(int64(math.Round(v)))
	}
	return strings.Replace(strconv.FormatFloat(roundTo(v, 3), 'f', -1, 64), "-", "−", 1)
}

// roundTo keeps digits significant digits.
func roundTo(v float64, digits int) float64 {
	out, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', digits, 64), 64)
	if err != nil {
		return v
	}
	return out
}

func thousands(n int64) string {
	s := strconv.FormatInt(max(n, -n), 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if n < 0 {
		return "−" + s
	}
	return s
}

func percent(share float64) string {
	if math.IsNaN(share) {
		return "–"
	}
	if share > 0 && share < 0.01 || share > 0.99 && share < 1 {
		return strconv.FormatFloat(100*share, 'f', 1, 64) + space + "%"
	}
	return strconv.FormatFloat(100*share, 'f', 0, 64) + space + "%"
}

// plural is a count and its noun.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(int64(n)) + " " + many
}

// duration prints seconds as people say them.
func duration(seconds float64) string {
	switch {
	case seconds < 600:
		return number(seconds) + space + "s"
	case seconds < 7200:
		return number(seconds/60) + space + "min"
	}
	return number(seconds/3600) + space + "h"
}

// A scale is a unit in which numbers of some size are short: a value times factor is in unit.
type scale struct {
	factor float64
	unit   string
}

// scaleFor picks the prefix for values of up to most, of a unit as Input.Unit gives it.
func scaleFor(unit string, most float64) scale {
	most = math.Abs(most)
	measure, rate := strings.CutSuffix(unit, "/s")
	after := ""
	if rate {
		after = "/s"
	}
	step := func(names []string, size float64, first float64) scale {
		s := scale{first, names[0] + after}
		for _, name := range names[1:] {
			if most*s.factor < size {
				break
			}
			s = scale{s.factor / size, name + after}
		}
		return s
	}
	switch measure {
	case "s":
		if most == 0 || most >= 1 {
			return scale{1, "s" + after}
		}
		return step([]string{"ns", "µs", "ms"}, 1000, 1e9)
	case "By":
		return step([]string{"B", "kB", "MB", "GB", "TB"}, 1000, 1)
	case "1", "":
		if most >= 1e4 {
			return step([]string{"", "k", "M", "G"}, 1000, 1)
		}
		return scale{1, after}
	}
	return scale{1, unit}
}

// quantity prints a value with its unit.
func quantity(v float64, unit string) string {
	s := scaleFor(unit, v)
	return strings.TrimSuffix(number(v*s.factor)+space+s.unit, space)
}

// slug makes an id of any text: what is not a letter or a digit is spelled in hex, so that different texts stay
// different.
func slug(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "-%02x", c)
		}
	}
	return b.String()
}
