package recording

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Columns of a wide file that are no series.
const (
	timeColumn     = "time"
	runColumn      = "run"
	sloColumn      = "slo"
	workloadColumn = "workload"
)

// readCSV reads a wide file, with the header time,NAME,..., or a long one, as export
// writes it.
func readCSV(file string, r io.Reader, b *budget, n namer) (*table, error) {
	buffered := bufio.NewReaderSize(r, 1<<16)
	if mark, _ := buffered.Peek(3); string(mark) == "\xef\xbb\xbf" {
		_, _ = buffered.Discard(3) // what some spreadsheets begin with
	}
	in := csv.NewReader(buffered)
	in.ReuseRecord = true
	header, err := in.Read()
	if errors.Is(err, io.EOF) {
		return nil, &Fault{Source: file, What: "it is empty; want the header time,NAME,... and rows"}
	}
	if err != nil {
		return nil, syntax(file, in, err)
	}
	header = append([]string{}, header...)
	if isLong(header) {
		return readLongCSV(file, in, header, b, n)
	}
	w, err := newWide(file, header, b, n)
	if err != nil {
		return nil, err
	}
	for {
		cells, err := in.Read()
		if errors.Is(err, io.EOF) {
			return w.finish()
		}
		if err != nil {
			return nil, syntax(file, in, err)
		}
		line, _ := in.FieldPos(0)
		if err := w.addText(line, cells); err != nil {
			return nil, err
		}
	}
}

// syntax says in our words what is wrong with a CSV file.
func syntax(file string, in *csv.Reader, err error) error {
	var at *csv.ParseError
	if !errors.As(err, &at) {
		return fmt.Errorf("read %s: %w", file, err)
	}
	if errors.Is(err, csv.ErrFieldCount) {
		return &Fault{Source: file, Line: at.Line, What: fmt.Sprintf("the row has another number of cells than the header, which has %d", in.FieldsPerRecord)}
	}
	return &Fault{Source: file, Line: at.Line, What: fmt.Sprintf("not valid CSV at byte %d of the line: %v", at.Column, at.Err)}
}

// newWide checks a header.
func newWide(file string, header []string, b *budget, n namer) (*wide, error) {
	w := &wide{file: file, budget: b, header: header, table: table{source: file}, timeAt: -1, runAt: -1, sloAt: -1, workloadAt: -1}
	seen := map[string]bool{}
	for i, name := range header {
		name = strings.TrimSpace(name)
		if seen[name] {
			return nil, &Fault{file, 1, name, "it is there twice; names must differ"}
		}
		seen[name] = true
		w.columns = append(w.columns, nil)
		switch name {
		case timeColumn:
			w.timeAt = i
		case runColumn:
			w.runAt = i
		case sloColumn:
			w.sloAt = i
		case workloadColumn:
			w.workloadAt = i
		default:
			s, counter, err := n.read(name)
			if err != nil {
				return nil, &Fault{file, 1, name, err.Error()}
			}
			w.columns[i] = &column{series: s, counter: counter}
		}
	}
	if w.timeAt < 0 {
		what := fmt.Sprintf("no column is called time; want the header time,NAME,..., have %q", clip(strings.Join(header, ",")))
		if len(header) == 1 && strings.ContainsAny(header[0], ";\t") {
			what = "cells are not separated by commas"
		}
		return nil, &Fault{Source: file, Line: 1, What: what}
	}
	return w, b.addSeries(file, len(header)-1)
}
