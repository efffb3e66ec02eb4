package cgroup

import (
	"strconv"
	"strings"
	"testing"

	"viperprobe.dev/viperprobe/internal/metric"
)

// every is one of each source, wanted in full.
func every(tb testing.TB) []*Files {
	tb.Helper()
	root := tb.TempDir()
	var all []*Files
	for _, h := range []*Host{
		{Root: root}, {Root: root, bfq: true, V1: map[string]string{"cpu": "c", "memory": "m", "blkio": "b", "pids": "p"}},
	} {
		for _, list := range [][]source{h.sources(), nodeSources, {interfaceSource}} {
			f := &Files{host: h, at: "/x"}
			for _, s := range list {
				o := opened{source: s, fds: closed, left: len(s.fields), dir: "/x"}
				for _, field := range s.fields {
					o.wanted = append(o.wanted, &metric.Family{Name: field.family})
				}
				f.files = append(f.files, o)
			}
			all = append(all, f)
		}
	}
	return all
}

// Whatever a file holds, its parser ends, leaves what was there before alone,
// and gives readings of the wanted families only.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"usage_usec 1500\nuser_usec 1000\nnr_periods 18446744073709551615\n", "total_rss 5\ntotal_inactive_file x\n",
		"some avg10=0.00 avg60=0.00 avg300=0.00 total=7\nfull total=\n", "max 100000\n", "20000\n100000\n", "-1\n0\n",
		"254:0 rbytes=1 wbytes=99999999999999999999 rios=\n:1 = =\n", "8:0 Read 12\n8:0\nTotal 1\n4294967296:0 Read 1\n",
		"cpu  1 2 3 4 5 6 7\n", "0-3,8,9-65536\n", "MemTotal: 1 kB\nMemFree:\n", "0.1 0.2 0.3 4/5 6\n", " 8 0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15\n", "\n\n  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13\n: 1\n", "\n\n \n", "",
	} {
		f.Add(seed)
	}
	sets := every(f)
	f.Fuzz(func(t *testing.T, text string) {
		before := metric.Reading{Value: 42}
		for _, files := range sets {
			for i := range files.files {
				o := &files.files[i]
				got, err := o.parse([]byte(text), o, files, []metric.Reading{before})
				if len(got) == 0 || got[0] != before {
					t.Fatalf("%s: what was there is gone", o.file)
				}
				if err != nil && !strings.Contains(err.Error(), o.file) {
					t.Errorf("%s: the error does not say where: %v", o.file, err)
				}
				for _, r := range got[1:] {
					if r.Family == nil {
						t.Errorf("%s: a reading of nothing", o.file)
					}
				}
			}
		}
	})
}

// strconv is the oracle of number, which takes space around and no sign.
func FuzzNumber(f *testing.F) {
	for _, s := range []string{"0", " 18446744073709551615\n", "18446744073709551616", "1 2", "+1", "0x1", "", "01"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := number([]byte(s))
		plain := strings.Trim(s, " \t\n")
		want, err := strconv.ParseUint(plain, 10, 64)
		if ok != (err == nil && plain[0] != '+') || ok && got != want {
			t.Errorf("%q: %d, %t; strconv says %d, %v", s, got, ok, want, err)
		}
	})
}

func TestWeights(t *testing.T) {
	var got []uint64
	parse := func(p parser, pod bool, text string) []uint64 {
		f := &Files{host: &Host{}, pod: pod}
		o := &opened{source: source{file: "x", fields: one("cpu_request")}, wanted: []*metric.Family{{}}, left: 1}
		r, err := p([]byte(text), o, f, nil)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		got = got[:0]
		for _, r := range r {
			got = append(got, r.Value)
		}
		return got
	}
	// What Kubernetes asks for comes back: exactly from shares, within the steps
	// of the conversion from weights.
	for _, milli := range []uint64{0, 10, 100, 250, 500, 1000, 1500, 4000, 64000} {
		shares := max(2, milli*1024/1000)
		weight := 1 + (shares-2)*9999/262142
		for text, p := range map[string]parser{strconv.FormatUint(shares, 10): parseShares, strconv.FormatUint(weight, 10): parseWeight} {
			v := parse(p, true, text)
			if len(v) != 1 || v[0]+14e6 < milli*1e6 || v[0] > milli*1e6+14e6 {
				t.Errorf("%d millicores, as %s: %d", milli, text, v)
			}
		}
	}
	if n := len(parse(parseShares, false, "1024")) + len(parse(parseWeight, false, "100")); n != 0 {
		t.Error("the default weight is a request")
	}
	if v := parse(parseShares, true, "1024"); len(v) != 1 || v[0] != 1e9 {
		t.Errorf("a pod's request of one core: %d", v)
	}
}
