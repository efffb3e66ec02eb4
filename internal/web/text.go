package web

import (
	"math"
	"strconv"
	"strings"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/store"
)

// text appends a family in the text format, version 0.0.4.
func (g *gathering) text(b []byte, f *gathered) []byte {
	b = append(append(append(b, "# HELP "...), f.name...), ' ')
	b = append(appendEscaped(b, f.family.Help, false), "\n# TYPE "...)
	b = append(append(append(append(b, f.name...), ' '), f.family.Kind...), '\n')
	var ls []byte
	for _, e := range f.entries {
		m := e.sample
		ls = appendSampleLabels(ls[:0], e.source, m)
		switch f.family.Kind {
		case metric.Histogram:
			b = g.textHistogram(b, f, ls, m.Sum)
		case metric.Counter:
			b = append(appendTextFloat(appendSeriesName(b, f.name, "", ls, nil), float64(m.Total)/f.family.Scale()), '\n')
		default:
			b = append(appendTextFloat(appendSeriesName(b, f.name, "", ls, nil), float64(m.Value)/f.family.Scale()), '\n')
		}
	}
	return b
}

func (g *gathering) textHistogram(b []byte, f *gathered, ls []byte, h *metric.Hist) []byte {
	e := g.edges(f.family.Unit)
	n, next := uint64(0), h.First
	for i := range e.last {
		n, next = e.upTo(i, h, n, next)
		b = append(strconv.AppendUint(appendSeriesName(b, f.name, "_bucket", ls, e.le[i]), n, 10), '\n')
	}
	b = append(appendTextFloat(appendSeriesName(b, f.name, "_sum", ls, nil), float64(h.Sum)/f.family.Scale()), '\n')
	return append(strconv.AppendUint(appendSeriesName(b, f.name, "_count", ls, nil), n, 10), '\n')
}

// appendSeriesName appends name, labels and, for buckets, le, up to the blank
// before the value.
func appendSeriesName(b []byte, name, suffix string, ls, le []byte) []byte {
	b = append(append(b, name...), suffix...)
	if len(ls) == 0 && le == nil {
		return append(b, ' ')
	}
	b = append(append(b, '{'), ls...)
	if le != nil {
		if len(ls) > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, `le="`...), le...), '"')
	}
	return append(b, "} "...)
}

// appendSampleLabels appends the labels of one series: the target's, made once,
// unless the family has one of the same name, and the family's own.
func appendSampleLabels(b []byte, src *source, m *metric.Sample) []byte {
	if src.text == nil {
		src.text = appendPairs([]byte{}, src.labels, nil)
	}
	own := m.Family.Labels
	if len(own) == 0 {
		return append(b, src.text...)
	}
	b = appendPairs(b, src.labels, m.Family)
	for i := range own {
		if m.Labels[i] != "" {
			b = appendPair(b, own[i].Name, strings.ToValidUTF8(m.Labels[i], "\uFFFD"))
		}
	}
	return b
}

// appendPairs appends pairs, without those that f, if any, has itself.
func appendPairs(b []byte, pairs []store.Pair, f *metric.Family) []byte {
	for _, p := range pairs {
		if f == nil || !hasLabel(f, p.Name) {
			b = appendPair(b, p.Name, p.Value)
		}
	}
	return b
}

func appendPair(b []byte, name, value string) []byte {
	if len(b) > 0 {
		b = append(b, ',')
	}
	b = append(append(b, name...), `="`...)
	return append(appendEscaped(b, value, true), '"')
}

// appendEscaped escapes what the format does: backslash, newline, and in label
// values the quote.
func appendEscaped(b []byte, s string, quote bool) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\\':
			b = append(b, `\\`...)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '"' && quote:
			b = append(b, `\"`...)
		default:
			b = append(b, c)
		}
	}
	return b
}

func appendTextFloat(b []byte, f float64) []byte {
	if math.IsInf(f, 1) {
		return append(b, "+Inf"...)
	}
	return strconv.AppendFloat(b, f, 'g', -1, 64)
}
