package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"viperprobe.dev/viperprobe/test/rig"
)

// perCgroup is the distribution of waits for a CPU, by cgroup, as one asks bpftrace.
const perCgroup = `
tracepoint:sched:sched_wakeup, tracepoint:sched:sched_wakeup_new { @q[args->pid] = nsecs; }
tracepoint:sched:sched_switch {
  @cg[args->prev_pid] = cgroup;
  if ((args->prev_state & 0xff) == 0) { @q[args->prev_pid] = nsecs; }
  $s = @q[args->next_pid];
  if ($s) { @us[@cg[args->next_pid]] = hist((nsecs - $s) / 1000); delete(@q[args->next_pid]); }
}`

// bpftrace asks that, in a mount namespace where tracefs is.
var bpftrace = []string{"unshare", "--mount", "sh", "-c", `mount -t debugfs debugfs /sys/kernel/debug; mount -t tracefs tracefs /sys/kernel/tracing; exec bpftrace -e "$0"`, perCgroup}

// storm measures the time that a switch between two processes on one CPU takes
// longer with each subject.
func (b *bench) storm() error {
	g, err := rig.NewGroup(b.host, fmt.Sprintf("/vp-bench-storm-%d", os.Getpid()))
	if err != nil {
		return err
	}
	defer g.Remove()
	mine := func(families string) []string {
		return []string{b.agent, "run", "--families", families, "--cgroup", g.Path}
	}
	subjects := []subject{
		{name: "nothing"},
		{name: "ViperProbe, runq_latency", command: mine("runq_latency")},
		{name: "ViperProbe, runq_latency and oncpu_slice", command: mine("runq_latency,oncpu_slice")},
		{name: "ViperProbe, other cgroups only", command: []string{b.agent, "run", "--families", "runq_latency", "--cgroup", "/vp-bench-nobody"}},
		{name: "libbpf-tools runqlat -c, one cgroup", command: []string{"runqlat", "-c", g.V2, "1"}},
		{name: "bpftrace, histogram per cgroup", command: bpftrace},
	}
	times := map[string][]float64{}
	if err := inTurn(subjects, b.rounds, func(s subject, _ *running) error {
		var runs []float64
		for range 3 {
			ns, err := pingPong(g)
			if err != nil {
				return err
			}
			runs = append(runs, ns)
		}
		times[s.name] = append(times[s.name], rig.Median(runs))
		return nil
	}); err != nil {
		return err
	}
	base := rig.Median(times["nothing"])
	fmt.Printf("\n## Added time per switch, two processes on one CPU\n\n| subject | ns per switch | added |\n|---|---|---|\n")
	for _, s := range subjects {
		fmt.Printf("| %s | %s | %+.0f |\n", s.name, spread(times[s.name], "%.0f"), rig.Median(times[s.name])-base)
	}
	return nil
}

// pingPong runs one storm in a cgroup: ns per switch.
func pingPong(g *rig.Group) (float64, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := rig.Pinned("0", self)
	cmd.Env = append(os.Environ(), roleEnv+"=ping", "GOMAXPROCS=1")
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := g.Start(cmd); err != nil {
		return 0, err
	}
	if err := cmd.Wait(); err != nil {
		return 0, fmt.Errorf("storm: %w", err)
	}
	return strconv.ParseFloat(strings.TrimSpace(out.String()), 64)
}

// ping hands a byte to a child and back for half a second, and prints what a switch took.
func ping() error {
	p, err := rig.NewPing(roleEnv + "=pong")
	if err != nil {
		return err
	}
	n, began := 0, time.Now()
	for time.Since(began) < 500*time.Millisecond {
		for range 1000 {
			if err := p.Once(); err != nil {
				return err
			}
		}
		n += 2000
	}
	fmt.Println(float64(time.Since(began).Nanoseconds()) / float64(n))
	return p.End()
}
