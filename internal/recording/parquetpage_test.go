package recording

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// onePage is a file of one page: column time, int64, whose values may be missing.
func onePage(t testing.TB, codec format.CompressionCodec, rows int, h format.PageHeader, packed []byte) []byte {
	t.Helper()
	encoded := func(v any) []byte {
		b, err := thrift.Marshal(new(thrift.CompactProtocol), v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	h.CompressedPageSize = int32(len(packed))
	page := append(encoded(&h), packed...)
	footer := encoded(&format.FileMetaData{Version: 1, NumRows: int64(rows),
		Schema: []format.SchemaElement{{Name: "schema", NumChildren: thrift.New(int32(1))},
			{Name: "time", Type: thrift.New(format.Int64), RepetitionType: thrift.New(format.Optional)}},
		RowGroups: []format.RowGroup{{NumRows: int64(rows), TotalByteSize: int64(len(page)), Columns: []format.ColumnChunk{{MetaData: format.ColumnMetaData{
			Type: format.Int64, Encoding: []format.Encoding{format.Plain, format.RLE}, PathInSchema: []string{"time"}, Codec: codec, NumValues: int64(rows),
			TotalUncompressedSize: int64(h.UncompressedPageSize), TotalCompressedSize: int64(len(page)), DataPageOffset: 4}}}}}})
	file := append([]byte("PAR1"), page...)
	file = binary.LittleEndian.AppendUint32(append(file, footer...), uint32(len(footer)))
	return append(file, "PAR1"...)
}

// dataPage is the head of a page of so many values and bytes.
func dataPage(values, plain int, encoding format.Encoding) format.PageHeader {
	return format.PageHeader{Type: format.DataPage, UncompressedPageSize: int32(plain),
		DataPageHeader: thrift.New(format.DataPageHeader{NumValues: int32(values), Encoding: encoding, DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE})}
}

// zstdBomb is a frame of runs of zeros, 128 KiB in four bytes each (RFC 8878, section 3.1.1).
func zstdBomb(size int) []byte {
	const block = 128 << 10
	out := []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0x58} // a window of 2 MiB, no size
	for at := 0; at < size; at += block {
		head := uint32(block<<3 | 1<<1) // a run
		if at+block >= size {
			head |= 1 // the last
		}
		out = append(out, byte(head), byte(head>>8), byte(head>>16), 0)
	}
	return out
}

// zeros are so many, packed.
func zeros(t testing.TB, size int64, pack func(io.Writer) io.WriteCloser) []byte {
	t.Helper()
	var b bytes.Buffer
	w := pack(&b)
	chunk := make([]byte, 1<<20)
	for ; size > 0; size -= int64(len(chunk)) {
		if _, err := w.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func uvarints(values ...uint64) (b []byte) {
	for _, v := range values {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

// levels are definition levels ahead of the values of a page: its length, and one run.
func levels(values uint64) []byte {
	run := append(uvarints(values<<1), 1)
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(run))), run...)
}

// bombs are small files that unpack to a gigabyte or more, by what is told of them.
func bombs(t testing.TB) map[string][]byte {
	const says, giga = 4096, 1200 << 20
	tooLong := "it unpacks to more than the 4096 bytes that it says"
	runs := append(levels(10), 1)             // values of one bit, by a dictionary
	runs = append(runs, uvarints(1<<32-2)...) // 2,147,483,647 times
	runs = append(runs, 0)
	deltas := append(levels(10), uvarints(128, 4, 1<<31-1, 0)...)
	pack := func(lengths ...int32) []byte {
		b, err := new(delta.BinaryPackedEncoding).EncodeInt32(nil, lengths)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	repeats := append(append(levels(3), pack(0, 1<<30, 1<<30)...), pack(1<<30, 0, 0)...)
	v2 := format.PageHeader{Type: format.DataPageV2, UncompressedPageSize: says, DataPageHeaderV2: thrift.New(format.DataPageHeaderV2{NumValues: 10, NumRows: 10, Encoding: format.Plain})}
	more := "it has more than the 10 values that it says"
	page := func(encoding format.Encoding) format.PageHeader { return dataPage(10, says, encoding) }
	return map[string][]byte{
		"zstd: " + tooLong:        onePage(t, format.Zstd, 10, page(format.Plain), zstdBomb(giga)),
		"zstd, v2: " + tooLong:    onePage(t, format.Zstd, 10, v2, zstdBomb(giga)),
		"brotli: " + tooLong:      onePage(t, format.Brotli, 10, page(format.Plain), zeros(t, 64<<20, func(w io.Writer) io.WriteCloser { return brotli.NewWriterLevel(w, 2) })),
		"gzip: " + tooLong:        onePage(t, format.Gzip, 10, page(format.Plain), zeros(t, 64<<20, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })),
		"snappy: " + tooLong:      onePage(t, format.Snappy, 10, page(format.Plain), uvarints(1<<32-1, 0)),
		"lz4: it is no LZ4":       onePage(t, format.Lz4Raw, 10, page(format.Plain), []byte("nothing of the kind")),
		"levels: " + more:         onePage(t, format.Uncompressed, 10, page(format.Plain), levels(1<<31-1)),
		"runs: " + more:           onePage(t, format.Uncompressed, 10, page(format.RLEDictionary), runs),
		"deltas: it has 214748":   onePage(t, format.Uncompressed, 10, page(format.DeltaBinaryPacked), deltas),
		"prefixes: it has 214748": onePage(t, format.Uncompressed, 10, page(format.DeltaByteArray), deltas),
		"repeats: it takes more":  onePage(t, format.Uncompressed, 10, page(format.DeltaByteArray), repeats),
		"honest: it takes more":   onePage(t, format.Zstd, 10, dataPage(10, giga, format.Plain), zstdBomb(giga)),
		"empty: 0 bytes of 4096":  onePage(t, format.Zstd, 10, page(format.Plain), nil),
		"missing: it takes more":  onePage(t, format.Uncompressed, 1<<29, dataPage(1<<29, says, format.Plain), levels(1<<29)),
	}
}

// A page that unpacks to more than it says is refused before it does.
func TestParquetBombs(t *testing.T) {
	for name, data := range bombs(t) {
		what, want, _ := strings.Cut(name, ": ")
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		b := &budget{Limits: Limits{}.withDefaults()}
		_, err := readParquet("a.parquet", bytes.NewReader(data), int64(len(data)), b, newNamer(families))
		runtime.ReadMemStats(&after)
		if err == nil || !strings.HasPrefix(err.Error(), "a.parquet: damaged: row group 1, column 1: page at 4: "+want) {
			t.Errorf("%s: got %v, want %s", what, err, want)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 {
			t.Errorf("%s: %d bytes were taken for %d", what, took, len(data))
		}
	}
}

// What others write is read, whatever the codec, the encoding and the kind of pages.
func TestParquetOfOthers(t *testing.T) {
	type row struct {
		Time  int64    `parquet:"time,delta"`
		A     float64  `parquet:"a,dict"`
		B     *float32 `parquet:"b,split"`
		C     *int32   `parquet:"c,dict"`
		D     bool     `parquet:"d"`
		Run   string   `parquet:"run,delta"`
		Shape *string  `parquet:"workload,optional"`
	}
	var rows []row
	half, few, word := float32(.5), int32(7), "steady"
	for i := range 3000 {
		r := row{Time: int64(1000 + i), A: float64(i % 5), D: i%2 == 0, Run: "first", Shape: &word}
		if i%3 > 0 {
			r.B, r.C = &half, &few
		}
		rows = append(rows, r)
	}
	var want *Recording
	for _, codec := range []compress.Codec{&parquet.Uncompressed, &parquet.Snappy, &parquet.Gzip, &parquet.Brotli, &parquet.Zstd, &parquet.Lz4Raw} {
		for version := 1; version <= 2; version++ {
			var b bytes.Buffer
			w := parquet.NewGenericWriter[row](&b, parquet.Compression(codec), parquet.DataPageVersion(version), parquet.PageBufferSize(4096))
			if _, err := w.Write(rows); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			got, err := ReadFiles(write(t, t.TempDir(), "a.parquet", b.String()), Options{})
			if err != nil {
				t.Fatalf("%v, pages of version %d: %v", codec, version, err)
			}
			if want == nil {
				want = got
				if len(got.Series) != 4 || len(got.Times) != 3000 || got.Series[0].Values[7] != 2 || got.Runs[0].Workload != word {
					t.Fatalf("read %d series, %d rows, runs %v", len(got.Series), len(got.Times), got.Runs)
				}
			}
			if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b float64) bool { return a == b || a != a && b != b })); diff != "" {
				t.Errorf("%v, pages of version %d: %s", codec, version, diff)
			}
		}
	}
}
