package agent

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/cgroup"
	"viperprobe.dev/viperprobe/internal/policy"
	"viperprobe.dev/viperprobe/internal/probe"
)

// Bounds of what is attached.
const (
	maxAppFiles   = 512
	maxAppOffsets = 4096 // of all sites
	appRatePause  = time.Second
	appSweepPause = time.Minute
)

// An appWorker attaches application probes to files, away from the loop, which must not
// wait: files are read at the mercy of their owners, and a detach takes up to 80 ms.
type appWorker struct {
	programs func(path string) []cgroup.Program
	log      *slog.Logger
	notice   func(Notice)
	asked    chan appQuestion
	answers  chan appAnswer
	done     chan struct{}

	kernel  *probe.AppFiles // of the last question
	files   map[appFileID]*appFile
	held    map[*target]map[*appSite]bool
	free    []uint32 // numbers of sites, the longest free first
	offsets int

	trap atomic.Int64 // ns that a hit takes from who is hit; 0: not measured

	mu       sync.Mutex // of what follows
	statuses []policy.AppStatus
	dropped  uint64 // sites that were over a bound
}

type appFileID struct{ device, inode uint64 }

func newAppWorker(host *cgroup.Host, log *slog.Logger, notice func(Notice)) *appWorker {
	w := &appWorker{
		programs: host.Programs, log: log, notice: notice, asked: make(chan appQuestion, questions), answers: make(chan appAnswer), done: make(chan struct{}),
		files: map[appFileID]*appFile{}, held: map[*target]map[*appSite]bool{},
	}
	for n := range uint32(probe.AppSites) {
		w.free = append(w.free, n)
	}
	return w
}

// run answers questions until they are closed or ctx ends, and then detaches everything.
func (w *appWorker) run(ctx context.Context) {
	defer close(w.done)
	rates, sweeps := time.NewTicker(appRatePause), time.NewTicker(appSweepPause)
	defer rates.Stop()
	defer sweeps.Stop()
	for {
		select {
		case q, ok := <-w.asked:
			if !ok {
				w.releaseAll()
				return
			}
			a := w.look(q)
			w.publish()
			select {
			case w.answers <- a:
			case <-ctx.Done():
			}
			if len(a.sites) > 0 && w.trap.Load() == 0 {
				w.measureTrap()
			}
		case now := <-rates.C:
			if w.limit(now) {
				w.publish()
			}
		case <-sweeps.C:
			w.sweep()
		}
	}
}

// close ends run. One that hangs in a file system is left behind.
func (w *appWorker) close() {
	close(w.asked)
	select {
	case <-w.done:
	case <-time.After(finishTime):
	}
}

// look finds the files of a target in which its probes are, and attaches them. What it has
// found before stays as long as it is wanted, also while nobody runs it.
func (w *appWorker) look(q appQuestion) appAnswer {
	w.kernel = q.kernel
	wanted := map[*appSite]bool{}
	for s := range w.held[q.of] {
		if slices.ContainsFunc(q.probes, s.is) {
			wanted[s] = true
		}
	}
	seen := map[string]bool{} // by path and role: many processes run the same
	for _, path := range q.paths {
		if len(q.probes) == 0 {
			break
		}
		for _, p := range w.programs(path) {
			if key := fmt.Sprint(p.Executable, p.Path); !seen[key] {
				seen[key] = true
				w.lookAt(q, &p, wanted)
			}
		}
	}
	a := appAnswer{of: q.of, sites: map[uint32]string{}}
	for s := range wanted {
		s.refs[q.of] = appRef{q.name, q.latency}
		w.fit(s)
		if s.begin != nil {
			a.sites[s.number] = s.probe.Name
		}
	}
	for s := range w.held[q.of] {
		if !wanted[s] {
			w.release(s, q.of)
		}
	}
	if w.held[q.of] = wanted; len(wanted) == 0 {
		delete(w.held, q.of)
	}
	return a
}

