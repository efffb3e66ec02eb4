package budget

import (
	"fmt"
	"slices"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
)

// An excess is how far a reading is over one limit.
type excess struct {
	over   float64
	of     func(FamilyUse) float64
	words  string
	cpu    bool
	series bool
}

// giveUp takes as many steps as promise to bring a reading within the limits: shares of
// events, then longer windows, then sums in place of histograms, then families, the least valuable first.
// What would save next to nothing is left alone, however little it is worth. What came
// back last and was too much (back) goes again first.
func (g *Governor) giveUp(r *Reading, now time.Time, back bool) []Step {
	then := *r // what is expected after the steps so far
	then.Families = slices.Clone(r.Families)
	begun := len(g.steps)
	for _, x := range g.excesses(r) {
		if x.cpu && back {
			for _, s := range g.tried {
				x.over -= g.expect(&then, &s, x)
				s.Time, s.Why = now, x.words
				g.steps = append(g.steps, s)
			}
			g.tried = nil
		}
		least := x.over * worthwhile
		for x.over > 0 {
			s, saves := g.next(&then, x, least)
			if saves <= 0 {
				break
			}
			g.expect(&then, &s, x)
			s.Time, s.Why = now, x.words
			g.steps = append(g.steps, s)
			x.over -= saves
		}
	}
	g.steps = slices.Concat(g.steps[:begun], tidy(g.steps[begun:]))
	if len(g.steps) == begun {
		return nil
	}
	g.settle = 1
	return slices.Clone(g.steps[begun:])
}

// expect changes a reading to what a step promises, and gives how much less of an
// excess that is.
func (g *Governor) expect(r *Reading, s *Step, x excess) (saves float64) {
	for i := range r.Families {
		u := &r.Families[i]
		if !slices.Contains(s.Families, u.Family.Name) {
			continue
		}
		before := x.of(*u)
		if s.Lever == Rate {
			u.CPU -= (u.CPU - u.Enter) * (1 - s.Rate/g.rate(u.Family.Name))
		} else {
			u.CPU, u.Enter, u.Bytes, u.Series = 0, 0, 0, 0
		}
		saves += before - x.of(*u)
	}
	return saves
}

// tidy leaves out of new steps the rates of what goes altogether, or gets a lower one.
func tidy(steps []Step) []Step {
	var out []Step
	for i, s := range steps {
		later := slices.ContainsFunc(steps[i+1:], func(other Step) bool {
			return slices.ContainsFunc(s.Families, func(f string) bool { return slices.Contains(other.Families, f) })
		})
		if s.Lever != Rate || !later {
			out = append(out, s)
		}
	}
	return out
}

func (g *Governor) excesses(r *Reading) []excess {
	var out []excess
	l := g.limits
	if cpu := r.Programs + r.Process; l.CPU > 0 && cpu > l.CPU {
		words := fmt.Sprintf("%s of one CPU (programs %s, process %s), the budget is %s", percent(cpu), percent(r.Programs), percent(r.Process), percent(l.CPU))
		out = append(out, excess{over: cpu - l.CPU, of: func(u FamilyUse) float64 { return u.CPU }, words: words, cpu: true})
	}
	if l.Bytes > 0 && r.Bytes > l.Bytes {
		words := fmt.Sprintf("%.1f MiB of kernel memory, the budget is %.1f", mebi(r.Bytes), mebi(l.Bytes))
		out = append(out, excess{over: float64(r.Bytes - l.Bytes), of: func(u FamilyUse) float64 { return float64(u.Bytes) }, words: words})
	}
	if l.Series > 0 && r.Series > l.Series {
		words := fmt.Sprintf("%d series, the budget is %d", r.Series, l.Series)
		out = append(out, excess{over: float64(r.Series - l.Series), of: func(u FamilyUse) float64 { return float64(u.Series) }, words: words, series: true})
	}
	return out
}

func mebi(n int) float64 { return float64(n) / (1 << 20) }

