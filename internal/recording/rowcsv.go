package recording

import (
	"encoding/csv"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
)

// rowHeader is that of files of rows, the first ten of which scripts rely on.
var rowHeader = strings.Split("time,family,target,label,value,count,sum,p50,p90,p99,kind,per_second,workload,pattern", ",")

// stamp is RFC 3339 with the milliseconds that a store keeps.
const stamp = "2006-01-02T15:04:05.000Z07:00"

// A CSVWriter writes rows as CSV. Its first fault comes from Close.
type CSVWriter struct{ out *csv.Writer }

// NewCSVWriter writes the header.
func NewCSVWriter(w io.Writer) *CSVWriter {
	c := &CSVWriter{csv.NewWriter(w)}
	_ = c.out.Write(rowHeader)
	return c
}

// Write writes one row.
func (c *CSVWriter) Write(r Row) error {
	perSecond := ""
	if r.PerSecond {
		perSecond = "1"
	}
	return c.out.Write([]string{
		r.Time.UTC().Format(stamp), r.Family, r.Target, r.Label, number(r.Value), number(r.Count), number(r.Sum), number(r.P50), number(r.P90), number(r.P99),
		string(r.Kind), perSecond, r.Workload, r.Pattern,
	})
}

// Close writes what is left. It does not close the file.
func (c *CSVWriter) Close() error {
	c.out.Flush()
	return c.out.Error()
}

// number prints all digits; nothing for NaN.
func number(x float64) string {
	if math.IsNaN(x) {
		return ""
	}
	return strconv.FormatFloat(x, 'f', -1, 64)
}

// isLong tells a header of rows from one of series.
func isLong(header []string) bool {
	found := 0
	for _, name := range header {
		if name = strings.TrimSpace(name); name == "family" || name == "target" {
			found++
		}
	}
	return found == 2
}

// A rowReader reads rows of text, whatever the order of their columns.
type rowReader struct {
	file   string
	header []string
	clock  clock
}

func newRowReader(file string, header []string) (*rowReader, error) {
	r := &rowReader{file: file}
	have := map[string]bool{}
	for _, name := range header {
		name = strings.TrimSpace(name)
		if have[name] {
			return nil, &Fault{file, 1, name, "it is there twice; names must differ"}
		}
		have[name] = true
		r.header = append(r.header, name)
	}
	for _, name := range rowHeader[:3] {
		if !have[name] {
			return nil, &Fault{file, 1, name, "it is missing; rows of export have it"}
		}
	}
	return r, nil
}

func (r *rowReader) read(line int, cells []string) (Row, error) {
	nan := math.NaN()
	row := Row{Value: nan, Count: nan, Sum: nan, P50: nan, P90: nan, P99: nan}
	for i, name := range r.header {
		if err := r.cell(&row, name, cells[i]); err != nil {
			return row, &Fault{r.file, line, name, err.Error()}
		}
	}
	return row, nil
}

func (r *rowReader) cell(row *Row, name, cell string) (err error) {
	switch name {
	case timeColumn:
		var at float64
		at, err = r.clock.read(cell)
		row.Time = time.UnixMilli(int64(math.Round(at * 1000)))
	case "family":
		if row.Family = cell; cell == "" {
			return errors.New("it is empty; want the name of a family")
		}
	case "target":
		row.Target = cell
	case "label":
		row.Label = cell
	case "workload":
		row.Workload = cell
	case "pattern":
		row.Pattern = cell
	case "kind":
		row.Kind, err = readKind(cell)
	case "per_second":
		var yes int8
		yes, err = readViolation(cell)
		row.PerSecond = yes == 1
	default:
		err = row.number(name, cell)
	}
	return err
}

// number reads a column of values; others are somebody else's, and left out.
func (row *Row) number(name, cell string) (err error) {
	into := map[string]*float64{"value": &row.Value, "count": &row.Count, "sum": &row.Sum, "p50": &row.P50, "p90": &row.P90, "p99": &row.P99}[name]
	if into != nil {
		*into, err = readNumber(cell)
	}
	return err
}

func readKind(cell string) (metric.Kind, error) {
	switch k := metric.Kind(cell); k {
	case metric.Counter, metric.Gauge, metric.Histogram, "":
		return k, nil
	}
	return "", errors.New("want counter, gauge or histogram, have " + strconv.Quote(clip(cell)))
}

func readLongCSV(file string, in *csv.Reader, header []string, b *budget, n namer) (*table, error) {
	r, err := newRowReader(file, header)
	if err != nil {
		return nil, err
	}
	p := newPivot(file, b, n)
	for {
		cells, err := in.Read()
		if errors.Is(err, io.EOF) {
			return p.finish()
		}
		if err != nil {
			return nil, syntax(file, in, err)
		}
		line, _ := in.FieldPos(0)
		row, err := r.read(line, cells)
		if err != nil {
			return nil, err
		}
		if err := p.add(line, &row); err != nil {
			return nil, err
		}
	}
}
