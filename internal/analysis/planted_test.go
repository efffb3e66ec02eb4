package analysis

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// A planted recording has causes that are known: what any algorithm should find.
type planted struct {
	Recording
	costs  map[string]float64
	causes [][]string // names of the series that tell each cause
}

const (
	plantedStep = 5.0
	plantedRows = 240 // 20 minutes a run
)

// plant makes a shop of six services under six shapes of load. Requests queue at one service whose capacity a hidden
// neighbour takes away now and then, and another runs out of memory and faults; each makes requests slow some time
// later, and together they break the SLO. Around the causes stand what makes selection hard: series that follow the
// load, which is high when queues are (confounders), copies, lagged copies in other services, a diurnal wave, rising
// memory, noise, constants and gaps.
func plant(seed uint64) planted {
	r := rand.New(rand.NewPCG(seed, 42))
	services := []string{"gateway", "cart", "catalogue", "payment", "redis", "mailer"}
	p := planted{Recording: Recording{Step: plantedStep}, costs: map[string]float64{
		"requests": .1, "cpu_usage": .05, "memory_working_set": .05, "tcp_sent_bytes": .5, "context_switches": .3, "threads": .05,
		"runq_delay": .6, "runq_latency": 2, "user_faults": .4, "tcp_retransmits": .2, "disk_io": .3, "temperature": .1}}
	for _, c := range [][2]string{{"gateway", "cart"}, {"gateway", "catalogue"}, {"cart", "redis"}, {"catalogue", "redis"}, {"cart", "payment"}, {"payment", "mailer"}} {
		p.Calls = append(p.Calls, Call{c[0], c[1]})
	}
	queueAt, faultAt := 1+r.IntN(5), r.IntN(5)
	if faultAt >= queueAt {
		faultAt++
	}
	values := map[string][]float64{}
	var names []string
	add := func(service, family string, v float64) {
		name := service + "/" + family
		if values[name] == nil {
			names = append(names, name)
		}
		values[name] = append(values[name], v)
	}
	memory := make([]float64, len(services))
	for run, workload := range []string{"steady", "step", "ramp", "diurnal", "bursty", "neighbour"} {
		p.Runs = append(p.Runs, Section{Name: fmt.Sprint("run", run), Workload: workload, From: run * plantedRows, To: (run + 1) * plantedRows})
		var queue, faults, slow1, slow2, wander, steal, leak float64
		history := make([][]float64, 2)
		for t := range plantedRows {
			wander = .95*wander + .03*r.NormFloat64()
			load := max(.1, loadShape(workload, float64(t)/plantedRows, r)+wander)
			if r.Float64() < .012 { // the neighbour comes, and fades
				steal = .25 + .45*r.Float64()
			}
			steal *= .95
			if r.Float64() < .01 { // a leak fills memory, and is collected
				leak = .5 + 1.2*r.Float64()
			}
			leak *= .94
			queue = max(0, .9*queue+.5*max(0, load/(1-steal)-.95))
			faults = .85*faults + .3*leak
			// What is slow now queued a few rows ago.
			history[0], history[1] = append(history[0], queue), append(history[1], faults)
			slow1 = .7*slow1 + .3*history[0][max(0, t-6)]
			slow2 = .7*slow2 + .3*history[1][max(0, t-6)]
			latency := 20 + 6*load + 14*slow1 + 14*slow2 + 1.5*math.Abs(r.NormFloat64())
			p.SLO = append(p.SLO, latency > 42)
			for s, name := range services {
				noise := func(scale float64) float64 { return 1 + scale*r.NormFloat64() }
				own := load * float64(6-s) / 4
				memory[s] += .2 * r.NormFloat64()
				add(name, "requests", 100*own*noise(.03))
				add(name, "cpu_usage", own/2*noise(.05))
				add(name, "memory_working_set", 500+memory[s]+.5*float64(run*plantedRows+t)/100)
				add(name, "tcp_sent_bytes", 1e5*own*noise(.06))
				add(name, "context_switches", 3000*own*noise(.04))
				add(name, "threads", 8)
				add(name, "tcp_retransmits", math.Floor(2*r.ExpFloat64()))
				add(name, "disk_io", math.Exp(r.NormFloat64()))
				wait := .02*own*noise(.3) + .01*math.Abs(r.NormFloat64())
				if s == queueAt {
					wait += .2 * queue * noise(.08)
				}
				add(name, "runq_delay", wait)
				add(name, "runq_latency", 3*wait+1) // the same, in another unit and at more cost
				flt := 50*own*noise(.2) + 20*r.ExpFloat64()
				if s == faultAt {
					flt += 300 * faults * noise(.08)
				}
				add(name, "user_faults", flt)
				day := math.Sin(2 * math.Pi * float64(run*plantedRows+t) / 1500)
				add(name, "temperature", 40+5*day+.5*r.NormFloat64()+load)
			}
		}
	}
	for _, name := range names {
		service, family, _ := strings.Cut(name, "/")
		x := values[name]
		if family == "disk_io" && service == "mailer" {
			for i := range x {
				if i%7 < 2 {
					x[i] = math.NaN()
				}
			}
		}
		p.Series = append(p.Series, Series{Name: name, Family: family, Container: service + "-0", Service: service, Values: x})
	}
	p.causes = [][]string{
		{services[queueAt] + "/runq_delay", services[queueAt] + "/runq_latency"},
		{services[faultAt] + "/user_faults"},
	}
	return p
}

