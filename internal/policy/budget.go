package policy

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"viperprobe.dev/viperprobe/internal/document"
)

// A budgetEntry is a budget as it is written.
type budgetEntry struct {
	CPU    share    `yaml:"cpu"`
	Memory capacity `yaml:"memory"`
	Series int      `yaml:"series"`
	Value  []string `yaml:"value"`
}

// A share is one of one CPU, written in percent.
type share float64

func (s *share) UnmarshalText(text []byte) error {
	number, percent := strings.CutSuffix(string(text), "%")
	x, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !percent || math.IsNaN(x) || x <= 0 || x > 100*1024 {
		return fmt.Errorf("want percent of one CPU, such as 1%%, have %q", text)
	}
	*s = share(x / 100)
	return nil
}

// A capacity is a number of bytes, written with a binary unit.
type capacity int

func (c *capacity) UnmarshalText(text []byte) error {
	for unit, scale := range map[string]int{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if number, ok := strings.CutSuffix(string(text), unit); ok {
			if n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 20); err == nil && n > 0 {
				*c = capacity(int(n) * scale)
				return nil
			}
		}
	}
	return fmt.Errorf("want a size in KiB, MiB or GiB, such as 16MiB, have %q", text)
}

// budget checks a budget.
func (r *reader) budget(d *document.Document, e budgetEntry) Budget {
	at := "spec.budget"
	if d.Line(at+".series") > 0 && e.Series < 1 {
		r.fault(d, at+".series", "want at least 1, have %d", e.Series)
	}
	b := Budget{Limits: Limits{CPU: float64(e.CPU), Memory: int(e.Memory), Series: e.Series}}
	if d.Line(at) > 0 && b.Limits == (Limits{}) {
		r.fault(d, at, "want cpu, memory or series")
	}
	for i, name := range e.Value {
		families, err := Resolve([]string{name}, r.catalogue)
		if err != nil {
			r.fault(d, fmt.Sprintf("%s.value[%d]", at, i), "%v", err)
			continue
		}
		for _, f := range families {
			b.Value = append(b.Value, f.Name)
		}
	}
	return b
}
