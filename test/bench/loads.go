package main

import (
	"errors"
	"fmt"
	"os"
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
	subjects := b.loadSubjects()
	c := &comparison{servers: b.servers, met: map[string]map[cell][]met{}}
	for _, x := range subjects {
		c.subjects = append(c.subjects, x.name)
	}
	if err := inTurn(subjects, b.rounds, func(x subject, r *running) error {
		for _, v := range s.servers {
			for _, level := range levels {
				m, err := b.meet(s, v, level*full[v.name], r)
				if err != nil {
					return err
				}
				c.add(x.name, cell{v.name, level}, m)
			}
		}
		return nil
	}); err != nil {
		return err
	}
	c.print(full, b.load, b.rounds)
	if b.picture == "" {
		return nil
	}
	return os.WriteFile(b.picture, c.draw(), 0o644)
}

// loadSubjects is who is compared: ours from nothing to everything, and others that
// answer two of its questions.
func (b *bench) loadSubjects() []subject {
	all := []subject{{name: "nothing"}, b.ours("file,snapshot"), b.ours("request_latency,request_wait"), b.ours("runq_latency,request_latency"), b.ours("default"), b.ours("all")}
	if b.classes {
		for _, f := range catalogue.Families() {
			if !slices.ContainsFunc(all, func(s subject) bool { return s.name == b.ours(string(f.Class)).name }) {
				all = append(all, b.ours(string(f.Class)))
			}
		}
	}
	all = append(all, subject{name: "libbpf-tools runqlat -P", command: []string{"runqlat", "-P"}},
		subject{name: "bpftrace, run queue waits per cgroup", command: bpftrace})
	return append(all, b.peers...)
}

// ours is the agent with the given families.
func (b *bench) ours(families string) subject {
	return subject{name: "ViperProbe, " + families, command: []string{b.agent, "run", "--families", families}}
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