func loadShape(workload string, at float64, r *rand.Rand) float64 {
	switch workload {
	case "step":
		return .5 + .25*math.Floor(at*3)*.6
	case "ramp":
		return .45 + .45*at
	case "diurnal":
		return .65 + .25*math.Sin(2*math.Pi*at*1.5)
	case "bursty":
		return .55 + .5*math.Pow(math.Sin(at*37), 8) + .02*r.NormFloat64()
	case "neighbour":
		return .7
	}
	return .65
}

// marks are what one algorithm got on one recording.
type marks struct {
	recall, precision                       float64 // of planted causes
	size, cost, ap, episodes, alarms, ahead float64
}

func mark(p planted, res Result) (m marks) {
	found := map[int]bool{}
	right := 0
	for _, c := range res.Critical {
		for n, names := range p.causes {
			if slices.Contains(names, c.Name) {
				found[n] = true
				right++
			}
		}
	}
	m.recall = float64(len(found)) / float64(len(p.causes))
	m.size, m.cost = float64(len(res.Critical)), res.Cost
	m.precision = float64(right) / m.size
	if s := res.Score; s != nil {
		m.ap, m.episodes, m.alarms, m.ahead = s.AP, s.Recall, s.Precision, s.MedianLead
	}
	return m
}

// compareOnPlanted gives the mean marks of every algorithm over seeds.
func compareOnPlanted(tb testing.TB, seeds uint64, o Options) map[string]marks {
	total := map[string]marks{}
	for seed := range seeds {
		p := plant(seed)
		o.Costs, o.Seed = p.costs, seed
		results, errs := Compare(p.Recording, o)
		for i, a := range Algorithms() {
			if errs[i] != nil {
				tb.Fatalf("seed %d, %s: %v", seed, a.Name, errs[i])
			}
			m, t := mark(p, results[i]), total[a.Name]
			n := float64(seeds)
			total[a.Name] = marks{t.recall + m.recall/n, t.precision + m.precision/n, t.size + m.size/n, t.cost + m.cost/n,
				t.ap + m.ap/n, t.episodes + m.episodes/n, t.alarms + m.alarms/n, t.ahead + m.ahead/n}
		}
	}
	tb.Logf("%d planted recordings; held out: every workload in turn", seeds)
	tb.Logf("%-12s %6s %6s %6s %6s | %6s %6s %6s %6s", "algorithm", "causes", "right", "series", "cost", "AP", "recall", "prec.", "lead s")
	for _, a := range Algorithms() {
		m := total[a.Name]
		tb.Logf("%-12s %6.2f %6.2f %6.1f %6.2f | %6.3f %6.2f %6.2f %6.0f", a.Name, m.recall, m.precision, m.size, m.cost, m.ap, m.episodes, m.alarms, m.ahead)
	}
	return total
}

// quick options keep the tests short; the benchmark takes the defaults.
func quick() Options { return Options{MostK: 3, Starts: 1, Candidates: 8, Folds: 2, Bootstraps: -1} }

// The order of algorithms, loosely, on two recordings: BenchmarkPlanted prints the whole table.
func TestPlanted(t *testing.T) {
	got := compareOnPlanted(t, 2, quick())
	ours := got["supervised"]
	for _, name := range []string{"kshape", "sieve", "cpu-memory", "rps"} {
		if other := got[name]; ours.recall < other.recall || ours.precision < other.precision || ours.ap < other.ap {
			t.Errorf("supervised %+v is behind %s %+v", ours, name, other)
		}
	}
	if all := got["all"]; ours.cost > all.cost/3 {
		t.Errorf("supervised costs %.2f, everything %.2f: want at most a third", ours.cost, all.cost)
	}
}

// BenchmarkPlanted prints the table of docs: go test -run '^$' -bench Planted -benchtime 1x -v ./internal/analysis
func BenchmarkPlanted(b *testing.B) {
	for b.Loop() {
		compareOnPlanted(b, 50, Options{})
	}
}
