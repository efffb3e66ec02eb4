package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/test/rig"
)

// Connections of a load, and its levels: shares of what the same load reaches without
// waiting (closed loop, everybody asks again at once), which is level 0.
const loadConns = 32

var levels = []float64{0.3, 0.6, 0.9, 0}

// A cell of the tables: a server under a level of load.
type cell struct {
	server string
	level  float64
}

func (c cell) String() string {
	if c.level == 0 {
		return c.server + ", closed loop"
	}
	return fmt.Sprintf("%s, %.0f %%", c.server, 100*c.level)
}

// A met is what a load met with in one run, with what it cost.
type met struct {
	outcome
	server  float64 // CPU seconds of the server's cgroup
	busy    float64 // CPU seconds of the machine
	subject float64 // CPU seconds of the subject
}

// rates is the load of each server at level 1, requests a second.
type rates map[string]float64

// loads measures what users of real software meet with beside each subject: latency,
// throughput and CPU, at several levels of load.
func (b *bench) loads() (err error) {
	dir, err := os.MkdirTemp("", "viperprobe-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := b.startServers(dir, b.servers)
	defer func() { err = errors.Join(err, s.end()) }()
	if err != nil {
		return err
	}
	full, err := b.capacity(s)
	if err != nil {
		return err
	}
	subjects, all := b.loadSubjects(), map[string]map[cell][]met{}
	if err := inTurn(subjects, b.rounds, func(x subject, r *running) error {
		if all[x.name] == nil {
			all[x.name] = map[cell][]met{}
		}
		for _, v := range s.servers {
			for _, level := range levels {
				m, err := b.meet(s, v, level*full[v.name], r)
				if err != nil {
					return err
				}
				c := cell{v.name, level}
				all[x.name][c] = append(all[x.name][c], m)
			}
		}
		return nil
	}); err != nil {
		return err
	}
	b.printLoads(s, full, subjects, all)
	return nil
}

// loadSubjects is who is compared: ours from nothing to everything, and others that
// answer two of its questions.
func (b *bench) loadSubjects() []subject {
	mine := func(families string) subject {
		return subject{name: "ViperProbe, " + families, command: []string{b.agent, "run", "--families", families}}
	}
	all := []subject{{name: "nothing"}, mine("file,snapshot"), mine("default"), mine("all"), mine("runq_latency,request_latency")}
	if b.classes {
		for _, f := range catalogue.Families() {
			if !slices.ContainsFunc(all, func(s subject) bool { return s.name == mine(string(f.Class)).name }) {
				all = append(all, mine(string(f.Class)))
			}
		}
	}
	all = append(all, subject{name: "libbpf-tools runqlat -P", command: []string{"runqlat", "-P"}},
		subject{name: "bpftrace, run queue waits per cgroup", command: bpftrace})
	return append(all, b.peers...)
}

// capacity finds, without any subject, what each load reaches.
func (b *bench) capacity(s *software) (rates, error) {
	full := rates{}
	for _, v := range s.servers {
		var runs []float64
		for range 3 {
			o, err := s.loadWith(order{Protocol: v.protocol, Port: v.port, Conns: loadConns, Seconds: b.load})
			if err != nil {
				return nil, err
			}
			runs = append(runs, float64(o.Answers)/o.Seconds)
		}
		full[v.name] = rig.Median(runs)
	}
	return full, nil
}

// meet runs one load.
func (b *bench) meet(s *software, v *server, rate float64, r *running) (m met, err error) {
	read := func() (at [3]float64, err error) {
		if at[0], err = v.group.CPU(); err != nil {
			return at, err
		}
		if at[1], err = busy(); err != nil || r == nil {
			return at, err
		}
		own, err := r.cpu()
		at[2] = own.Seconds()
		return at, err
	}
	before, err := read()
	if err != nil {
		return m, err
	}
	if m.outcome, err = s.loadWith(order{Protocol: v.protocol, Port: v.port, Conns: loadConns, Rate: rate, Seconds: b.load}); err != nil {
		return m, err
	}
	after, err := read()
	m.server, m.busy, m.subject = after[0]-before[0], after[1]-before[1], after[2]-before[2]
	return m, err
}

// busy is the CPU time so far of all CPUs that were not idle, in seconds.
func busy() (float64, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	total := 0.0
	for i, f := range strings.Fields(line)[1:] {
		n, err := strconv.ParseFloat(f, 64)
		if err != nil {
			return 0, fmt.Errorf("read /proc/stat: %w", err)
		}
		if i != 3 && i != 4 && i < 7 { // idle, iowait; steal and guests
			total += n / 100
		}
	}
	return total, nil
}

// of collects one figure of all runs.
func of(runs []met, f func(met) float64) []float64 {
	out := make([]float64, 0, len(runs))
	for _, m := range runs {
		out = append(out, f(m))
	}
	return out
}

// printLoads prints a table of latencies for each server and level, and one of CPU.
func (b *bench) printLoads(s *software, full rates, subjects []subject, all map[string]map[cell][]met) {
	for _, v := range s.servers {
		for _, level := range levels {
			c := cell{v.name, level}
			fmt.Printf("\n## %s (%.0f requests/s are its capacity, %d connections, %.1f s a run, %d rounds)\n\n", c, full[v.name], loadConns, b.load, b.rounds)
			fmt.Printf("| subject | requests/s | p50, us | against nothing | p99, us | against nothing | p99.9, us | server's CPU us/request | machine's CPU, %% | of it the subject's process |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
			for _, x := range subjects {
				printMet(x.name, all[x.name][c], all["nothing"][c])
			}
		}
	}
}

func printMet(name string, runs, nothing []met) {
	us := func(q string) func(met) float64 { return func(m met) float64 { return 1e6 * m.Quantile[q] } }
	rate := func(m met) float64 { return float64(m.Answers) / m.Seconds }
	perRequest := func(m met) float64 { return 1e6 * m.server / float64(max(1, m.Answers)) }
	machine := func(m met) float64 { return 100 * m.busy / m.Seconds / float64(runtime.NumCPU()) }
	own := func(m met) float64 { return 100 * m.subject / m.Seconds / float64(runtime.NumCPU()) }
	fmt.Printf("| %s | %.0f | %s | %s | %s | %s | %.0f | %.2f | %.1f | %.2f |\n", name, rig.Median(of(runs, rate)),
		spread(of(runs, us("p50")), "%.0f"), paired(of(runs, us("p50")), of(nothing, us("p50"))),
		spread(of(runs, us("p99")), "%.0f"), paired(of(runs, us("p99")), of(nothing, us("p99"))),
		rig.Median(of(runs, us("p99.9"))), rig.Median(of(runs, perRequest)), rig.Median(of(runs, machine)), rig.Median(of(runs, own)))
}

// paired is the median, over rounds, of the change against the same round, with its
// interval: the order statistics that hold the median with 95 % or more where there are
// 7 rounds or more, else the least and the most.
func paired(mine, base []float64) string {
	change := make([]float64, 0, len(mine))
	for i := range min(len(mine), len(base)) {
		change = append(change, 100*(mine[i]/base[i]-1))
	}
	slices.Sort(change)
	if len(change) == 0 {
		return ""
	}
	low, high := medianInterval(len(change))
	return fmt.Sprintf("%+.1f %% (%+.1f to %+.1f)", rig.Median(change), change[low], change[high])
}

// medianInterval gives the ranks, from 0, of a 95 % interval of the median of n values:
// the narrowest pair of order statistics by the binomial distribution.
func medianInterval(n int) (low, high int) {
	p, tail := 1.0, 0.0 // of k = 0 successes
	for range n {
		p /= 2
	}
	for k := 0; k < n/2; k++ {
		if tail += p; 2*tail > 0.05 {
			break
		}
		low = k
		p *= float64(n-k) / float64(k+1)
	}
	return low, n - 1 - low
}
