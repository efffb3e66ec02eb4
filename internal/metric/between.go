package metric

// Bounds of what a Between looks back on, in samples, and what it says nothing without.
const (
	mostDifferences  = 60
	leastDifferences = 4
)

// A Between estimates how far estimates of one series are from the truth by how far they
// are from each other: half the mean square of the differences of neighbours (von Neumann
// et al. 1941; Wolter, Introduction to Variance Estimation, on systematic samples). What
// a load really does from one sample to the next is in it, so that it says too much rather
// than too little. Its zero value has seen nothing; it is not safe for concurrent use.
type Between struct {
	rate    float64 // of the sample before, a second
	known   bool
	squares []float64 // of the last differences of rates, a ring
	next    int
}

// Add takes in an estimate of n events in some seconds, of which some were not looked at,
// and gives its variance; 0 while nothing can be said.
func (b *Between) Add(n, seconds float64) float64 {
	rate := n / seconds
	if b.known {
		d := (rate - b.rate) * (rate - b.rate)
		if len(b.squares) < mostDifferences {
			b.squares = append(b.squares, d)
		} else {
			b.squares[b.next] = d
			b.next = (b.next + 1) % mostDifferences
		}
	}
	b.rate, b.known = rate, true
	m := float64(len(b.squares))
	if m < leastDifferences {
		return 0
	}
	sum := 0.0
	for _, d := range b.squares {
		sum += d
	}
	// Few differences know their mean badly: two deviations are to be 95 % of the time.
	return sum / (2 * m) * seconds * seconds * (1 + 4/m)
}

// Forget ends a run of samples of which some events were not looked at.
func (b *Between) Forget() { *b = Between{squares: b.squares[:0]} }
