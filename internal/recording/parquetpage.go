package recording

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
)

// A pageReader unpacks the pages of one file as the library will, with the same codecs, but never to more than a page
// says that it is: a hundred bytes of zstd can be a gigabyte, and so can five of run lengths. It is not for concurrent use.
type pageReader struct {
	packed, plain []byte
	zstd          *zstd.Decoder
}

func (p *pageReader) close() {
	if p.zstd != nil {
		p.zstd.Close()
	}
}

// A page is one of a flat column, as its header describes it.
type page struct {
	header   format.PageHeader
	codec    format.CompressionCodec
	optional bool // values may be missing
	values   int64
}

// check reads a page and holds that it is as long as it says, and has no more values than it says. It gives how many
// bytes it grows by when it is decoded.
func (p *pageReader) check(r io.Reader, c page) (growth int64, err error) {
	if c.header.Type == format.IndexPage {
		return 0, nil
	}
	p.packed = resized(p.packed, int(c.header.CompressedPageSize))
	if _, err := io.ReadFull(r, p.packed); err != nil {
		return 0, err
	}
	codec, packed, plain, levels := c.codec, p.packed, int(c.header.UncompressedPageSize), []byte(nil)
	if c.header.Type == format.DataPageV2 { // levels come first, as they are
		h := c.header.DataPageHeaderV2.V
		from, to := int64(h.RepetitionLevelsByteLength), int64(h.RepetitionLevelsByteLength)+int64(h.DefinitionLevelsByteLength)
		if from < 0 || to < from || to > int64(min(len(packed), plain)) {
			return 0, errCut
		}
		if h.IsCompressed.Valid && !h.IsCompressed.V {
			codec = format.Uncompressed
		}
		packed, plain, levels = packed[to:], plain-int(to), packed[from:to]
	}
	data, err := p.unpack(codec, packed, plain)
	if err != nil {
		return 0, err
	}
	return c.checkData(data, levels)
}

// unpack gives the bytes of a page, which are valid until the next call.
func (p *pageReader) unpack(codec format.CompressionCodec, packed []byte, plain int) (data []byte, err error) {
	tooLong := fmt.Errorf("it unpacks to more than the %d bytes that it says", plain)
	switch codec {
	case format.Uncompressed:
		return packed, nil
	case format.Snappy:
		n, err := snappy.DecodedLen(packed)
		if err != nil {
			return nil, err
		}
		if n > plain {
			return nil, tooLong
		}
		p.plain = resized(p.plain, n)
		return snappy.Decode(p.plain, packed)
	case format.Lz4Raw:
		// The library takes any error for a buffer that is too small, and doubles it without end.
		p.plain = resized(p.plain, plain)
		n, err := lz4.UncompressBlock(packed, p.plain)
		if err != nil {
			return nil, fmt.Errorf("it is no LZ4, or unpacks to more than the %d bytes that it says", plain)
		}
		return p.plain[:n], nil
	case format.Zstd:
		if p.zstd == nil {
			if p.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true)); err != nil {
				return nil, err
			}
		}
		p.plain = resized(p.plain, plain)
		if data, err = p.zstd.DecodeAll(packed, p.plain[:0:plain]); errors.Is(err, zstd.ErrDecoderSizeExceeded) {
			return nil, tooLong
		}
		return data, err
	case format.Gzip:
		r, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			return nil, err
		}
		return p.stream(r, plain, tooLong)
	case format.Brotli:
		return p.stream(brotli.NewReader(bytes.NewReader(packed)), plain, tooLong)
	default:
		return nil, fmt.Errorf("it is compressed by %v, which is not read; write it with zstd or snappy", codec)
	}
}

// stream reads one byte more than there may be, to tell.
func (p *pageReader) stream(r io.Reader, plain int, tooLong error) ([]byte, error) {
	p.plain = resized(p.plain, plain+1)
	n, err := io.ReadFull(r, p.plain)
	switch {
	case n > plain:
		return nil, tooLong
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF): // it is as long as it says, or the library will miss the rest
		return p.plain[:n], nil
	}
	return nil, err
}

func resized(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

// plainDictionary is how Parquet 1 says that values are encoded by a dictionary, and most writers still do.
const plainDictionary format.Encoding = 2

// checkData counts what is in the bytes of a page, of which run lengths can promise any number. levels are those that
// were ahead of them.
func (c page) checkData(data, levels []byte) (growth int64, err error) {
	encoding := c.header.DataPageHeader.V.Encoding
	switch c.header.Type {
	case format.DictionaryPage:
		if e := c.header.DictionaryPageHeader.V.Encoding; e != format.Plain && e != plainDictionary {
			return 0, fmt.Errorf("its dictionary is encoded as %v", e)
		}
		return 0, nil
	case format.DataPageV2:
		encoding = c.header.DataPageHeaderV2.V.Encoding
	case format.DataPage:
		if !c.optional {
			break
		}
		if e := c.header.DataPageHeader.V.DefinitionLevelEncoding; e != format.RLE {
			return 0, fmt.Errorf("its levels are encoded as %v, which is not read", e)
		}
		if levels, data, err = lengthPrefixed(data); err != nil {
			return 0, err
		}
	}
	if c.optional {
		if err := checkRuns(levels, 1, c.values); err != nil {
			return 0, err
		}
	}
	switch encoding {
	case format.Plain, format.ByteStreamSplit: // as long as its values
		return 0, nil
	case plainDictionary, format.RLEDictionary:
		if len(data) == 0 {
			return 0, nil
		}
		return 0, checkRuns(data[1:], int(data[0]), c.values)
	case format.RLE:
		runs, _, err := lengthPrefixed(data)
		if err != nil {
			return 0, err
		}
		return 0, checkRuns(runs, 1, c.values)
	case format.DeltaBinaryPacked, format.DeltaLengthByteArray:
		return 0, checkDeltas(data, c.values)
	case format.DeltaByteArray: // each value may repeat a long one before it
		prefixes, rest, err := sumDeltas(data, c.values)
		if err != nil {
			return 0, err
		}
		suffixes, _, err := sumDeltas(rest, c.values)
		return prefixes + suffixes, err
	}
	return 0, fmt.Errorf("its values are encoded as %v, which is not read", encoding)
}
