package store

import (
	"math/rand/v2"
	"testing"

	"viperprobe.dev/viperprobe/internal/metric"
)

// A load is on and off for random times; the events of a second are where it is on.
type burstyLoad struct {
	random  *rand.Rand
	on, off float64 // mean lengths, ms
	left    float64 // ms until it changes
	busy    bool
}

// second gives the true number of events of the next second, and how many of them are in
// ten windows of 10 ms, each at random in its tenth of the second.
func (l *burstyLoad) second(perMs float64) (truth, seen float64) {
	var start int
	for ms := range 1000 {
		if ms%100 == 0 {
			start = ms + l.random.IntN(90)
		}
		if l.left--; l.left <= 0 {
			l.busy = !l.busy
			mean := l.off
			if l.busy {
				mean = l.on
			}
			l.left = l.random.ExpFloat64() * mean
		}
		if !l.busy {
			continue
		}
		truth += perMs
		if ms >= start && ms < start+10 {
			seen += perMs
		}
	}
	return truth, seen
}

// Two standard errors cover the truth of 95 % of the seconds, and of 95 % of half minutes, of
// loads in bursts, where errors by the formula for independent events would not.
func TestErrorCoversBursts(t *testing.T) {
	const ratio, repeats, seconds, perMs = 0.1, 60, 120, 200
	for name, bursts := range map[string][2]float64{"even": {1e9, 1}, "short": {2, 8}, "as long as windows": {10, 40}, "long": {200, 800}} {
		random := rand.New(rand.NewPCG(1, uint64(len(name))))
		var row, rows, half, halves, formula float64
		for range repeats {
			load := burstyLoad{random: random, on: bursts[0], off: bursts[1]}
			f := folder{q: Query{Family: &metric.Family{Kind: metric.Counter, Unit: metric.One}, Rate: true}, windows: map[int64]*window{}, shares: map[int64]float64{}, before: -1}
			var total, truth float64
			var sum window
			covers := func(s *sampled, truth, estimate float64) (twice, independent float64) {
				s.done()
				if d := 2 * s.deviation(); truth >= estimate-d && truth <= estimate+d {
					twice = 1
				}
				if d := s.variance; (truth-estimate)*(truth-estimate) <= 4*d {
					independent = 1
				}
				return twice, independent
			}
			for second := int64(0); second < seconds; second++ {
				n, seen := load.second(perMs)
				total += seen / ratio
				f.shares[second*1000] = ratio
				f.float(second*1000, total)
				w := f.windows[second*1000]
				if second < 30 || w == nil {
					continue
				}
				if second >= 90 {
					truth += n
					sum.current += seen / ratio
					sum.sampled.variance += w.sampled.variance
					sum.sampled.current += w.sampled.current
				}
				in, by := covers(&w.sampled, n, seen/ratio)
				row, rows, formula = row+in, rows+1, formula+by
			}
			in, _ := covers(&sum.sampled, truth, sum.current)
			half, halves = half+in, halves+1
		}
		t.Logf("%s: two standard errors cover %.1f %% of seconds (by the formula %.1f %%), %.1f %% of half minutes", name, 100*row/rows, 100*formula/rows, 100*half/halves)
		if row < 0.95*rows || half < 0.95*halves {
			t.Errorf("%s: two standard errors cover %.1f %% of seconds and %.1f %% of half minutes, want 95", name, 100*row/rows, 100*half/halves)
		}
	}
}
