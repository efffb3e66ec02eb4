package tui

import (
	"fmt"
	"math"
	"strings"
	"unicode"

	"github.com/charmbracelet/x/ansi"

	"viperprobe.dev/viperprobe/internal/metric"
)

// format prints the column's number in at most numberWidth characters.
func (c column) format(x float64) string {
	f := c.family
	switch {
	case f.Kind == metric.Counter && f.Unit == metric.Seconds:
		return Short(x * 100)
	case f.Unit == metric.Seconds:
		return ShortTime(x)
	case f.Unit == metric.Bytes:
		return ShortBytes(x)
	}
	return Short(x)
}

// digits prints x with three significant digits, and without a fraction that is 0.
func digits(x float64) string {
	a := math.Abs(x)
	switch {
	case a >= 99.95 || a == 0:
		return fmt.Sprintf("%.0f", x)
	case a >= 9.995:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", x), ".0")
	}
	return strings.TrimSuffix(fmt.Sprintf("%.2f", x), ".00")
}

// scaled prints x with the first unit that keeps it below step; the last keeps
// what is larger.
func scaled(x, step float64, units ...string) string {
	i := 0
	for i < len(units)-1 && math.Abs(x) >= step-step/2000 {
		x /= step
		i++
	}
	if math.Abs(x) >= 1e5 {
		return fmt.Sprintf("%.0e%s", x, units[i])
	}
	return digits(x) + units[i]
}

// Short prints a number with three digits and a unit of thousands: 12.3k.
func Short(x float64) string {
	if x != 0 && math.Abs(x) < 0.005 {
		return "<0.01"
	}
	return scaled(x, 1000, "", "k", "M", "G", "T", "P")
}

// ShortBytes prints a number of bytes with three digits and a unit of 1,024: 12.3Mi.
func ShortBytes(x float64) string { return scaled(x, 1024, "", "Ki", "Mi", "Gi", "Ti", "Pi") }

// ShortTime prints seconds with three digits and their unit: 12.3ms.
func ShortTime(x float64) string {
	switch {
	case x == 0:
		return "0"
	case math.Abs(x) < 1:
		return scaled(x*1e9, 1000, "ns", "µs", "ms", "s")
	case math.Abs(x) < 600:
		return digits(x) + "s"
	}
	return scaled(x/60, 60, "min", "h")
}

// Printable replaces what would move the cursor or change colours: names come
// from containers.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// fit makes s exactly n cells wide: padded on the right, or cut in the middle,
// where both ends of a path are still seen.
func fit(s string, n int) string {
	w := ansi.StringWidth(s)
	if w <= n {
		return s + strings.Repeat(" ", n-w)
	}
	if n < 2 {
		return strings.Repeat("…", n)
	}
	head := ansi.Truncate(s, (n-1)/3, "")
	room := n - ansi.StringWidth(head)
	tail := "…"
	for cut := w - room + 1; cut <= w; cut++ { // a wide character can be cut later only
		if t := ansi.TruncateLeft(s, cut, "…"); ansi.StringWidth(t) <= room {
			tail = t
			break
		}
	}
	return head + tail + strings.Repeat(" ", room-ansi.StringWidth(tail))
}

// right makes s n cells wide at least, padded on the left.
func right(s string, n int) string {
	return strings.Repeat(" ", max(0, n-ansi.StringWidth(s))) + s
}
