package recording

import (
	"errors"
	"io"
	"math"
	"time"

	"github.com/parquet-go/parquet-go"
)

// A ParquetWriter writes rows as Parquet: zstd, times in milliseconds, null for what is
// missing.
type ParquetWriter struct {
	out    *parquet.GenericWriter[parquetRow]
	buffer []parquetRow
}

type parquetRow struct {
	Time      time.Time `parquet:"time,timestamp(millisecond),delta"`
	Family    string    `parquet:"family,dict"`
	Target    string    `parquet:"target,dict"`
	Label     string    `parquet:"label,dict"`
	Value     *float64  `parquet:"value"`
	Count     *float64  `parquet:"count"`
	Sum       *float64  `parquet:"sum"`
	P50       *float64  `parquet:"p50"`
	P90       *float64  `parquet:"p90"`
	P99       *float64  `parquet:"p99"`
	Kind      string    `parquet:"kind,dict"`
	PerSecond bool      `parquet:"per_second"`
	Workload  string    `parquet:"workload,dict"`
	Pattern   string    `parquet:"pattern,dict"`
}

const (
	parquetBuffer = 1024    // rows handed to the library at once
	parquetGroup  = 500_000 // rows of a row group, which is what the library holds in memory
)

// NewParquetWriter begins a file.
func NewParquetWriter(w io.Writer) *ParquetWriter {
	return &ParquetWriter{out: parquet.NewGenericWriter[parquetRow](w, parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(parquetGroup))}
}

// Write writes one row.
func (p *ParquetWriter) Write(r Row) error {
	p.buffer = append(p.buffer, parquetRow{
		r.Time.UTC(), r.Family, r.Target, r.Label, orNull(r.Value), orNull(r.Count), orNull(r.Sum), orNull(r.P50), orNull(r.P90), orNull(r.P99),
		string(r.Kind), r.PerSecond, r.Workload, r.Pattern,
	})
	if len(p.buffer) < parquetBuffer {
		return nil
	}
	return p.flush()
}

func (p *ParquetWriter) flush() error {
	_, err := p.out.Write(p.buffer)
	p.buffer = p.buffer[:0]
	return err
}

// Close writes what is left and the footer. It does not close the file.
func (p *ParquetWriter) Close() error { return errors.Join(p.flush(), p.out.Close()) }

func orNull(x float64) *float64 {
	if math.IsNaN(x) {
		return nil
	}
	return &x
}
