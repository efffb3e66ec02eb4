package recording

import (
	"encoding/binary"
	"fmt"

	"github.com/parquet-go/parquet-go/encoding/delta"
)

func lengthPrefixed(data []byte) (part, rest []byte, err error) {
	if len(data) < 4 {
		return nil, nil, errCut
	}
	n := uint64(binary.LittleEndian.Uint32(data))
	if data = data[4:]; n > uint64(len(data)) {
		return nil, nil, errCut
	}
	return data[:n], data[n:], nil
}

// checkRuns holds that runs of values of so many bits (Parquet's RLE and bit-packing hybrid) are no more than values
// and what the last group may be filled up with.
func checkRuns(data []byte, width int, values int64) error {
	const filled = 504 // the largest group of bit-packed values
	if width > 32 {
		return fmt.Errorf("values of %d bits", width)
	}
	left := uint64(values + filled)
	for len(data) > 0 {
		u, n := binary.Uvarint(data)
		if n <= 0 {
			return errCut
		}
		data = data[n:]
		count, size := u>>1, uint64(width+7)/8
		if count > left {
			return fmt.Errorf("it has more than the %d values that it says", values)
		}
		if u&1 == 1 {
			size = count * uint64(width)
			count *= 8
		}
		if count > left {
			return fmt.Errorf("it has more than the %d values that it says", values)
		}
		if left -= count; size > uint64(len(data)) {
			return errCut
		}
		data = data[size:]
	}
	return nil
}

// checkDeltas looks at the head of delta-packed values: size of blocks, miniblocks in each, values in all, the first.
func checkDeltas(data []byte, values int64) error {
	if len(data) == 0 {
		return nil
	}
	w := walker{rest: data}
	_, err := w.deltaHead(values)
	return err
}

// A deltaHead describes delta-packed values (Parquet's DELTA_BINARY_PACKED).
type deltaHead struct{ block, miniblocks, values uint64 }

func (w *walker) deltaHead(values int64) (h deltaHead, err error) {
	for _, v := range []*uint64{&h.block, &h.miniblocks, &h.values, new(uint64)} {
		if *v, err = w.varint(); err != nil {
			return h, err
		}
	}
	switch {
	case h.values > uint64(values):
		return h, fmt.Errorf("it has %d values and says %d", h.values, values)
	case h.miniblocks == 0 || h.block < h.miniblocks || h.block > 1<<16:
		return h, fmt.Errorf("%d miniblocks in blocks of %d values", h.miniblocks, h.block)
	}
	return h, nil
}

// sumDeltas sums up delta-packed lengths, and gives what comes behind them.
func sumDeltas(data []byte, values int64) (sum int64, rest []byte, err error) {
	w := walker{rest: data}
	h, err := w.deltaHead(values)
	if err != nil {
		return 0, nil, err
	}
	each := h.block / h.miniblocks
	for left := int64(h.values) - 1; left > 0; {
		if _, err := w.varint(); err != nil {
			return 0, nil, err
		}
		widths := w.rest
		if err := w.bytes(h.miniblocks); err != nil {
			return 0, nil, err
		}
		for _, width := range widths[:h.miniblocks] {
			if left <= 0 {
				break
			}
			if err := w.bytes(each * uint64(width) / 8); err != nil {
				return 0, nil, err
			}
			left -= int64(each)
		}
	}
	list, err := new(delta.BinaryPackedEncoding).DecodeInt32(nil, data[:len(data)-len(w.rest)])
	if err != nil {
		return 0, nil, err
	}
	for _, v := range list {
		if v < 0 {
			return 0, nil, fmt.Errorf("a length of %d", v)
		}
		sum += int64(v)
	}
	return sum, w.rest, nil
}
