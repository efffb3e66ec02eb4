package document

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// power is a type with a text form of its own.
type power int

func (p *power) UnmarshalText(text []byte) error {
	n, err := strconv.Atoi(string(text))
	if err != nil || n <= 0 || n&(n-1) != 0 {
		return fmt.Errorf("want a power of two, have %s", text)
	}
	*p = power(n)
	return nil
}

type sample struct {
	Listen   string              `yaml:"listen"`
	Other    string              `yaml:"other"`
	Interval time.Duration       `yaml:"interval"`
	Families []string            `yaml:"families"`
	Count    int                 `yaml:"count"`
	Limit    *uint32             `yaml:"limit"`
	Pprof    bool                `yaml:"pprof"`
	Size     power               `yaml:"size"`
	Sizes    map[string]power    `yaml:"sizes"`
	Rules    []rule              `yaml:"rules"`
	Labels   map[string][]string `yaml:"labels"`
	Hidden   string
}

type rule struct {
	Ratio  float64 `yaml:"ratio"`
	Select struct {
		Pods []string `yaml:"pods"`
	} `yaml:"select"`
}

// firstLetters stands in for an edit distance: a word that shares 3 letters.
func firstLetters(word string, words []string) string {
	for _, w := range words {
		if len(word) >= 3 && strings.HasPrefix(w, word[:3]) {
			return w
		}
	}
	return ""
}

func TestParse(t *testing.T) {
	const text = `
listen: "[::1]:9733"   # quoted: a bracket
interval: 1500ms
families: [runq_latency, cpu]
limit: 7
pprof: true
size: 4
sizes: {a: 8}
rules:
- ratio: 0.5
- select:
    pods:
    - web-*
`
	limit := uint32(7)
	want := sample{
		Listen: "[::1]:9733", Other: "kept", Interval: 1500 * time.Millisecond, Families: []string{"runq_latency", "cpu"},
		Limit: &limit, Pprof: true, Size: 4, Sizes: map[string]power{"a": 8}, Rules: []rule{{Ratio: 0.5}, {}},
	}
	want.Rules[1].Select.Pods = []string{"web-*"}
	got := sample{Other: "kept"}
	d, err := Parse("x.yaml", []byte(text), &got, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	lines := map[string]int{"listen": 2, "families[1]": 4, "rules": 9, "rules[1].select.pods[0]": 13, "absent": 0}
	for key, line := range lines {
		if d.Line(key) != line {
			t.Errorf("Line(%q) = %d, want %d", key, d.Line(key), line)
		}
	}
	if got, want := d.Fault("rules[0].ratio", "too small").Error(), "x.yaml:10:rules[0].ratio: too small"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestParseEmpty(t *testing.T) {
	for _, text := range []string{"", "# only a comment\n", "---\n", "null\n"} {
		got := sample{Listen: "kept"}
		if _, err := Parse("x.yaml", []byte(text), &got, Options{}); err != nil || got.Listen != "kept" {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func TestBad(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(err, "no bad documents")
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(string(data), "\n")
			want := strings.Split(strings.TrimPrefix(first, "# want: "), " | ")
			_, err = Parse(filepath.Base(file), data, &sample{}, Options{Nearest: firstLetters})
			if err == nil {
				t.Fatal("accepted")
			}
			if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBounds(t *testing.T) {
	big := append([]byte("listen: x\n#"), make([]byte, MaxBytes)...)
	if _, err := Parse("big.yaml", big, &sample{}, Options{}); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a document of %d bytes: %v", len(big), err)
	}
	var many strings.Builder
	for i := range maxFaults + 7 {
		fmt.Fprintf(&many, "key%d: 1\n", i)
	}
	_, err := Parse("many.yaml", []byte(many.String()), &sample{}, Options{})
	if lines := strings.Split(err.Error(), "\n"); len(lines) != maxFaults+1 || lines[maxFaults] != "and 7 more faults" {
		t.Errorf("%d lines, last %q", len(lines), lines[len(lines)-1])
	}
}

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yaml")
	if _, err := Read(path, &sample{}, Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if err := os.WriteFile(path, []byte("count: 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var got sample
	if d, err := Read(path, &got, Options{}); err != nil || got.Count != 3 || d.File != path {
		t.Errorf("got %+v, %v", got, err)
	}
}

func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/bad/*.yaml")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("labels: [a, b, a]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var v sample
		d, err := Parse("f.yaml", data, &v, Options{Nearest: firstLetters})
		if (d == nil) == (err == nil) {
			t.Fatalf("document %v with error %v", d, err)
		}
		if err != nil && strings.TrimSpace(err.Error()) == "" {
			t.Fatal("a fault that says nothing")
		}
	})
}

// place may be written as one value or as a mapping.
type place struct {
	Name string `yaml:"name"`
	Port int    `yaml:"port"`
}

func (p *place) UnmarshalText(text []byte) error { p.Name = string(text); return nil }

func TestOneValueOrMapping(t *testing.T) {
	var got struct {
		Places []place `yaml:"places"`
	}
	if _, err := Parse("f", []byte("places: [a, {name: b, port: 2}]"), &got, Options{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]place{{"a", 0}, {"b", 2}}, got.Places); diff != "" {
		t.Error(diff)
	}
	_, err := Parse("f", []byte("places: [{nam: b}, [c]]"), &got, Options{})
	if want := "f:1:places[0].nam: unknown key\nf:1:places[1]: want one value, have a list"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// A map of lists may be written as a list of its keys.
func TestListOfKeys(t *testing.T) {
	type lists struct {
		Labels map[string][]string `yaml:"labels"`
	}
	for text, want := range map[string]map[string][]string{
		"labels: [a, b]":            {"a": nil, "b": nil},
		"labels: []":                {},
		"labels: {a: [x], b: []}":   {"a": {"x"}, "b": {}},
		"labels: {a: ['*'], b: []}": {"a": {"*"}, "b": {}},
		"":                          nil,
	} {
		var got lists
		d, err := Parse("f", []byte(text), &got, Options{})
		if diff := cmp.Diff(want, got.Labels); diff != "" || err != nil {
			t.Errorf("%s: %v %s", text, err, diff)
		} else if want["a"] == nil && len(want) == 2 && d.Line("labels.b") != 1 {
			t.Errorf("%s: the line of a key is not known", text)
		}
	}
	for text, want := range map[string]string{
		"labels: [a, a]":    "f:1:labels.a: given twice, first on line 1; remove one",
		"labels: [a, 1]":    "f:1:labels[1]: want text in quotes, have 1",
		"labels: [[a]]":     "f:1:labels[0]: want text, have a list",
		"labels: {a: x}":    `f:1:labels.a: want a list, such as [a, b], have "x"`,
		"labels: a":         `f:1:labels: want a list, such as [a, b], or a mapping (lines of key: value), have "a"`,
		"labels: {a: [[]]}": "f:1:labels.a[0]: want text, have a list",
	} {
		_, err := Parse("f", []byte(text), &lists{}, Options{})
		if err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

func TestWord(t *testing.T) {
	const text = "# a comment\nkind: Pattern\nmetadata: {name: x, number: 1}\n"
	for path, want := range map[string]string{
		"kind": "Pattern 2", "metadata name": "x 3", "metadata": " 0", "metadata number": " 0", "kind name": " 0", "none": " 0",
	} {
		word, line := Word([]byte(text), strings.Fields(path)...)
		if got := fmt.Sprint(word, " ", line); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	if word, _ := Word([]byte("]"), "kind"); word != "" {
		t.Errorf("of no YAML: %q", word)
	}
}
