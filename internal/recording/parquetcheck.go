package recording

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// The library makes room for whatever a file says of itself before it looks for it, so that a damaged file of a
// kilobyte can take gigabytes. What follows reads all that it says of sizes first, and then each page by itself.
const (
	maxFooter     = 16 << 20
	maxPageHeader = 64 << 10
	bytesPerValue = 5       // beside what is in a page: its level, and its place in the dictionary
	mostPacked    = 15      // a page is at most 2^15 times as long as packed: runs of zstd, the tightest there are
	maxPages      = 1 << 30 // bytes of the largest pages of all columns of a row group, which are in memory at once
	leastStruct   = 8       // bytes of footer that an element of a list of structs takes at the very least, on average
)

// checkFooter holds that the footer is in the file and promises no more than it has bytes for.
func checkFooter(r io.ReaderAt, size int64) error {
	var tail [8]byte
	if size < 12 {
		return errors.New("it is too short")
	}
	if _, err := r.ReadAt(tail[:], size-8); err != nil {
		return err
	}
	if string(tail[4:]) != "PAR1" {
		return fmt.Errorf("invalid end %q", tail[4:])
	}
	n := int64(binary.LittleEndian.Uint32(tail[:4]))
	if n > size-12 || n > maxFooter {
		return fmt.Errorf("a footer of %d bytes in a file of %d; at most %d are read", n, size, maxFooter)
	}
	footer := make([]byte, n)
	if _, err := r.ReadAt(footer, size-8-n); err != nil {
		return err
	}
	w := walker{rest: footer}
	if err := w.value(thriftStruct, 0); err != nil {
		return fmt.Errorf("footer: %w", err)
	}
	if w.structs > len(footer)/leastStruct+1 {
		return fmt.Errorf("footer: %d parts in %d bytes", w.structs, len(footer))
	}
	return nil
}

// checkPages holds that all pages lie in the file, are as long as a page may be and as they say, and have no more values
// than there are rows. Columns are flat.
func checkPages(f *parquet.File, r io.ReaderAt) error {
	var pages pageReader
	defer pages.close()
	columns := f.Root().Columns()
	for g, group := range f.Metadata().RowGroups {
		if len(group.Columns) != len(columns) {
			return fmt.Errorf("row group %d: %d columns of %d", g+1, len(group.Columns), len(columns))
		}
		var largest int64
		for i := range group.Columns {
			c := chunk{meta: &group.Columns[i].MetaData, optional: columns[i].Optional(), rows: group.NumRows}
			page, err := c.check(r, f.Size(), &pages)
			if err != nil {
				return fmt.Errorf("row group %d, column %d: %w", g+1, i+1, err)
			}
			if largest += page; largest > maxPages {
				return fmt.Errorf("row group %d: its largest pages take more than %d bytes together; write smaller ones", g+1, maxPages)
			}
		}
	}
	return nil
}

// A chunk is the part of a column that lies in one row group.
type chunk struct {
	meta     *format.ColumnMetaData
	optional bool
	rows     int64
}

var errLargePage = fmt.Errorf("it takes more than %d bytes; write smaller ones", maxPages)

// check gives the memory that the largest page and the dictionary take.
func (c chunk) check(r io.ReaderAt, size int64, pages *pageReader) (largest int64, err error) {
	at := c.meta.DataPageOffset
	if c.meta.DictionaryPageOffset > 0 {
		at = min(at, c.meta.DictionaryPageOffset)
	}
	if at < 4 || c.meta.TotalCompressedSize < 0 || c.meta.TotalCompressedSize > size-8-at {
		return 0, fmt.Errorf("%d bytes at %d of a file of %d", c.meta.TotalCompressedSize, at, size)
	}
	if c.meta.NumValues != c.rows {
		return 0, fmt.Errorf("%d values for %d rows", c.meta.NumValues, c.rows)
	}
	dictionary := int64(0)
	for end := at + c.meta.TotalCompressedSize; at < end; {
		p, used, err := c.header(r, at, end)
		if err != nil {
			return 0, fmt.Errorf("page at %d: %w", at, err)
		}
		memory, packed := int64(p.header.UncompressedPageSize)+p.values*bytesPerValue, int64(p.header.CompressedPageSize)
		if dictionary+memory > maxPages {
			return 0, fmt.Errorf("page at %d: %w", at, errLargePage)
		}
		growth, err := pages.check(io.NewSectionReader(r, at+used, packed), p)
		if err == nil && dictionary+memory+growth > maxPages {
			err = errLargePage
		}
		if err != nil {
			return 0, fmt.Errorf("page at %d: %w", at, err)
		}
		if p.header.Type == format.DictionaryPage {
			dictionary += memory
		} else {
			largest = max(largest, memory+growth)
		}
		at += used + packed
	}
	return dictionary + largest, nil
}

