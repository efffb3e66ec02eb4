package main

import (
	"encoding/json"
	"io"
	"strings"
	"text/tabwriter"
)

// output binds the flag -o.
func (f *flags) output(c *choice) {
	f.VarP(&flagText{"output", "format", c, &f.faults}, "output", "o", "output format: "+strings.Join(c.words, ", "))
}

// probes binds the flag that brings a person's own probes.
func (f *flags) probes(dir *string) {
	f.StringVar(dir, "probe-dir", "", "also your own probes: a directory with compiled objects and their rows (*.o, *.yaml)")
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// A table is text in columns, for people.
type table struct{ w *tabwriter.Writer }

func newTable(w io.Writer, header ...string) *table {
	t := &table{tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)}
	t.row(header...)
	return t
}

func (t *table) row(cells ...string) {
	for i, c := range cells {
		if c == "" {
			cells[i] = "-"
		}
	}
	io.WriteString(t.w, strings.Join(cells, "\t")+"\n") // errors stay in the writer: Flush gives them
}

func (t *table) flush() error { return t.w.Flush() }

// clip cuts a sentence at a word so that it has at most n runes.
func clip(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	cut := string(r[:n-1])
	if i := strings.LastIndexByte(cut, ' '); i > n/2 {
		cut = cut[:i]
	}
	return strings.TrimRight(cut, " ,;:.") + "…"
}

// wrap breaks text into lines of at most width runes, each after indent.
func wrap(text, indent string, width int) string {
	var b strings.Builder
	column := 0
	for word := range strings.FieldsSeq(text) {
		n := len([]rune(word))
		switch {
		case column == 0:
			b.WriteString(indent)
		case column+1+n > width-len(indent):
			b.WriteString("\n" + indent)
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String() + "\n"
}
