package planted

import (
	"math"
	"math/rand/v2"

	"viperprobe.dev/viperprobe/internal/analysis"
)

var services = []string{"gateway", "cart", "catalogue", "payment", "redis", "mailer"}

// A trouble comes and fades at one service.
type trouble struct {
	families []string // that tell it, the plainest first
	at       int      // the service
	lag      int      // rows until requests are slower
	strength float64  // how strong it is now
	signal   []float64
	slow     float64 // what it adds to a request's time, delayed and smoothed
	needed   int     // rows that violate the SLO and would not without it
}

// A world is the state of a shop between two rows.
type world struct {
	r        *rand.Rand
	calls    []analysis.Call
	parent   []int     // who calls each service
	share    []float64 // requests to it for one to the gateway
	limit    float64   // of a queue
	troubles []*trouble
	wander   float64
	memory   []float64
	names    []string
	values   map[string][]float64
}

func newWorld(r *rand.Rand) *world {
	w := &world{r: r, values: map[string][]float64{}, memory: make([]float64, len(services)), limit: 2 + 2*r.Float64()}
	w.parent, w.share = []int{-1}, []float64{1}
	for s := 1; s < len(services); s++ {
		p := r.IntN(s)
		w.parent = append(w.parent, p)
		w.share = append(w.share, w.share[p]*(.5+.5*r.Float64()))
		w.calls = append(w.calls, analysis.Call{Caller: services[p], Callee: services[s]})
	}
	kinds := [][]string{{"runq_delay", "runq_latency"}, {"user_faults"}, {"block_latency"}, {"tcp_retransmits"}}
	r.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	where := r.Perm(len(services) - 1)
	for n := range 2 {
		w.troubles = append(w.troubles, &trouble{families: kinds[n], at: 1 + where[n], lag: 4 + r.IntN(5)})
	}
	return w
}

// reset is the pause between two runs.
func (w *world) reset() {
	w.wander = 0
	for _, t := range w.troubles {
		*t = trouble{families: t.families, at: t.at, lag: t.lag, needed: t.needed}
	}
}

// tick adds a row to every series and tells whether the SLO is violated in it.
func (w *world) tick(workload string, row int, at float64) bool {
	w.wander = .95*w.wander + .03*w.r.NormFloat64()
	load := max(.1, shape(workload, at, w.r)+w.wander)
	calm := 20 + 6*load + 1.5*math.Abs(w.r.NormFloat64())
	for _, t := range w.troubles {
		t.step(w, workload, load)
	}
	for s := range services {
		w.service(s, load*w.share[s], row)
	}
	violated := w.violates(calm, nil)
	for _, t := range w.troubles {
		if violated && !w.violates(calm, t) {
			t.needed++
		}
	}
	return violated
}

// violates tells whether requests are too slow or refused, as if one trouble (or nil) were not.
func (w *world) violates(latency float64, without *trouble) bool {
	refused := false
	for _, t := range w.troubles {
		if t != without {
			latency += 14 * t.slow
			refused = refused || t.refuses(w.limit)
		}
	}
	return latency > 42 || refused
}

// step moves a trouble on by one row.
func (t *trouble) step(w *world, workload string, load float64) {
	often := .010
	if workload == "neighbour" {
		often = .014
	}
	if w.r.Float64() < often {
		t.strength = .5 + w.r.Float64()
	}
	t.strength *= .945
	last := 0.0
	if n := len(t.signal); n > 0 {
		last = t.signal[n-1]
	}
	next := 0.0
	switch t.families[0] {
	case "runq_delay": // a queue with a limit, before a CPU that a neighbour takes a part of
		next = min(w.limit, max(0, .9*last+.5*max(0, load/(1-.4*min(t.strength, 1))-.95)))
	case "user_faults":
		next = .85*last + .3*t.strength
	case "block_latency":
		next = .8*last + .3*t.strength*(.5+load)
	default: // packets are lost as more are sent
		next = .7*last + .45*t.strength*(.4+load)
	}
	t.signal = append(t.signal, next)
	t.slow = .7*t.slow + .3*t.ago(t.lag)
}

// ago is the signal some rows back.
func (t *trouble) ago(rows int) float64 { return t.signal[max(0, len(t.signal)-1-rows)] }

// refuses tells whether the queue was full when those were sent whose answer is due now.
func (t *trouble) refuses(limit float64) bool {
	return t.families[0] == "runq_delay" && t.ago(t.lag) >= limit
}

// service adds one row to the series of a service.
func (w *world) service(s int, own float64, row int) {
	r := w.r
	noise := func(scale float64) float64 { return 1 + scale*r.NormFloat64() }
	add := func(family string, v float64) {
		name := services[s] + "/" + family
		if w.values[name] == nil {
			w.names = append(w.names, name)
		}
		w.values[name] = append(w.values[name], v)
	}
	now := func(family string) float64 { // how strongly that trouble is here
		for _, t := range w.troubles {
			if t.at == s && t.families[0] == family {
				return t.ago(0)
			}
		}
		return 0
	}
	w.memory[s] += .2 * r.NormFloat64()
	sent := 1e5 * own * noise(.06)
	add("requests", 100*own*noise(.03))
	add("cpu_usage", own/2*noise(.05))
	add("memory_working_set", 500+w.memory[s]+.005*float64(row))
	add("tcp_sent_bytes", sent)
	add("tcp_received_bytes", sent/7+40)
	add("context_switches", 3000*own*noise(.04))
	add("threads", 8)
	add("temperature", 40+5*math.Sin(2*math.Pi*float64(row)/1500)+.5*r.NormFloat64()+own)
	wait := .02*own*noise(.3) + .01*math.Abs(r.NormFloat64()) + .2*now("runq_delay")*noise(.08)
	add("runq_delay", wait)
	add("runq_latency", 3*wait+1)
	add("user_faults", 50*own*noise(.2)+20*r.ExpFloat64()+300*now("user_faults")*noise(.08))
	add("block_latency", 2*math.Exp(.3*r.NormFloat64())+6*now("block_latency")*noise(.1))
	add("tcp_retransmits", math.Floor(2*r.ExpFloat64())+math.Floor(12*now("tcp_retransmits")*noise(.2)))
	add("offcpu_time", (.3+w.below(s))*own*noise(.1))
	if s == len(services)-1 && row%7 < 2 {
		w.values[services[s]+"/temperature"][row] = math.NaN()
	}
}

// below is what a service waits for: the troubles of those that it calls, three rows late.
func (w *world) below(s int) (wait float64) {
	for _, t := range w.troubles {
		for up := w.parent[t.at]; up >= 0; up = w.parent[up] {
			if up == s {
				wait += .6 * t.ago(3)
			}
		}
	}
	return wait
}

// shape is the load at a point of a run (0 to 1), of the capacity.
func shape(workload string, at float64, r *rand.Rand) float64 {
	switch workload {
	case "step":
		return .5 + .15*math.Floor(at*3)
	case "ramp":
		return .45 + .45*at
	case "diurnal":
		return .65 + .25*math.Sin(3*math.Pi*at)
	case "bursty":
		return .55 + .5*math.Pow(math.Sin(at*37), 8) + .02*r.NormFloat64()
	case "neighbour":
		return .7
	}
	return .65
}