// header reads the head of a page, which is so many bytes long, and holds that the rest is there.
func (c chunk) header(r io.ReaderAt, at, end int64) (p page, used int64, err error) {
	head := make([]byte, min(maxPageHeader, end-at))
	if _, err := r.ReadAt(head, at); err != nil {
		return p, 0, err
	}
	w := walker{rest: head}
	if err := w.value(thriftStruct, 0); err != nil {
		return p, 0, err
	}
	n := len(head) - len(w.rest)
	h := &p.header
	if err := thrift.Unmarshal(new(thrift.CompactProtocol), head[:n], h); err != nil {
		return p, 0, err
	}
	left := end - at - int64(n)
	p.codec, p.optional = c.meta.Codec, c.optional
	p.values = int64(max(h.DataPageHeader.V.NumValues, h.DataPageHeaderV2.V.NumValues, h.DictionaryPageHeader.V.NumValues))
	if packed, plain := int64(h.CompressedPageSize), int64(h.UncompressedPageSize); packed < 0 || packed > left || plain < 0 || p.values > c.rows || plain > packed<<mostPacked {
		return p, 0, fmt.Errorf("%d bytes of %d and %d values, in %d bytes and %d rows", packed, plain, p.values, left, c.rows)
	}
	return p, int64(n), nil
}

// Types of Thrift's compact protocol (the Apache Thrift specification, "Thrift Compact protocol encoding").
const (
	thriftTrue = iota + 1
	thriftFalse
	thriftByte
	thriftI16
	thriftI32
	thriftI64
	thriftDouble
	thriftBinary
	thriftList
	thriftSet
	thriftMap
	thriftStruct
	thriftUUID
)

// A walker passes over values of the compact protocol and finds lengths that are not there.
type walker struct {
	rest    []byte
	structs int // elements of lists
}

var errCut = errors.New("it ends in the middle, or a length in it is wrong")

// value passes over one value of a type, in structs and lists nested depth deep.
func (w *walker) value(kind byte, depth int) error {
	const deepest = 16
	if depth > deepest {
		return errors.New("it is nested too deeply")
	}
	switch kind {
	case thriftByte:
		return w.bytes(1)
	case thriftI16, thriftI32, thriftI64:
		_, err := w.varint()
		return err
	case thriftDouble:
		return w.bytes(8)
	case thriftUUID:
		return w.bytes(16)
	case thriftBinary:
		n, err := w.varint()
		if err != nil {
			return err
		}
		return w.bytes(n)
	case thriftList, thriftSet:
		return w.list(depth)
	case thriftMap:
		return errors.New("it has a map, which Parquet has not")
	case thriftStruct:
		return w.fields(depth)
	}
	return fmt.Errorf("type %d is unknown", kind)
}

func (w *walker) fields(depth int) error {
	for {
		b, err := w.byte()
		if err != nil || b == 0 {
			return err
		}
		if b>>4 == 0 { // the field's number follows
			if _, err := w.varint(); err != nil {
				return err
			}
		}
		if kind := b & 15; kind != thriftTrue && kind != thriftFalse {
			if err := w.value(kind, depth+1); err != nil {
				return err
			}
		}
	}
}

func (w *walker) list(depth int) error {
	b, err := w.byte()
	if err != nil {
		return err
	}
	n, kind := uint64(b>>4), b&15
	if n == 15 {
		if n, err = w.varint(); err != nil {
			return err
		}
	}
	if n > uint64(len(w.rest)) {
		return errCut // each has a byte at least
	}
	if kind == thriftTrue || kind == thriftFalse {
		return w.bytes(n)
	}
	if kind == thriftStruct {
		w.structs += int(n)
	}
	for range n {
		if err := w.value(kind, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) byte() (byte, error) {
	if len(w.rest) == 0 {
		return 0, errCut
	}
	b := w.rest[0]
	w.rest = w.rest[1:]
	return b, nil
}

func (w *walker) bytes(n uint64) error {
	if n > uint64(len(w.rest)) {
		return errCut
	}
	w.rest = w.rest[n:]
	return nil
}

func (w *walker) varint() (uint64, error) {
	v, n := binary.Uvarint(w.rest)
	if n <= 0 {
		return 0, errCut
	}
	w.rest = w.rest[n:]
	return v, nil
}
