package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// critical makes the entry of one series: the threshold on its mean over the task's window that alone separates the rows best.
func (s *study) critical(series int, why string) Critical {
	x := s.rec.Series[series]
	window, _ := s.opt.Task.windows()
	c := Critical{Series: series, Name: x.Name, Family: x.family(), Statistic: cmp.Or(x.Statistic, "value"), Label: x.Label,
		Container: x.Container, Service: x.service(), Pattern: x.Pattern, Window: max(window, s.rec.Step), Threshold: math.NaN(), Above: true, Why: why}
	k := s.position(series)
	if s.labels == nil || k < 0 {
		return c
	}
	level := make([]float64, len(s.rows))
	for i, r := range s.rows {
		level[i] = s.features[k].level[r.at]
	}
	y := outcome(s.rows)
	rho, err := relation(level, y)
	if err != nil {
		return c
	}
	c.Above = rho >= 0
	sorted := slices.Sorted(slices.Values(level))
	all, _ := precisionRecall(level, y, sorted[0], true)
	best := 1.02 * fBeta(all, 1) // a threshold that marks nearly every row tells nothing
	for q := 0.01; q < 1; q += 0.02 {
		at := sorted[int(q*float64(len(sorted)-1))]
		p, r := precisionRecall(level, y, at, c.Above)
		if f := fBeta(p, r); f > best {
			best = f
			c.Threshold, c.Precision, c.Recall = at, p, r
		}
	}
	return c
}

// relation is the rank correlation of a series with the label.
func relation(x []float64, y []bool) (float64, error) {
	v, err := indicator(y)
	if err != nil {
		return 0, err
	}
	return Spearman(x, v)
}

// because words the evidence of a threshold.
func (c Critical) because() string {
	if math.IsNaN(c.Threshold) {
		return ""
	}
	side := "above"
	if !c.Above {
		side = "below"
	}
	return fmt.Sprintf(" A mean over %g s %s %.4g foretells %.0f %% of the rows with trouble, and %.0f %% of the rows it marks are such.",
		c.Window, side, c.Threshold, 100*c.Recall, 100*c.Precision)
}
