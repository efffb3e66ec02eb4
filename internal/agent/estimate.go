package agent

import "viperprobe.dev/viperprobe/internal/metric"

// An estimate is what a series will report next. Each event that was looked at
// stands for 1/ratio of them, under the ratio that was in force when it was counted;
// what is less than one goes on to the next window, so that nothing is lost in sum.
type estimate struct {
	value         uint64
	hist          metric.Hist
	rests         []float64 // of the value; or of each bucket, and of the sum
	looked, stood float64   // events at which was looked, and those that they stand for
	ratio         float64   // in force last; 0: none yet
	mixed         bool      // another was in force before it
}

// take adds what the source has counted since the last look, under one ratio.
func (s *series) take(r *metric.Reading, ratio float64) {
	x := s.extra()
	e := &x.next
	e.mixed = e.mixed || e.ratio != 0 && e.ratio != ratio
	e.ratio = ratio
	if r.Family.Kind == metric.Counter {
		n := s.increase(r)
		e.value += e.scale(0, 1, n, ratio)
		e.stand(n, ratio)
		return
	}
	window := r.Hist.Sub(&x.hist)
	if ratio != 1 && !x.scaled {
		x.scaled, x.sum = true, x.hist.Sub(&x.base)
		x.sum.Add(&x.kept)
	}
	x.hist = *r.Hist
	e.stand(window.Count(), ratio)
	e.scaleHist(&window, ratio)
	if x.scaled {
		x.sum.Add(&window)
	}
	if e.hist.Sum == 0 && len(e.hist.Counts) == 0 {
		e.hist = window
	} else {
		e.hist.Add(&window)
	}
}

func (e *estimate) stand(n uint64, ratio float64) {
	e.looked += float64(n)
	e.stood += float64(n) / ratio
}

// scale is what n stand for, in whole numbers; at is where of the rests its rest is.
func (e *estimate) scale(at, rests int, n uint64, ratio float64) uint64 {
	if ratio == 1 {
		return n
	}
	if e.rests == nil {
		e.rests = make([]float64, rests)
	}
	exact := float64(n)/ratio + e.rests[at]
	whole := uint64(exact)
	e.rests[at] = exact - float64(whole)
	return whole
}

func (e *estimate) scaleHist(h *metric.Hist, ratio float64) {
	if ratio == 1 {
		return
	}
	for i, n := range h.Counts {
		h.Counts[i] = e.scale(h.First+i, metric.Buckets+1, n, ratio)
	}
	h.Sum = e.scale(metric.Buckets, metric.Buckets+1, h.Sum, ratio)
}

// share is the ratio of everything that was taken.
func (e *estimate) share() float64 {
	if e.mixed && e.stood > 0 {
		return e.looked / e.stood
	}
	return e.ratio
}

// report gives the estimate, and goes on with the next.
func (e *estimate) report() estimate {
	done := *e
	*e = estimate{rests: e.rests}
	return done
}
