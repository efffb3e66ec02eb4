package recording

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// readParquet reads a wide file or one of rows, as readCSV does. Lines of Faults are
// rows of the file.
func readParquet(file string, r io.ReaderAt, size int64, b *budget, n namer) (t *table, err error) {
	defer func() { // the library trusts what a file says of itself
		if p := recover(); p != nil {
			t, err = nil, &Fault{Source: file, What: fmt.Sprintf("damaged: %v", p)}
		}
	}()
	if size == 0 {
		return nil, &Fault{Source: file, What: "it is empty"}
	}
	if err := checkFooter(r, size); err != nil {
		return nil, &Fault{Source: file, What: fmt.Sprintf("no Parquet file: %v", err)}
	}
	f, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, &Fault{Source: file, What: fmt.Sprintf("no Parquet file: %v", err)}
	}
	p := &parquetFile{name: file}
	for _, c := range f.Root().Columns() {
		if !c.Leaf() || c.Repeated() {
			return nil, &Fault{Source: file, Column: c.Name(), What: "it is nested; want flat columns"}
		}
		p.header = append(p.header, c.Name())
		p.columns = append(p.columns, c)
	}
	if err := checkPages(f, r); err != nil {
		return nil, &Fault{Source: file, What: fmt.Sprintf("damaged: %v", err)}
	}
	if isLong(p.header) {
		return p.readRows(f, b, n)
	}
	return p.readWide(f, b, n)
}

// A parquetFile reads one file row by row.
type parquetFile struct {
	name    string
	header  []string
	columns []*parquet.Column
}

// cells calls do with the cells of each row, which are valid during the call.
func (p *parquetFile) cells(f *parquet.File, do func(row int, cells []parquet.Value) error) error {
	row := 0
	cells := make([]parquet.Value, len(p.columns))
	for _, group := range f.RowGroups() {
		if err := p.group(group, cells, func() error { row++; return do(row, cells) }); err != nil {
			return err
		}
	}
	return nil
}

func (p *parquetFile) group(group parquet.RowGroup, cells []parquet.Value, do func() error) (err error) {
	cursors := make([]*cursor, len(p.columns))
	for i, chunk := range group.ColumnChunks() {
		cursors[i] = &cursor{pages: chunk.Pages()}
	}
	defer func() {
		for _, c := range cursors {
			err = errors.Join(err, c.close())
		}
	}()
	for range group.NumRows() {
		for i, c := range cursors {
			var err error
			if cells[i], err = c.next(); err != nil {
				return &Fault{Source: p.name, Column: p.header[i], What: fmt.Sprintf("damaged: %v", err)}
			}
		}
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// A cursor walks the values of one column chunk.
type cursor struct {
	pages  parquet.Pages
	page   parquet.Page
	values parquet.ValueReader
	buffer [256]parquet.Value
	have   []parquet.Value
}

func (c *cursor) next() (parquet.Value, error) {
	for len(c.have) == 0 {
		if c.values == nil {
			parquet.Release(c.page)
			var err error
			if c.page, err = c.pages.ReadPage(); err != nil {
				c.page = nil
				return parquet.Value{}, fmt.Errorf("a page is missing: %w", err)
			}
			c.values = c.page.Values()
		}
		n, err := c.values.ReadValues(c.buffer[:])
		c.have = c.buffer[:n]
		if err != nil && !errors.Is(err, io.EOF) {
			return parquet.Value{}, err
		}
		if err != nil {
			c.values = nil
		}
	}
	v := c.have[0]
	c.have = c.have[1:]
	return v, nil
}

func (c *cursor) close() error {
	if c == nil {
		return nil
	}
	parquet.Release(c.page)
	return c.pages.Close()
}

// maxText bounds a text, of which a dictionary repeats one for any number of rows.
const maxText = 64 << 10

// text is a cell as CSV would have it.
func (p *parquetFile) text(column int, v parquet.Value) (string, error) {
	if v.IsNull() {
		return "", nil
	}
	if v.Kind() == parquet.ByteArray || v.Kind() == parquet.FixedLenByteArray {
		if n := len(v.ByteArray()); n > maxText {
			return "", fmt.Errorf("a text of %d bytes; at most %d are read", n, maxText)
		}
		return string(v.ByteArray()), nil
	}
	x, err := p.number(column, v)
	return number(x), err
}

// number is a cell in a column of numbers: NaN for null, seconds for a time, decimals with their point.
func (p *parquetFile) number(column int, v parquet.Value) (float64, error) {
	if v.IsNull() {
		return math.NaN(), nil
	}
	logical := p.columns[column].Type().LogicalType()
	x := 0.0
	switch v.Kind() {
	case parquet.Boolean:
		if v.Boolean() {
			x = 1
		}
	case parquet.Int32:
		x = float64(v.Int32())
	case parquet.Int64:
		x = float64(v.Int64())
	case parquet.Float:
		x = float64(v.Float())
	case parquet.Double:
		x = v.Double()
	case parquet.ByteArray:
		return readNumber(string(v.ByteArray()))
	default:
		return 0, fmt.Errorf("want numbers, have %s", p.columns[column].Type())
	}
	if math.IsInf(x, 0) {
		return 0, fmt.Errorf("%v is no measurement; leave it null", x)
	}
	if logical == nil {
		return x, nil
	}
	switch t := logical.Value.(type) {
	case *format.TimestampType:
		if t.Unit.Value != nil {
			x *= t.Unit.Value.Duration().Seconds()
		}
	case *format.DecimalType:
		x /= math.Pow10(int(t.Scale))
	}
	return x, nil
}

func (p *parquetFile) fault(row, column int, err error) error {
	return &Fault{p.name, row, p.header[column], err.Error()}
}

func (p *parquetFile) readWide(f *parquet.File, b *budget, n namer) (*table, error) {
	w, err := newWide(p.name, p.header, b, n)
	if err != nil {
		return nil, err
	}
	text := make([]string, len(p.header))
	err = p.cells(f, func(row int, cells []parquet.Value) error {
		for i, v := range cells {
			var err error
			if w.columns[i] == nil {
				text[i], err = p.text(i, v)
			}
			if err != nil {
				return p.fault(row, i, err)
			}
		}
		if err := w.begin(row, text); err != nil {
			return err
		}
		for i, c := range w.columns {
			if c == nil {
				continue
			}
			x, err := p.number(i, cells[i])
			if err != nil {
				return p.fault(row, i, err)
			}
			c.values = append(c.values, x)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return w.finish()
}

func (p *parquetFile) readRows(f *parquet.File, b *budget, n namer) (*table, error) {
	r, err := newRowReader(p.name, p.header)
	if err != nil {
		return nil, err
	}
	all := newPivot(p.name, b, n)
	text := make([]string, len(p.header))
	err = p.cells(f, func(line int, cells []parquet.Value) error {
		for i, v := range cells {
			var err error
			if text[i], err = p.text(i, v); err != nil {
				return p.fault(line, i, err)
			}
		}
		row, err := r.read(line, text)
		if err != nil {
			return err
		}
		return all.add(line, &row)
	})
	if err != nil {
		return nil, err
	}
	return all.finish()
}
