package agent

import (
	"reflect"
	"slices"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
	"viperprobe.dev/viperprobe/internal/probe"
)

// How often it is asked whether a target's files should be looked at, and after which
// time that is done again: a program maps its libraries after it was executed, and more
// of them when it likes. Each time takes four times as long as the last, up to the
// longest.
const (
	appPause   = 50 * time.Millisecond
	appFirst   = 20 * time.Millisecond
	appLongest = 15 * time.Second
)

// A pulse ticks while it is wanted.
type pulse struct {
	*time.Ticker
	every time.Duration
	on    bool
}

func newPulse(every time.Duration) *pulse {
	p := &pulse{Ticker: time.NewTicker(every), every: every}
	p.Stop()
	return p
}

func (p *pulse) want(on bool) {
	if on && !p.on {
		p.Reset(p.every)
	} else if !on && p.on {
		p.Stop()
	}
	p.on = on
}

// appState is what a target has of application probes.
type appState struct {
	probes  []policy.AppProbe // wanted now
	latency bool              // with the ends of calls
	edition int               // of the two above
	told    int               // edition that the worker has heard of; 0: none
	asked   bool              // the worker has not answered yet
	execs   uint64            // as of the last look
	pause   time.Duration
	next    time.Time
	sites   map[uint32]string // that count, with the probe's name
}

// chooseApps sets what the plan wants of a target's applications.
func (t *tree) chooseApps(x *target, now time.Time) {
	var probes []policy.AppProbe
	latency := false
	for _, f := range x.wants {
		if f.Tier == metric.App {
			if probes == nil {
				probes = t.a.plan.AppProbes(x.Target, now)
			}
			latency = latency || f.Kind == metric.Histogram
		}
	}
	if over := len(probes) - policy.MaxAppProbes; over > 0 {
		t.a.own.noProbe += uint64(over)
		probes = probes[:policy.MaxAppProbes]
	}
	if s := &x.app; s.latency != latency || !reflect.DeepEqual(s.probes, probes) {
		s.probes, s.latency, s.pause, s.next = probes, latency, appFirst, now
		s.edition++
	}
}

// busy reports whether the worker may have to be asked soon.
func (s *appState) busy() bool { return len(s.probes) > 0 || s.told != s.edition }

func (t *tree) probesApps() bool {
	return t.a.probes != nil && (len(t.left) > 0 || slices.ContainsFunc(t.targets, func(x *target) bool { return x.app.busy() }))
}

// lookApps has the worker look at targets that are due, and let go of those that have gone.
func (t *tree) lookApps(now time.Time) {
	kernel := t.a.probes.AppFiles()
	if kernel == nil {
		return // no family works here: doctor says why
	}
	t.left = slices.DeleteFunc(t.left, func(x *target) bool { return t.askApps(appQuestion{of: x, kernel: kernel}) })
	for _, x := range t.targets {
		s := &x.app
		if x.group == nil || s.asked || !s.busy() || !x.Ended.IsZero() {
			continue
		}
		if n := t.a.probes.AppExecs(x.slot); n != s.execs {
			s.execs, s.pause, s.next = n, appFirst, now
		}
		if now.Before(s.next) && s.told == s.edition {
			continue
		}
		q := appQuestion{of: x, name: x.Name(), kernel: kernel, paths: t.pathsOf(x), probes: s.probes, latency: s.latency}
		if !t.askApps(q) {
			return // at the next pause
		}
		s.asked, s.told, s.next = true, s.edition, now.Add(s.pause)
		s.pause = min(4*s.pause, appLongest)
	}
}

func (t *tree) askApps(q appQuestion) bool {
	select {
	case t.a.apps.asked <- q:
		return true
	default:
		return false
	}
}

// pathsOf are the cgroups of a target: its own and those in it.
func (t *tree) pathsOf(x *target) (paths []string) {
	for _, g := range t.groups {
		if g.target == x && g.removed.IsZero() {
			paths = append(paths, g.path)
		}
	}
	slices.Sort(paths)
	return paths
}

// tookApps makes the sites that the worker has found count, and no others.
func (t *tree) tookApps(a appAnswer) {
	x := a.of
	x.app.asked = false
	if !slices.Contains(t.targets, x) {
		return
	}
	for site := range x.app.sites {
		if _, still := a.sites[site]; !still {
			t.a.check(t.a.probes.IgnoreApp(x.slot, site))
			delete(x.app.sites, site)
		}
	}
	for site, name := range a.sites {
		if _, already := x.app.sites[site]; already {
			continue
		}
		if err := t.a.probes.CountApp(x.slot, name, site); err != nil {
			if t.a.own.noProbe++; t.a.own.noProbe == 1 {
				t.a.log.Error("application probe not counted", "target", x.Name(), "probe", name, "err", err)
			}
			continue
		}
		if x.app.sites == nil {
			x.app.sites = map[uint32]string{}
		}
		x.app.sites[site] = name
	}
}

// leaveApps has the worker let go of a target that is no more.
func (t *tree) leaveApps(x *target) {
	if x.app.told > 0 {
		t.left = append(t.left, x)
	}
}

// AppProbes tells of the application probes that were looked for, by name and file.
func (a *Agent) AppProbes() []policy.AppStatus { return a.apps.status() }

// A Notice is something that the agent did by itself, for the record.
type Notice struct {
	Action string // stop: an application probe was taken off
	What   string // probe and file
	Why    string
}

// An appQuestion asks for a target's application probes; without probes, it lets go of all.
type appQuestion struct {
	of      *target // as a name for it: it is the loop's
	name    string
	kernel  *probe.AppFiles
	paths   []string // of its cgroups
	probes  []policy.AppProbe
	latency bool
}

type appAnswer struct {
	of    *target
	sites map[uint32]string // those that should count, with their probe's name
}
