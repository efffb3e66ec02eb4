package analysis

import (
	"fmt"
	"slices"
)

const (
	grangerLag    = 1    // rows: Sieve's code computes five lags and uses the first
	falseShare    = 0.05 // of the edges that may be found by chance
	stationarity  = 1    // lags of the unit root test
	leastTestRows = 20
)

// pickSieve is Sieve's reduction with three corrections: arrows point from cause to effect (its code passes the columns
// to statsmodels the other way round), all tests of a recording are corrected for their number, and lags do not reach
// across runs.
func pickSieve(s *study) (selection, error) {
	if len(s.rec.Calls) == 0 {
		return selection{}, fmt.Errorf("sieve needs a call graph: say which service calls which")
	}
	out, err := pickKShape(s)
	if err != nil {
		return out, err
	}
	if out.edges, err = s.drives(out.series); err != nil {
		return out, err
	}
	count := map[int]int{}
	for _, e := range out.edges {
		count[e.Cause]++
		count[e.Effect]++
	}
	if len(count) == 0 {
		out.notes = append(out.notes, "Sieve found no one-way Granger relation between services that call each other, so that there is no guiding metric: its representatives are listed.")
		return out, nil
	}
	for _, i := range out.series {
		if out.guiding < 0 || count[i] > count[out.guiding] {
			out.guiding = i
		}
	}
	guiding := out.guiding
	why := fmt.Sprintf("It occurs in %d of %d Granger relations between services, more than any other: Sieve's guiding metric.", count[guiding], len(out.edges))
	out.series, out.why = []int{guiding}, map[int]string{guiding: why}
	return out, nil
}

// drives tests every pair of representatives of services that call each other, in both directions, and keeps the
// directions that are discoveries where the other one is not.
func (s *study) drives(series []int) ([]Drives, error) {
	var tests []Drives
	for a, i := range series {
		for _, j := range series[a+1:] {
			if s.talk(s.rec.Series[i].service(), s.rec.Series[j].service()) {
				tests = append(tests, s.drive(i, j), s.drive(j, i))
			}
		}
	}
	steady := map[int]bool{}
	for _, i := range series {
		steady[i] = s.stationary(i)
	}
	parallel(cores(s.opt.Workers), len(tests), func(_, n int) {
		t := &tests[n]
		both := !steady[t.Cause] || !steady[t.Effect]
		c, err := grangerIn(s.pieces(t.Cause, both), s.pieces(t.Effect, both), grangerLag)
		t.F, t.P = c.F, c.P
		if err != nil {
			t.F, t.P = 0, 1 // copies of each other, or too short: nothing can be said
		}
	})
	p := make([]float64, len(tests))
	for n, t := range tests {
		p[n] = t.P
	}
	var out []Drives
	q := FalseDiscovery(p)
	for n := range tests {
		tests[n].Q = q[n]
		if q[n] <= falseShare && q[n^1] > falseShare {
			out = append(out, tests[n])
		}
	}
	return out, nil
}

func (s *study) drive(cause, effect int) Drives {
	return Drives{Cause: cause, Effect: effect, CauseService: s.rec.Series[cause].service(), EffectService: s.rec.Series[effect].service()}
}

func (s *study) talk(a, b string) bool {
	return a != b && slices.ContainsFunc(s.rec.Calls, func(c Call) bool {
		return c.Caller == a && c.Callee == b || c.Caller == b && c.Callee == a
	})
}

// stationary tests the longest run; what cannot be tested is differenced.
func (s *study) stationary(series int) bool {
	var longest []float64
	for _, x := range s.pieces(series, false) {
		if len(x) > len(longest) {
			longest = x
		}
	}
	u, err := ADF(longest, false, stationarity)
	return err == nil && u.Stationary()
}

// pieces are a series' runs, as they are or differenced. Both series of a test are treated alike, so that their rows
// stay side by side.
func (s *study) pieces(series int, difference bool) (out [][]float64) {
	for _, run := range s.sections(s.train) {
		x := s.prepared[series][run.From:run.To]
		if difference {
			x = Difference(x)
		}
		if len(x) >= leastTestRows {
			out = append(out, x)
		}
	}
	return out
}