// next is the next step against an excess, and what it may save; nothing when there
// is none.
func (g *Governor) next(r *Reading, x excess, least float64) (Step, float64) {
	if x.cpu {
		if s, saves := g.slower(r, least); saves > 0 {
			return s, saves
		}
	}
	if stretch := g.stretch(); x.cpu {
		for _, longer := range [...]int{2, 5} {
			saves := r.Process * (1 - float64(stretch)/float64(longer)) / float64(stretch)
			if longer > stretch && saves >= least && r.Process > r.Programs {
				return Step{Lever: Interval, Stretch: longer}, saves
			}
		}
	}
	var best *FamilyUse
	form := false
	for i := range r.Families {
		u := &r.Families[i]
		if g.gone(u.Family.Name) || x.of(*u) <= 0 || x.of(*u) < least || x.cpu && !u.Family.Gated() {
			continue
		}
		sums := u.Family.Sum != "" && !x.series
		if best == nil || sums && !form || sums == form && g.rank(r, u.Family) > g.rank(r, best.Family) {
			best, form = u, sums
		}
	}
	if best == nil {
		return Step{}, 0
	}
	s := Step{Lever: Drop, Families: []string{best.Family.Name}, bytes: best.Bytes, series: best.Series}
	if form {
		s.Lever, s.Sum = Form, best.Family.Sum
	}
	return s, x.of(*best)
}

// slower is a lower rate for the least valuable family that can be sampled and costs
// enough; nothing when there is none.
func (g *Governor) slower(r *Reading, least float64) (Step, float64) {
	var best *FamilyUse
	for i := range r.Families {
		u := &r.Families[i]
		if u.Family.Unsampled() != "" || g.gone(u.Family.Name) || u.CPU-u.Enter <= 0 || (u.CPU-u.Enter)*(1-lowestRate) < least || g.rate(u.Family.Name) <= lowestRate {
			continue
		}
		if best == nil || g.rank(r, u.Family) > g.rank(r, best.Family) {
			best = u
		}
	}
	if best == nil {
		return Step{}, 0
	}
	now, next := g.rate(best.Family.Name), firstRate
	if now <= firstRate {
		next = lowestRate
	}
	return Step{Lever: Rate, Families: []string{best.Family.Name}, Rate: next}, (best.CPU - best.Enter) * (1 - next/now)
}

// rate is the share of the plan's ratio that a family is held to.
func (g *Governor) rate(family string) float64 { return rateOf(g.steps, family) }

// rateBefore is the same without the last step.
func (g *Governor) rateBefore(family string) float64 {
	return rateOf(g.steps[:len(g.steps)-1], family)
}

func rateOf(steps []Step, family string) float64 {
	rate := 1.0
	for _, s := range steps {
		if s.Lever == Rate && slices.Contains(s.Families, family) {
			rate = s.Rate
		}
	}
	return rate
}

// rank is larger the less valuable a family is.
func (g *Governor) rank(r *Reading, f *metric.Family) int {
	if i := slices.Index(g.limits.Value, f.Name); i >= 0 {
		return i
	}
	n := len(g.limits.Value) + slices.IndexFunc(r.Families, func(u FamilyUse) bool { return u.Family == f })
	if f.OnDemand {
		n += len(r.Families)
	}
	return n
}

// stretch is how many times as long as planned windows are.
func (g *Governor) stretch() int {
	n := 1
	for _, s := range g.steps {
		n = max(n, s.Stretch)
	}
	return n
}

func (g *Governor) gone(family string) bool {
	return slices.ContainsFunc(g.steps, func(s Step) bool { return s.Lever != Rate && slices.Contains(s.Families, family) })
}

// A Restraint is what the steps in force come to.
type Restraint struct {
	Stretch int                // windows are so many times as long as planned
	Off     map[string]bool    // families
	Rates   map[string]float64 // shares of the plan's ratios, by family
	Sums    map[string]string  // families that sums stand in for
	Stopped bool               // no event family at all
}

// Restraint is that of now.
func (g *Governor) Restraint() Restraint {
	r := Restraint{Stretch: g.stretch(), Off: map[string]bool{}, Rates: map[string]float64{}, Sums: map[string]string{}}
	for _, s := range g.steps {
		for _, f := range s.Families {
			if s.Lever == Rate {
				r.Rates[f] = s.Rate
				continue
			}
			if r.Off[f] = true; s.Lever == Form {
				r.Sums[f] = s.Sum
			}
		}
		r.Stopped = r.Stopped || s.Lever == Stop
	}
	return r
}
