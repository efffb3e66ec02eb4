package tui

import (
	"math"
	"testing"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

func TestFormat(t *testing.T) {
	for _, tc := range []struct {
		family string
		value  float64
		want   string
	}{
		{"cpu_usage", 0, "0"}, {"cpu_usage", 1, "100"}, {"cpu_usage", 0.12345, "12.3"}, {"cpu_usage", 1e-9, "<0.01"},
		{"runq_latency", 1.5e-6, "1.50µs"}, {"runq_latency", 0.9999, "1s"}, {"runq_latency", 12.3e-3, "12.3ms"}, {"runq_latency", 100, "100s"},
		{"runq_latency", 7200, "2h"}, {"runq_latency", 3e-10, "0.30ns"},
		{"memory_working_set_bytes", 1023, "1023"}, {"memory_working_set_bytes", 1024, "1Ki"}, {"memory_working_set_bytes", 1 << 40, "1Ti"},
		{"context_switches", 999.96, "1k"}, {"context_switches", 999.4, "999"}, {"context_switches", 12345, "12.3k"}, {"threads", 7, "7"},
	} {
		if got := (column{family: family(tc.family)}).format(tc.value); got != tc.want {
			t.Errorf("%s %v is %q, want %q", tc.family, tc.value, got, tc.want)
		}
	}
}

// Every number that can be measured fits its column.
func FuzzFormat(f *testing.F) {
	for _, x := range []float64{0, 1e-12, 0.99999, 999.999, 1023.99, 59.99 * 60, 1e18, math.MaxUint64} {
		f.Add(x)
	}
	f.Fuzz(func(t *testing.T, x float64) {
		if math.IsNaN(x) || x < 0 || x > math.MaxUint64 {
			return
		}
		for _, fam := range fakeFamilies {
			c := column{family: fam}
			if text := c.format(x); utf8.RuneCountInString(text) > numberWidth+1 {
				t.Errorf("%s %v prints as %q", fam.Name, x, text)
			}
		}
	})
}

func FuzzFit(f *testing.F) {
	f.Add("shop/redis-7d9f8b6c5-x00/redis", 12)
	f.Add("日本語/コンテナ", 7)
	f.Add("000コ000", 7) // the cut falls into the wide letter
	f.Add("", 0)
	f.Add("\x1b[31mred\x1b[0m", 5)
	f.Fuzz(func(t *testing.T, s string, n int) {
		if n < 0 || n > 500 {
			return
		}
		s = Printable(s)
		if got := fit(s, n); ansi.StringWidth(got) != n {
			t.Errorf("fit(%q, %d) = %q, %d cells", s, n, got, ansi.StringWidth(got))
		}
	})
}
