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
// kilobyte can take gigabytes. What follows reads all that it says of sizes first, and no data.
const (
	maxFooter     = 16 << 20
	maxPageHeader = 64 << 10
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

// checkPages holds that all pages lie in the file, are as long as a page may be, and have no more values than there are
// rows. Columns are flat.
func checkPages(f *parquet.File, r io.ReaderAt) error {
	for g, group := range f.Metadata().RowGroups {
		var largest int64
		for i := range group.Columns {
			c := &group.Columns[i].MetaData
			page, err := checkChunk(r, f.Size(), group.NumRows, c)
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

// checkChunk gives the size of the largest page of a column chunk.
func checkChunk(r io.ReaderAt, size, rows int64, c *format.ColumnMetaData) (largest int64, err error) {
	at := c.DataPageOffset
	if c.DictionaryPageOffset > 0 {
		at = min(at, c.DictionaryPageOffset)
	}
	if at < 4 || c.TotalCompressedSize < 0 || c.TotalCompressedSize > size-8-at {
		return 0, fmt.Errorf("%d bytes at %d of a file of %d", c.TotalCompressedSize, at, size)
	}
	if c.NumValues != rows {
		return 0, fmt.Errorf("%d values for %d rows", c.NumValues, rows)
	}
	for end := at + c.TotalCompressedSize; at < end; {
		head := make([]byte, min(maxPageHeader, end-at))
		if _, err := r.ReadAt(head, at); err != nil {
			return 0, err
		}
		w := walker{rest: head}
		if err := w.value(thriftStruct, 0); err != nil {
			return 0, fmt.Errorf("page at %d: %w", at, err)
		}
		var h format.PageHeader
		used := len(head) - len(w.rest)
		if err := thrift.Unmarshal(new(thrift.CompactProtocol), head[:used], &h); err != nil {
			return 0, fmt.Errorf("page at %d: %w", at, err)
		}
		at += int64(used)
		packed, plain := int64(h.CompressedPageSize), int64(h.UncompressedPageSize)
		values := max(h.DataPageHeader.V.NumValues, h.DataPageHeaderV2.V.NumValues, h.DictionaryPageHeader.V.NumValues)
		if packed < 0 || packed > end-at || plain < 0 || int64(values) > rows {
			return 0, fmt.Errorf("page at %d: %d bytes of %d and %d values, in %d bytes and %d rows", at, packed, plain, values, end-at, rows)
		}
		largest = max(largest, plain)
		at += packed
	}
	return largest, nil
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