// lookAt adds the sites of one file to wanted.
func (w *appWorker) lookAt(q appQuestion, p *cgroup.Program, wanted map[*appSite]bool) {
	var f *appFile
	for _, declared := range q.probes {
		if !declared.Runs(p.Path, p.Executable) {
			continue
		}
		if f == nil {
			var err error
			if f, err = w.open(p); err != nil {
				w.log.Warn("application probes not attached", "target", q.name, "file", p.Path, "err", err)
				return
			}
		}
		if s := w.site(f, declared); s != nil {
			wanted[s] = true
		}
	}
	if f != nil && len(f.sites) == 0 {
		w.forget(f)
	}
}

// measureTrap measures what a hit costs, once. Where that fails it is priced.
func (w *appWorker) measureTrap() {
	took, err := probe.MeasureTrap()
	if err != nil {
		w.log.Warn("traps of application probes are priced, not measured", "err", err)
		took = -1
	}
	w.trap.Store(int64(cmp.Or(took, 1)))
}

// limit takes off probes that are hit more often than they may be, and warns of those that
// come near. It reports whether something has changed.
func (w *appWorker) limit(now time.Time) (changed bool) {
	for _, f := range w.files {
		for _, s := range f.sites {
			if s.begin == nil || now.Sub(s.at) < appRatePause/2 { // a burst in a short time is no rate
				continue
			}
			changed = true
			hits := w.kernel.Hits(s.number)
			rate := float64(hits-s.hits) / now.Sub(s.at).Seconds()
			s.hits, s.at = hits, now
			switch limit := float64(s.probe.Limit); {
			case rate > limit:
				w.stop(s, rate)
			case rate > limit/4 && !s.warned:
				s.warned = true
				w.log.Warn("application probe costs much", "probe", s.probe.Name, "file", f.path, "hits_per_second", int(rate), "stops_above", s.probe.Limit)
			}
		}
	}
	return changed
}

// stop takes a probe off for as long as somebody wants it, so that it is not put on and off
// for ever.
func (w *appWorker) stop(s *appSite, rate float64) {
	s.fault = fmt.Errorf("%.0f hits a second, more than its limit of %d: each costs the program a trap; raise limit, or probe something that happens less often", rate, s.probe.Limit)
	s.stopped = true
	w.detach(s)
	w.log.Error("application probe stopped", "probe", s.probe.Name, "file", s.file.path, "err", s.fault)
	if w.notice != nil {
		w.notice(Notice{Action: "stop", What: "application probe " + s.probe.Name + " in " + s.file.path, Why: s.fault.Error()})
	}
}

func (w *appWorker) sweep() {
	if w.kernel == nil {
		return
	}
	err := w.kernel.Sweep(func(pid int) bool { return unix.Kill(pid, 0) != unix.ESRCH })
	if err != nil {
		w.log.Warn("calls of ended processes not forgotten", "err", err)
	}
}

// publish makes what is attached known to other goroutines.
func (w *appWorker) publish() {
	var all []policy.AppStatus
	for _, f := range w.files {
		for _, s := range f.sites {
			all = append(all, s.status())
			all[len(all)-1].Hits = w.kernel.Hits(s.number) - s.before
		}
	}
	slices.SortFunc(all, func(a, b policy.AppStatus) int { return strings.Compare(a.Probe+"\x00"+a.File, b.Probe+"\x00"+b.File) })
	w.mu.Lock()
	defer w.mu.Unlock()
	w.statuses = all
}

func (w *appWorker) status() []policy.AppStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.statuses)
}

// count is how many sites are in each state, and how many there was no room for.
func (w *appWorker) count() (states map[string]uint64, dropped uint64) {
	states = map[string]uint64{policy.AppAttached: 0, policy.AppStopped: 0, policy.AppMissing: 0}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.statuses {
		states[s.State]++
	}
	return states, w.dropped
}

func (w *appWorker) releaseAll() {
	for _, of := range slices.Collect(maps.Keys(w.held)) {
		w.look(appQuestion{of: of, kernel: w.kernel})
	}
}

// is reports whether a site is what a probe declares.
func (s *appSite) is(p policy.AppProbe) bool { return s.key == keyOf(p) }
