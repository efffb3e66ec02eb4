package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"viperprobe.dev/viperprobe/internal/analysis"
)

const fixtureStep, fixtureRows = 5.0, 240

// units are those of the fixture's families.
var units = map[string]string{
	"requests": "1/s", "cpu_usage": "s/s", "memory_working_set": "By", "tcp_sent_bytes": "By/s", "context_switches": "1/s", "threads": "1",
	"tcp_retransmits": "1/s", "runq_delay": "s/s", "runq_latency": "s", "user_faults": "1/s", "block_latency": "s",
}

// shop is a recording of six services under six shapes of load: requests queue where a neighbour takes the CPU away
// (redis), and memory runs short in cart; both make requests late some 30 s later.
func shop(seed uint64) analysis.Recording {
	r := rand.New(rand.NewPCG(seed, 3))
	rec := analysis.Recording{Step: fixtureStep, Calls: []analysis.Call{{Caller: "gateway", Callee: "cart"}, {Caller: "gateway", Callee: "catalogue"},
		{Caller: "cart", Callee: "redis"}, {Caller: "catalogue", Callee: "redis"}, {Caller: "cart", Callee: "payment"}, {Caller: "payment", Callee: "mailer"}}}
	services := []string{"gateway", "cart", "catalogue", "payment", "redis", "mailer"}
	values := map[string][]float64{}
	var names []string
	add := func(service, family string, v float64) {
		name := service + "/" + family
		if values[name] == nil {
			names = append(names, name)
		}
		values[name] = append(values[name], v)
	}
	for run, workload := range []string{"steady", "step", "ramp", "diurnal", "bursty", "neighbour"} {
		rec.Runs = append(rec.Runs, analysis.Section{Name: fmt.Sprint("run ", run+1), Workload: workload, From: run * fixtureRows, To: (run + 1) * fixtureRows})
		var queue, faults, late, steal, leak, wander float64
		var past []float64
		for t := range fixtureRows {
			at := float64(t) / fixtureRows
			wander = .95*wander + .03*r.NormFloat64()
			load := max(.1, map[string]float64{"step": .5 + .15*math.Floor(3*at), "ramp": .45 + .45*at, "diurnal": .65 + .25*math.Sin(9*at),
				"bursty": .55 + .5*math.Pow(math.Sin(37*at), 8)}[workload]+wander)
			if workload == "steady" || workload == "neighbour" {
				load = .66 + wander
			}
			if r.Float64() < .015 {
				steal = .25 + .45*r.Float64()
			}
			if r.Float64() < .012 {
				leak = .5 + 1.2*r.Float64()
			}
			steal, leak = .95*steal, .94*leak
			queue, faults = max(0, .9*queue+.5*max(0, load/(1-steal)-.95)), .85*faults+.3*leak
			past = append(past, queue+faults)
			late = .7*late + .3*past[max(0, t-6)]
			rec.SLO = append(rec.SLO, 20+6*load+14*late+1.5*math.Abs(r.NormFloat64()) > 42)
			for s, name := range services {
				noise := func(scale float64) float64 { return 1 + scale*r.NormFloat64() }
				own := load * float64(6-s) / 4
				add(name, "requests", 100*own*noise(.03))
				add(name, "cpu_usage", own/2*noise(.05))
				add(name, "memory_working_set", 5e8*(1+.002*r.NormFloat64()+.1*float64(run*fixtureRows+t)/1000))
				add(name, "tcp_sent_bytes", 1e5*own*noise(.06))
				add(name, "context_switches", 3000*own*noise(.04))
				add(name, "threads", 8)
				add(name, "tcp_retransmits", math.Floor(2*r.ExpFloat64()))
				add(name, "block_latency", .002*math.Exp(r.NormFloat64()))
				wait, flt := .02*own*noise(.3), 50*own*noise(.2)
				if name == "redis" {
					wait += .2 * queue * noise(.08)
				}
				if name == "cart" {
					flt += 300 * faults * noise(.08)
				}
				add(name, "runq_delay", wait)
				add(name, "runq_latency", .012*wait+.0004) // the same, at more cost
				add(name, "user_faults", flt)
			}
		}
	}
	for _, name := range names {
		service, family, _ := strings.Cut(name, "/")
		x := values[name]
		for i := range x {
			if name == "mailer/block_latency" && i%7 < 2 {
				x[i] = math.NaN()
			}
		}
		rec.Series = append(rec.Series, analysis.Series{Name: name, Family: family, Statistic: "value", Container: service + "-0", Service: service, Values: x})
	}
	return rec
}

// shopReport is the shop with what every algorithm made of it.
func shopReport() Input {
	in := Input{Title: "shop, six runs of 20 minutes", Command: "viperprobe analyze shop.csv --algorithm all --html report.html", Recording: shop(1),
		From: time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC), To: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC),
		Unit: func(s analysis.Series) string { return units[s.Family] }, CostUnit: "% of a core",
		Options: analysis.Options{Seed: 1, MostK: 5, Candidates: 10, Bootstraps: 20, Costs: map[string]float64{"requests": .1, "cpu_usage": .05, "memory_working_set": .05, "tcp_sent_bytes": .5,
			"context_switches": .3, "threads": .05, "runq_delay": .6, "runq_latency": 2, "user_faults": .4, "tcp_retransmits": .2, "block_latency": .9}}}
	in.compare()
	return in
}

// shapesAlone is a recording in which nothing can be learnt or judged.
func shapesAlone() Input {
	in := Input{Title: "shapes", Recording: shop(2), Options: analysis.Options{K: 2}}
	in.Recording.SLO, in.Recording.Runs, in.Recording.Calls = nil, nil, nil
	in.compare("kshape", "supervised")
	return in
}

// compare runs every algorithm on the input's recording.
func (in *Input) compare(algorithms ...string) {
	if len(algorithms) == 0 {
		for _, a := range analysis.Algorithms() {
			algorithms = append(algorithms, a.Name)
		}
	}
	results, errs := analysis.Compare(in.Recording, in.Options, algorithms...)
	for i, err := range errs {
		if err != nil {
			in.Failures = append(in.Failures, Failure{algorithms[i], err.Error()})
			continue
		}
		in.Results = append(in.Results, results[i])
	}
}

// fixture computes the shop's results once for all tests.
var fixture = sync.OnceValue(shopReport)
