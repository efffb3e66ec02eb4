package agent

import (
	"errors"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/budget"
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/probe"
)

// costEvery is how often the run time of programs is looked at: it costs each run
// two readings of the clock while it lasts.
const costEvery = 30 * time.Second

// own is what the agent knows of its own cost. It reports families agent_* of the
// node, whatever the plan says.
type own struct {
	families map[string]*metric.Family
	samples  uint64
	noSlot   uint64 // targets that got no slot
	noProbe  uint64 // application probes of targets that were over a bound
	took     time.Duration
	costs    []probe.Cost // of the last window in which programs were measured
	looked   time.Time
	blind    bool // programs cannot be measured with the rights of this process
	reads    int
	slow     []metric.Reading
	statm    *os.File // nil where there is no /proc: then nothing is resident

	batch *metric.Batch // the last; its memory may serve for the next
	spent []spending    // of the last ticks, oldest first
}

// series counts the samples of the last batch by family.
func (o *own) series() map[*metric.Family]int {
	out := map[*metric.Family]int{}
	if o.batch == nil {
		return out
	}
	for i := range o.batch.Groups {
		for j := range o.batch.Groups[i].Samples {
			out[o.batch.Groups[i].Samples[j].Family]++
		}
	}
	return out
}

// A spending is what this process had taken of CPU at one time.
type spending struct {
	at             time.Time
	process, sinks time.Duration
}

// spendings is how many ticks the process's rate of CPU time is taken over.
const spendings = 8

// rates are the shares of one CPU that this process took over the last ticks, and of
// that the threads that hand batches to sinks: medians, since single ticks have a plan
// that was put in force in them.
func (o *own) rates() (process, sinks float64) {
	if len(o.spent) < 2 {
		return 0, 0
	}
	var processes, threads []float64
	for i, s := range o.spent[1:] {
		before := o.spent[i]
		took := s.at.Sub(before.at).Seconds()
		processes = append(processes, (s.process-before.process).Seconds()/took)
		threads = append(threads, (s.sinks-before.sinks).Seconds()/took)
	}
	slices.Sort(processes)
	slices.Sort(threads)
	return processes[len(processes)/2], threads[len(threads)/2]
}

func (o *own) init(a *Agent) {
	o.statm, _ = os.Open("/proc/self/statm")
	o.families = map[string]*metric.Family{}
	for _, f := range a.families {
		if strings.HasPrefix(f.Name, "agent_") {
			o.families[f.Name] = f
		}
	}
}

func (o *own) ticked(a *Agent, b *metric.Batch, took time.Duration) {
	o.samples += uint64(b.Samples())
	o.took = took
	o.batch = b
	s := spending{at: time.Now(), process: time.Duration(cpuTime())}
	for _, q := range a.queues {
		s.sinks += time.Duration(q.spent.Load())
	}
	if len(o.spent) == spendings {
		o.spent = append(o.spent[:0], o.spent[1:]...)
	}
	o.spent = append(o.spent, s)
}

func (o *own) appender(dst *[]metric.Reading) func(name, label string, v uint64) {
	return func(name, label string, v uint64) {
		if f := o.families[name]; f != nil {
			*dst = append(*dst, metric.Reading{Family: f, Labels: [2]string{label}, Value: v})
		}
	}
}

// read appends the agent's own readings.
func (o *own) read(a *Agent, dst []metric.Reading) []metric.Reading {
	put := o.appender(&dst)
	put("agent_cpu_time", "", cpuTime())
	put("agent_resident_bytes", "", o.resident())
	put("agent_samples", "", o.samples)
	put("agent_read_time", "", uint64(o.took))
	put("agent_targets", "", uint64(len(a.tree.targets)))
	var dropped, failed uint64
	for _, q := range a.queues {
		dropped += q.dropped.Load()
		failed += q.failed.Load()
	}
	put("agent_dropped", "batches too late for a sink", dropped)
	put("agent_dropped", "batches refused by a sink", failed)
	put("agent_dropped", "targets without a slot", o.noSlot)
	put("agent_dropped", "steps of the governor untold", a.governing.untold)
	put("agent_dropped", "names of ended containers, to tell restarts", a.tree.restarts.dropped)
	put("agent_dropped", "labels of targets over a bound", a.tree.names.LabelsLeftOut())
	inForce := map[budget.Lever]uint64{}
	if g := a.governing.governor; g != nil {
		for _, s := range g.Steps() {
			inForce[s.Lever]++
		}
	}
	if a.governing.governor != nil {
		put("agent_governor_cpu", "programs", uint64(a.governing.last.Programs*1e9))
		put("agent_governor_cpu", "process", uint64(a.governing.last.Process*1e9))
	}
	for _, l := range budget.Levers() {
		put("agent_governed", string(l), inForce[l])
		put("agent_governor_steps", string(l), a.governing.taken[l])
	}
	states, over := a.apps.count()
	put("agent_dropped", "application probes over a bound", over+o.noProbe)
	for _, state := range slices.Sorted(maps.Keys(states)) {
		put("agent_app_probes", state, states[state])
	}
	if a.probes == nil {
		return dst
	}
	if o.reads%slowEvery == 0 {
		o.slow = o.kernel(a, o.slow[:0])
	}
	o.reads++
	return append(dst, o.slow...)
}

// slowEvery is how many readings lie between two looks at what takes a system call
// for each map and program.
const slowEvery = 10

// kernel reads what the kernel side costs and what it lost.
func (o *own) kernel(a *Agent, dst []metric.Reading) []metric.Reading {
	put := o.appender(&dst)
	lost := a.probes.Losses()
	put("agent_dropped", "targets without a slot in the kernel", lost.NoSlot)
	put("agent_dropped", "cgroups without room in the kernel", lost.NoRoom)
	put("agent_dropped", "events of cgroups", lost.Events)
	put("agent_dropped", "connections of flows beyond a bound", lost.FlowsBeyond)
	put("agent_dropped", "connections without room to meet their other end", lost.FlowsUnmet)
	for _, object := range slices.Sorted(maps.Keys(lost.Failed)) {
		put("agent_uncounted", object, lost.Failed[object])
	}
	put("agent_kernel_bytes", "", uint64(a.probes.MapBytes()))
	for _, m := range a.probes.Missed() {
		put("agent_missed_events", m.Program, m.Events)
	}
	if !o.blind && time.Since(o.looked) >= costEvery {
		o.looked = time.Now()
		a.watch()
	}
	for _, c := range o.costs {
		put("agent_program_rate", c.Program, uint64(c.PerSecond()+0.5))
		put("agent_program_time", c.Program, uint64(c.Mean()))
	}
	return dst
}

// watch measures programs for a short time.
func (a *Agent) watch() {
	w := a.probes.Watch()
	time.AfterFunc(costWindow, func() {
		err := a.do(func() (err error) {
			a.own.costs, err = w.End()
			a.own.blind = errors.Is(err, os.ErrPermission)
			return err
		})
		if errors.Is(err, ErrStopped) {
			w.Close()
		} else if err != nil {
			a.log.Warn("programs not measured", "err", err)
		}
	})
}

const costWindow = 250 * time.Millisecond

func cpuTime() uint64 {
	var r unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &r) // cannot fail for ourselves
	return uint64(r.Utime.Nano() + r.Stime.Nano())
}

// resident reads the file that was opened once: this is done each window.
func (o *own) resident() uint64 {
	var buf [128]byte
	n, _ := o.statm.ReadAt(buf[:], 0) // it ends before the buffer does
	fields := strings.Fields(string(buf[:n]))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseUint(fields[1], 10, 64)
	return pages * uint64(os.Getpagesize())
}
