package recording

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/internal/analysis"
)

const sloText = "time,web/runq_latency.p50,web/runq_latency.p99,web/runq_latency.rate,db-0/runq_latency.p99,web/rt_ms,web/memory_working_set_bytes\n" +
	"0,0.001,0.04,10,0.01,20,1000\n1,0.001,0.06,20,0.01,60,2000\n2,0.001,0.05,30,0.07,50,4000\n3,,,40,0.01,,3000\n"

func TestExpressions(t *testing.T) {
	for text, want := range map[string]struct {
		rows string // violated: x
		left string // series that stay
	}{
		"runq_latency p99 > 50ms":                   {".xx.", "rate rt_ms memory"},
		"runq p99>50 ms":                            {".xx.", "rate rt_ms memory"},
		"web/runq_latency.p99 >= 0.05":              {".xx.", "rate db rt_ms memory"},
		"db/runq_latency p99 > 50000us":             {"..x.", "p50 p99 rate rt_ms memory"},
		"w*/runq_latency rate < 25":                 {"xx..", "db rt_ms memory"},
		"rt_ms > 50ms":                              {".x..", "p50 p99 rate db memory"},
		"rt_ms >= 50":                               {".xx.", "p50 p99 rate db memory"},
		"memory_working_set_bytes > 2KiB":           {"..xx", "p50 p99 rate db rt_ms"},
		`runq_latency{container="web"} p99 > 0.045`: {".xx.", "rate db rt_ms memory"},
	} {
		e, err := ParseExpression(text, families)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		r, err := readText(t, sloText, Options{SLO: []Expression{e}})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		rows := ""
		for _, v := range r.SLO {
			rows += map[bool]string{true: "x", false: "."}[v]
		}
		if rows != want.rows {
			t.Errorf("%s: violated %s, want %s", text, rows, want.rows)
		}
		if diff := cmp.Diff(want.left, strings.Join(short(r.Series), " ")); diff != "" {
			t.Errorf("%s: left %s", text, diff)
		}
	}
}

// Where nothing was measured of the SLO's series nothing is known, and a reader is told; one with a value is enough.
func TestSilentRows(t *testing.T) {
	for text, want := range map[string]string{
		"runq_latency p99 > 50ms":         "3 series that",
		"memory_working_set_bytes > 2KiB": "1 series that",
		"web/runq_latency p99 > 50ms":     "1 of 4 rows have no value of what the SLO speaks of: they count as not violated.",
	} {
		e, err := ParseExpression(text, families)
		if err != nil {
			t.Fatal(err)
		}
		r, err := readText(t, sloText, Options{SLO: []Expression{e}})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(r.Notes[0], want) {
			t.Errorf("%s: %q, want %q first", text, r.Notes, want)
		}
	}
}

// short are names that tell the series of the test apart.
func short(series []analysis.Series) (out []string) {
	for _, s := range series {
		switch {
		case s.Container == "db-0":
			out = append(out, "db")
		case s.Statistic != "":
			out = append(out, s.Statistic)
		default:
			word, _, _ := strings.Cut(s.Family, "_working")
			out = append(out, word)
		}
	}
	return out
}

func TestExpressionFaults(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 `want SERIES [STATISTIC] > VALUE`,
		"latency":                          `want SERIES [STATISTIC] > VALUE`,
		"x > fast":                         `want a number with or without a unit, such as 50ms, 1.5 or 64MiB, have "fast"`,
		"x > 5 parsecs":                    `have "5 parsecs"`,
		"x > 1e999":                        `have "1e999"`,
		"x often > 5":                      `"often" is no statistic`,
		"[/x > 5":                          `container "[": syntax error in pattern`,
		`x{a=1} > 5`:                       `the value of its label a is not in quotes`,
		"> 5":                              `it names no family`,
		"nothing > 5":                      `--slo "nothing > 5": no series is called nothing`,
		"runq_latency > 5":                 `runq_latency has the statistics p50, p99, rate; say which`,
		"runq_latency mean > 5":            `runq_latency has the statistics p50, p99, rate, not mean`,
		"memory_working_set_bytes p99 > 5": `memory_working_set_bytes has no statistics; leave p99 out`,
		"runq_latency p99 > 5MiB":          `web/runq_latency.p99 is not in bytes`,
		"memory_working_set_bytes > 5ms":   `web/memory_working_set_bytes is not in seconds`,
	} {
		e, err := ParseExpression(text, families)
		if err == nil {
			_, err = readText(t, sloText, Options{SLO: []Expression{e}})
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func FuzzExpression(f *testing.F) {
	for _, text := range []string{"runq_latency p99 > 50ms", `x{a="b>c"} < 5%`, "w*/x rate >= 1e3", "a/b(c).p50 <= -1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := ParseExpression(text, families)
		if err == nil && e.series.Family == "" {
			t.Errorf("%q names no family", text)
		}
	})
}

func FuzzName(f *testing.F) {
	for _, name := range []string{"web/x(read).p99", `x{a="b\"c",d="e"}.rate`, "/a/b/c", "x_total"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		s, _, err := newNamer(families).read(name)
		if err == nil && (s.Family == "" || s.Name != name) {
			t.Errorf("%q is read as %+v", name, s)
		}
	})
}
