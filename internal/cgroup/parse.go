package cgroup

import (
	"bytes"
	"fmt"
	"math/bits"

	"viperprobe.dev/viperprobe/internal/metric"
)

// A parser appends the readings that text has for the wanted fields of o. It
// keeps nothing of text. What it does not understand it leaves out and tells,
// once for the file.
type parser func(text []byte, o *opened, f *Files, dst []metric.Reading) ([]metric.Reading, error)

// parseFlat reads lines of "key value".
func parseFlat(text []byte, o *opened, f *Files, dst []metric.Reading) ([]metric.Reading, error) {
	var fault error
	for left := o.left; len(text) > 0 && left > 0; {
		var line []byte
		line, text = cut(text, '\n')
		key, value := cut(line, ' ')
		i := o.find(key)
		if i < 0 {
			continue
		}
		left--
		v, ok := number(value)
		if !ok {
			fault = o.garbled(key, value)
			continue
		}
		dst, fault = f.put(o, i, "", v, dst, fault)
	}
	return dst, fault
}

// parseSingle reads one number, for each field.
func parseSingle(text []byte, o *opened, f *Files, dst []metric.Reading) ([]metric.Reading, error) {
	v, ok := number(text)
	if !ok {
		return dst, o.garbled(nil, text)
	}
	return f.putAll(o, v, dst)
}

// unlimited is where v1's limits begin to mean none: it rounds the largest
// number down to a page.
const unlimited = 1 << 62

// parseLimit reads one number or max; no limit is no reading.
func parseLimit(text []byte, o *opened, f *Files, dst []metric.Reading) ([]metric.Reading, error) {
	if isWord(text, "max") {
		return dst, nil
	}
	v, ok := number(text)
	if !ok {
		return dst, o.garbled(nil, text)
	}
	if v >= unlimited {
		return dst, nil
	}
	return f.putAll(o, v, dst)
}

// parseQuota reads quota and period into ns of CPU time per second.
func parseQuota(text []byte, o *opened, f *Files, dst []metric.Reading) ([]metric.Reading, error) {
	quota, period := word(text)
	if isWord(quota, "max") || isWord(quota, "-1") {
		return dst, nil
	}
	q, ok := number(quota)
	p, also := number(period)
	if !ok || !also || p == 0 {
		return dst, o.garbled(nil, text)
	}
	hi, lo := bits.Mul64(q, 1e9)
	if hi >= p {
		return dst, o.garbled(nil, text)
	}
	cores, _ := bits.Div64(hi, lo, p)
	return f.putAll(o, cores, dst)
}

// Defaults of the weights: nobody asked for anything.
const (
	defaultShares = 1024
	defaultWeight = 100
	leastShares   = 2 // what the kubelet writes for no request
)

func parseShares(text []byte, o *opened, f *Files, dst []metric.Reading) ([]metric.Reading, error) {
	shares, ok := number(text)
	if !ok || shares > 1<<18 {
		return dst, o.garbled(nil, text)
	}
	if shares == defaultShares && !f.pod {
		return dst, nil
	}
	if shares <= leastShares {
		return f.putAll(o, 0, dst)
	}
	return f.putAll(o, shares*1e9/1024, dst)
}

// parseWeight turns runc's linear conversion back (weight = 1 + (shares-2)*9999/262142,
// rounded down): the middle of the shares that give the weight.
func parseWeight(text []byte, o *opened, f *Files, dst []metric.Reading) ([]metric.Reading, error) {
	weight, ok := number(text)
	if !ok || weight > 10000 {
		return dst, o.garbled(nil, text)
	}
	if weight == defaultWeight && !f.pod {
		return dst, nil
	}
	if weight <= 1 {
		return f.putAll(o, 0, dst)
	}
	return f.putAll(o, (2*9999*2+(2*weight-1)*262142)*1e9/(2*9999*1024), dst)
}

// parsePressure reads "some avg10=0.00 avg60=0.00 avg300=0.00 total=12".
func parsePressure(text []byte, o *opened, f *Files, dst []metric.Reading) ([]metric.Reading, error) {
	var fault error
	for len(text) > 0 {
		var line []byte
		line, text = cut(text, '\n')
		key, rest := cut(line, ' ')
		i := o.find(key)
		if i < 0 {
			continue
		}
		v, ok := number(rest[bytes.LastIndexByte(rest, '=')+1:])
		if !ok {
			fault = o.garbled(key, rest)
			continue
		}
		dst, fault = f.put(o, i, "", v, dst, fault)
	}
	return dst, fault
}

// cut splits at the first sep, which belongs to neither part.
func cut(b []byte, sep byte) (before, after []byte) {
	if i := bytes.IndexByte(b, sep); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}

// word splits off the first word.
func word(b []byte) (first, rest []byte) {
	i := 0
	for i < len(b) && space(b[i]) {
		i++
	}
	j := i
	for j < len(b) && !space(b[j]) {
		j++
	}
	return b[i:j], b[j:]
}

func space(c byte) bool { return c == ' ' || c == '\n' || c == '\t' }

// number reads a decimal number with space around it. More than 64 bits are not
// a number.
func number(b []byte) (uint64, bool) {
	b, rest := word(b)
	if more, _ := word(rest); len(b) == 0 || len(more) > 0 {
		return 0, false
	}
	var v uint64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		hi, lo := bits.Mul64(v, 10)
		sum, carry := bits.Add64(lo, uint64(c-'0'), 0)
		if hi != 0 || carry != 0 {
			return 0, false
		}
		v = sum
	}
	return v, true
}

func isWord(b []byte, w string) bool {
	first, _ := word(b)
	return string(first) == w
}

// garbled says what is wrong with a file, with the head of what was found.
func (o *opened) garbled(key, value []byte) error {
	value = value[:min(len(value), 40)]
	if key == nil {
		return fmt.Errorf("parse %s: unexpected %q", o.path(), value)
	}
	return fmt.Errorf("parse %s: unexpected %s %q", o.path(), key, value)
}
