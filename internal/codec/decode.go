package codec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
)

// MaxLine bounds the line of one batch: 1,000 targets with 200 samples each.
const MaxLine = 64 << 20

type batchLine struct {
	Node       string      `json:"node"`
	Epoch      int64       `json:"epoch"`
	Seq        uint64      `json:"seq"`
	Generation int64       `json:"generation"`
	Slot       time.Time   `json:"slot"`
	Start      time.Time   `json:"start"`
	End        time.Time   `json:"end"`
	Interval   json.Number `json:"interval"`
	Partial    bool        `json:"partial"`
	Faults     []string    `json:"faults"`
	Groups     []struct {
		Target  *metric.Target `json:"target"`
		Last    bool           `json:"last"`
		Samples []sampleLine   `json:"samples"`
	} `json:"groups"`
}

type sampleLine struct {
	Family  string            `json:"family"`
	Labels  map[string]string `json:"labels"`
	Value   json.Number       `json:"value"`
	Total   json.Number       `json:"total"`
	Max     json.Number       `json:"max"`
	Sum     json.Number       `json:"sum"`
	Buckets [][2]any          `json:"buckets"` // upper bound, count
	Ratio   float64           `json:"ratio"`
}

// Decode reads a line that Write wrote. What lines do not hold stays empty (the
// histogram since the target began), and so do samples of families that are not
// among those given.
func Decode(line []byte, families []*metric.Family) (*metric.Batch, error) {
	var l batchLine
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	if err := d.Decode(&l); err != nil {
		return nil, fmt.Errorf("decode batch: %w", err)
	}
	interval, err := parseBase(l.Interval, 1e9)
	if err != nil {
		return nil, fmt.Errorf("decode batch: interval: %w", err)
	}
	b := &metric.Batch{
		Node: l.Node, Epoch: l.Epoch, Seq: l.Seq, Generation: l.Generation, Slot: l.Slot, Start: l.Start, End: l.End,
		Interval: time.Duration(interval), Partial: l.Partial, Faults: l.Faults,
	}
	known := make(map[string]*metric.Family, len(families))
	for _, f := range families {
		known[f.Name] = f
	}
	for i := range l.Groups {
		g := metric.Group{Target: l.Groups[i].Target, Last: l.Groups[i].Last}
		if g.Target == nil {
			return nil, fmt.Errorf("decode batch: group %d has no target", i)
		}
		for j := range l.Groups[i].Samples {
			s := &l.Groups[i].Samples[j]
			f := known[s.Family]
			if f == nil {
				continue
			}
			m, err := s.sample(f)
			if err != nil {
				return nil, fmt.Errorf("decode batch: %s of target %s: %w", f.Name, g.Target.ID, err)
			}
			g.Samples = append(g.Samples, m)
		}
		b.Groups = append(b.Groups, g)
	}
	return b, nil
}

func (s *sampleLine) sample(f *metric.Family) (m metric.Sample, err error) {
	m = metric.Sample{Family: f, Ratio: s.Ratio}
	for i, l := range f.Labels {
		m.Labels[i] = s.Labels[l.Name]
	}
	read := func(into *uint64, n json.Number) {
		if err == nil {
			*into, err = parseBase(n, uint64(f.Scale()))
		}
	}
	switch f.Kind {
	case metric.Counter:
		read(&m.Value, s.Value)
		read(&m.Total, s.Total)
	case metric.Gauge:
		read(&m.Value, s.Value)
		read(&m.Max, s.Max)
	case metric.Histogram:
		counts := make([]uint64, metric.Buckets)
		for _, b := range s.Buckets {
			i, n, err := parseBucket(f.Unit, b)
			if err != nil {
				return m, err
			}
			counts[i] += n
		}
		h := metric.NewHist(0, counts)
		m.Hist = &h
		read(&h.Sum, s.Sum)
	}
	return m, err
}

// parseBucket reads [upper bound, count].
func parseBucket(u metric.Unit, b [2]any) (i int, n uint64, err error) {
	count, _ := b[1].(json.Number)
	if n, err = strconv.ParseUint(string(count), 10, 64); err != nil {
		return 0, 0, fmt.Errorf("bucket %v: want a count, have %v", b[0], b[1])
	}
	if b[0] == "+Inf" {
		return metric.Buckets - 1, n, nil
	}
	text, _ := b[0].(json.Number)
	if bound, err := text.Float64(); err == nil && bound > 0 {
		i = int(math.Round(math.Log2(bound)*4)) - metric.SchemaIndex(u, 0)
		if i >= 0 && i < metric.Buckets-1 && math.Abs(bound/metric.Bound(u, i)-1) < 1e-9 {
			return i, n, nil
		}
	}
	return 0, 0, fmt.Errorf("%v is no bound of a bucket", b[0])
}

// parseBase is the inverse of appendBase: a decimal number times scale, exactly.
func parseBase(n json.Number, scale uint64) (uint64, error) {
	whole, part, _ := strings.Cut(string(n), ".")
	if len(part) > len(strconv.FormatUint(scale, 10))-1 {
		return 0, fmt.Errorf("%q has more digits than are measured", n)
	}
	v, err := strconv.ParseUint(whole, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("want a number of 0 or more, have %q", n)
	}
	high, v := bits.Mul64(v, scale)
	rest := uint64(0)
	for i := range len(part) {
		if part[i] < '0' || part[i] > '9' {
			return 0, fmt.Errorf("want a number of 0 or more, have %q", n)
		}
		scale /= 10
		rest += uint64(part[i]-'0') * scale
	}
	v, carry := bits.Add64(v, rest, 0)
	if high+carry > 0 {
		return 0, fmt.Errorf("%s is too large", n)
	}
	return v, nil
}
