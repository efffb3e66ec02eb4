package web

import (
	"encoding/json"
	"math"
	"strconv"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// appendValue appends the result of a query as Prometheus' API writes it.
func appendValue(data []byte, v parser.Value) []byte {
	data = append(append(data, `{"resultType":"`...), v.Type()...)
	data = append(data, `","result":`...)
	switch v := v.(type) {
	case promql.Vector:
		data = append(data, '[')
		for i := range v {
			s := &v[i]
			data = appendLabels(append(comma(data, i), `{"metric":`...), s.Metric)
			if s.H != nil {
				data = appendHPoint(append(data, `,"histogram":`...), s.T, s.H)
			} else {
				data = appendFPoint(append(data, `,"value":`...), s.T, s.F)
			}
			data = append(data, '}')
		}
		data = append(data, ']')
	case promql.Matrix:
		data = append(data, '[')
		for i := range v {
			data = appendSeries(comma(data, i), &v[i])
		}
		data = append(data, ']')
	case promql.Scalar:
		data = appendFPoint(data, v.T, v.V)
	case promql.String:
		data = append(appendTime(append(data, '['), v.T), ',')
		data = append(appendString(data, v.V), ']')
	}
	return append(data, '}')
}

func appendSeries(data []byte, s *promql.Series) []byte {
	data = appendLabels(append(data, `{"metric":`...), s.Metric)
	if len(s.Floats) > 0 {
		data = append(data, `,"values":[`...)
		for i, p := range s.Floats {
			data = appendFPoint(comma(data, i), p.T, p.F)
		}
		data = append(data, ']')
	}
	if len(s.Histograms) > 0 {
		data = append(data, `,"histograms":[`...)
		for i, p := range s.Histograms {
			data = appendHPoint(comma(data, i), p.T, p.H)
		}
		data = append(data, ']')
	}
	return append(data, '}')
}

func appendFPoint(data []byte, t int64, v float64) []byte {
	data = append(appendTime(append(data, '['), t), ',')
	return append(appendFloat(data, v), ']')
}

func appendHPoint(data []byte, t int64, h *histogram.FloatHistogram) []byte {
	data = append(appendTime(append(data, '['), t), ',')
	return append(appendHistogram(data, h), ']')
}

// appendHistogram writes count, sum and the buckets that are not empty, each with
// how its ends belong to it: 0 upper, 1 lower, 2 neither, 3 both.
func appendHistogram(data []byte, h *histogram.FloatHistogram) []byte {
	data = appendFloat(append(data, `{"count":`...), h.Count)
	data = appendFloat(append(data, `,"sum":`...), h.Sum)
	n := 0
	for it := h.AllBucketIterator(); it.Next(); {
		b := it.At()
		if b.Count == 0 {
			continue
		}
		if n == 0 {
			data = append(data, `,"buckets":[`...)
		}
		ends := 2
		switch {
		case b.LowerInclusive && b.UpperInclusive:
			ends = 3
		case b.LowerInclusive:
			ends = 1
		case b.UpperInclusive:
			ends = 0
		}
		data = append(strconv.AppendInt(append(comma(data, n), '['), int64(ends), 10), ',')
		data = append(appendFloat(data, b.Lower), ',')
		data = append(appendFloat(data, b.Upper), ',')
		data = append(appendFloat(data, b.Count), ']')
		n++
	}
	if n > 0 {
		data = append(data, ']')
	}
	return append(data, '}')
}

// appendTime writes milliseconds as seconds.
func appendTime(data []byte, ms int64) []byte {
	if ms < 0 {
		data, ms = append(data, '-'), -ms
	}
	data = strconv.AppendInt(data, ms/1000, 10)
	if part := ms % 1000; part != 0 {
		data = append(data, '.', byte('0'+part/100), byte('0'+part/10%10), byte('0'+part%10))
	}
	return data
}

// appendFloat writes a number as a string, because JSON has no NaN and no Inf.
func appendFloat(data []byte, f float64) []byte {
	form := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		form = 'e'
	}
	return append(strconv.AppendFloat(append(data, '"'), f, form, -1, 64), '"')
}

func appendLabels(data []byte, ls labels.Labels) []byte {
	data = append(data, '{')
	i := 0
	ls.Range(func(l labels.Label) {
		data = append(appendString(comma(data, i), l.Name), ':')
		data = appendString(data, l.Value)
		i++
	})
	return append(data, '}')
}

// appendString writes s as a JSON string; what is not UTF-8 is replaced.
func appendString(data []byte, s string) []byte {
	plain := true
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			plain = false
			break
		}
	}
	if plain {
		return append(append(append(data, '"'), s...), '"')
	}
	quoted, err := json.Marshal(s)
	if err != nil { // a string always has a JSON form
		return append(data, `""`...)
	}
	return append(data, quoted...)
}

func appendStrings(data []byte, list []string) []byte {
	data = append(data, '[')
	for i, s := range list {
		data = appendString(comma(data, i), s)
	}
	return append(data, ']')
}
