// Package codec writes batches for other programs to read.
package codec

import (
	"encoding/json"
	"io"
	"math"
	"strconv"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
)

// A JSON writes batches as lines of JSON: the window, then each target with its
// samples. Values are in base units (seconds, bytes). It is not safe for concurrent
// use.
//
// A sample of a counter has value (the increase in the window) and total, of a
// gauge value (the last) and max, of a histogram count, sum and buckets of the
// window, each [upper bound, count] with "+Inf" for the last bound.
type JSON struct {
	W   io.Writer
	buf []byte
	// Targets of the last batch as they were written. They do not change: one of which
	// something else became known is another.
	targets, next map[*metric.Target][]byte
}

// Write writes one batch with one call of W.Write.
func (j *JSON) Write(b *metric.Batch) error {
	j.buf = append(j.appendBatch(j.buf[:0], b), '\n')
	_, err := j.W.Write(j.buf)
	return err
}

func (j *JSON) appendBatch(d []byte, b *metric.Batch) []byte {
	d = appendString(append(d, `{"node":`...), b.Node)
	d = strconv.AppendInt(append(d, `,"epoch":`...), b.Epoch, 10)
	d = strconv.AppendUint(append(d, `,"seq":`...), b.Seq, 10)
	d = strconv.AppendInt(append(d, `,"generation":`...), b.Generation, 10)
	d = appendTime(append(d, `,"slot":`...), b.Slot)
	d = appendTime(append(d, `,"start":`...), b.Start)
	d = appendTime(append(d, `,"end":`...), b.End)
	d = appendBase(append(d, `,"interval":`...), uint64(b.Interval), 1e9)
	d = strconv.AppendBool(append(d, `,"partial":`...), b.Partial)
	if len(b.Faults) > 0 {
		d = append(d, `,"faults":[`...)
		for i, f := range b.Faults {
			d = appendString(comma(d, i), f)
		}
		d = append(d, ']')
	}
	d = append(d, `,"groups":[`...)
	if j.next == nil {
		j.next = map[*metric.Target][]byte{}
	}
	for i := range b.Groups {
		d = j.appendGroup(comma(d, i), &b.Groups[i])
	}
	j.targets, j.next = j.next, j.targets
	clear(j.next)
	return append(d, ']', '}')
}

func comma(d []byte, i int) []byte {
	if i > 0 {
		return append(d, ',')
	}
	return d
}

func (j *JSON) appendGroup(d []byte, g *metric.Group) []byte {
	target, known := j.targets[g.Target]
	if !known {
		var err error
		if target, err = json.Marshal(g.Target); err != nil { // a time beyond the year 9999
			target = []byte("null")
		}
	}
	j.next[g.Target] = target
	d = append(append(d, `{"target":`...), target...)
	if g.Last {
		d = append(d, `,"last":true`...)
	}
	d = append(d, `,"samples":[`...)
	for i := range g.Samples {
		d = appendSample(comma(d, i), &g.Samples[i])
	}
	return append(d, ']', '}')
}

func appendSample(d []byte, m *metric.Sample) []byte {
	f, scale := m.Family, uint64(m.Family.Scale())
	d = append(append(append(d, `{"family":"`...), f.Name...), '"') // names of families and labels need no escapes
	for i := range f.Labels {
		if i == 0 {
			d = append(d, `,"labels":{`...)
		}
		d = append(append(append(comma(d, i), '"'), f.Labels[i].Name...), '"', ':')
		d = appendString(d, m.Labels[i])
		if i == len(f.Labels)-1 {
			d = append(d, '}')
		}
	}
	switch f.Kind {
	case metric.Counter:
		d = appendBase(append(d, `,"value":`...), m.Value, scale)
		d = appendBase(append(d, `,"total":`...), m.Total, scale)
	case metric.Gauge:
		d = appendBase(append(d, `,"value":`...), m.Value, scale)
		d = appendBase(append(d, `,"max":`...), m.Max, scale)
	case metric.Histogram:
		d = appendHist(d, f.Unit, m.Hist, scale)
	}
	d = append(d, `,"ratio":`...)
	if m.Ratio == 1 {
		return append(d, '1', '}')
	}
	return append(appendFloat(d, m.Ratio), '}')
}

func appendHist(d []byte, u metric.Unit, h *metric.Hist, scale uint64) []byte {
	d = strconv.AppendUint(append(d, `,"count":`...), h.Count(), 10)
	d = appendBase(append(d, `,"sum":`...), h.Sum, scale)
	d = append(d, `,"buckets":[`...)
	n := 0
	for i, c := range h.Counts {
		if c == 0 {
			continue
		}
		d = append(comma(d, n), '[')
		if bound := metric.Bound(u, h.First+i); math.IsInf(bound, 1) {
			d = append(d, `"+Inf"`...)
		} else {
			d = appendFloat(d, bound)
		}
		d = append(strconv.AppendUint(append(d, ','), c, 10), ']')
		n++
	}
	return append(d, ']')
}

// appendBase writes v/scale exactly: scale is a power of ten.
func appendBase(d []byte, v, scale uint64) []byte {
	d = strconv.AppendUint(d, v/scale, 10)
	rest := v % scale
	if rest == 0 {
		return d
	}
	d = append(d, '.')
	for rest > 0 {
		scale /= 10
		d = append(d, '0'+byte(rest/scale))
		rest %= scale
	}
	return d
}

func appendFloat(d []byte, v float64) []byte { return strconv.AppendFloat(d, v, 'g', -1, 64) }

func appendTime(d []byte, t time.Time) []byte {
	return append(t.AppendFormat(append(d, '"'), time.RFC3339Nano), '"')
}

// appendString writes a JSON string.
func appendString(d []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // a string always can be
			return append(d, quoted...)
		}
	}
	return append(append(append(d, '"'), s...), '"')
}
