package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// A Recording is what an experiment, a store or a file gives: series on one grid, the SLO, and how rows fall into
// runs. Run reads it and does not modify it.
type Recording struct {
	Step   float64 // seconds between rows; 0 means 1
	Series []Series
	SLO    []bool // violated, per row; nil if unknown
	Runs   []Section
	Calls  []Call
}

// A Series is one statistic of one family of one container. NaN is a missing value.
type Series struct {
	Name      string // unique in the recording
	Family    string // as the catalogue calls it, or the source; "" means Name
	Statistic string // rate, p99, ...; "" means the value
	Label     string // which of the family's series: read, or code="500",...; "" if it has one only
	Container string // whose shapes are clustered together; "" is a container of its own
	Service   string // node of the call graph; "" means Container
	Pattern   string // kind of software, if known
	Cost      string // key of Options.Costs: what must be switched on to have it; "" means Family
	Values    []float64
}

// A Section is one run of an experiment: rows From (included) to To (excluded). Rows before and after it are not its
// past and future. Workload is the shape of its load; runs of one workload are held out together.
type Section struct {
	Name, Workload string
	From, To       int
}

// A Call says that a service calls another: the undirected pair is what Granger tests look at.
type Call struct{ Caller, Callee string }

// family, service and cost key with their defaults.
func (s Series) family() string  { return cmp.Or(s.Family, s.Name) }
func (s Series) service() string { return cmp.Or(s.Service, s.Container) }
func (s Series) cost() string    { return cmp.Or(s.Cost, s.Family, s.Name) }

// payment is what a series is paid as: series of one container with the same key cost once.
type payment struct{ container, key string }

func (s Series) payment() payment { return payment{s.Container, s.cost()} }

// check returns the recording with defaults filled in.
func (r Recording) check() (Recording, error) {
	if len(r.Series) == 0 {
		return r, ErrNoSeries
	}
	if r.Step == 0 {
		r.Step = 1
	}
	if !(r.Step > 0) || math.IsInf(r.Step, 0) {
		return r, fmt.Errorf("step of %g s: it must be positive", r.Step)
	}
	n := len(r.Series[0].Values)
	names := map[string]bool{}
	for _, s := range r.Series {
		if len(s.Values) != n {
			return r, fmt.Errorf("series %q: %w: %d rows, %q has %d: resample both to one grid", s.Name, ErrLength, len(s.Values), r.Series[0].Name, n)
		}
		if names[s.Name] {
			return r, fmt.Errorf("series %q occurs twice: names must differ", s.Name)
		}
		names[s.Name] = true
		if i := slices.IndexFunc(s.Values, func(v float64) bool { return math.IsInf(v, 0) }); i >= 0 {
			return r, fmt.Errorf("series %q, row %d: %w: leave out what was not measured", s.Name, i, ErrNaN)
		}
	}
	if n < leastRows {
		return r, fmt.Errorf("%w: %d rows, need %d", ErrTooShort, n, leastRows)
	}
	if r.SLO != nil && len(r.SLO) != n {
		return r, fmt.Errorf("slo: %w: %d rows, the series have %d", ErrLength, len(r.SLO), n)
	}
	if len(r.Runs) == 0 {
		r.Runs = []Section{{Name: "all", To: n}}
	}
	return r, r.checkRuns(n)
}

// leastRows is what clustering and tests need at the very least to mean anything.
const leastRows = 20

func (r Recording) checkRuns(n int) error {
	at := 0
	names := map[string]bool{}
	for _, s := range r.Runs {
		if s.From < at || s.To <= s.From || s.To > n {
			return fmt.Errorf("run %q: rows %d to %d of %d: runs must be in order, not empty, and not overlap", s.Name, s.From, s.To, n)
		}
		if names[s.Name] {
			return fmt.Errorf("run %q occurs twice: names must differ", s.Name)
		}
		names[s.Name] = true
		at = s.To
	}
	return nil
}
