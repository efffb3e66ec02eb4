package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/agent"
	"viperprobe.dev/viperprobe/internal/budget"
	"viperprobe.dev/viperprobe/internal/cgroup"
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
	"viperprobe.dev/viperprobe/internal/probe"
)

// parts are what the commands need of the packages below. Tests bring their own.
type parts struct {
	families []*metric.Family
	object   func(name string) ([]byte, error)         // compiled hook groups of the families
	engine   func(parts, engineConfig) (engine, error) // Run releases what it took
	check    func(parts) ([]finding, []sign)           // which families work, in catalogue order
}

// An engine measures what its plan wants and publishes one batch per window.
// Apply needs Run to run; its error says what of the plan is not in force.
type engine interface {
	Apply(policy.Plan) error
	Run(context.Context) error // nil when ctx ends
	Status() ([]probe.Status, error)
	Targets() ([]*metric.Target, error)
	Cost(context.Context) (metric.Bill, error)
	Forecast(context.Context, policy.Plan) (metric.Forecast, error)
	AppProbes() []policy.AppStatus
	Reason() error // why no family that needs BPF works
}

type engineConfig struct {
	Sinks    []agent.Sink
	Governed func(budget.Step) // told of what is given up to stay within the budget
	Notice   func(agent.Notice)
	Log      *slog.Logger
}

func newParts() parts {
	return parts{families: catalogue.Families(), object: catalogue.Object, engine: newEngine, check: checkMachine}
}

// ready finds what is to be measured, and says what makes that impossible before
// anything is made or loaded. Where BPF cannot work for want of rights it is a fault,
// which a person can mend; where the kernel lacks it, the file tier is still worth
// having.
func ready() (*cgroup.Host, error) {
	if s := rightsSign("/proc/self/status"); s.mark == fault {
		return nil, fmt.Errorf("rights: %s", s.text)
	}
	host, err := cgroup.Find("/")
	if err != nil {
		return nil, unsupported(err)
	}
	return host, nil
}

// newEngine is the agent in this process.
func newEngine(p parts, c engineConfig) (engine, error) {
	host, err := ready()
	if err != nil {
		return nil, err
	}
	if s := rightsSign("/proc/self/status"); s.mark == note {
		c.Log.Info("rights", "found", s.text)
	}
	if err := host.View(); err != nil {
		c.Log.Warn("only a part of the machine is seen", "err", err)
	}
	a, err := agent.New(agent.Options{Host: host, Families: p.families, Object: p.object, Sinks: c.Sinks, Governed: c.Governed, Notice: c.Notice, Log: c.Log})
	if err != nil {
		return nil, err
	}
	return a, nil
}

// unsupported gives an error of a machine that lacks what we need its exit code.
func unsupported(err error) error {
	if errors.Is(err, cgroup.ErrNoCgroup2) {
		return &exitError{exitUnsupported, err}
	}
	return err
}

// checkMachine loads and attaches every family once.
func checkMachine(p parts) ([]finding, []sign) {
	host, err := cgroup.Find("/")
	if err != nil {
		return findings(p.families, nil, nil, err), []sign{{"cgroup v2", fault, err.Error()}}
	}
	signs := []sign{{"cgroup v2", well, host.V2}, {"whole machine", well, "this is the machine's PID namespace, and its root cgroup is seen"}}
	if err := host.View(); err != nil {
		signs[1] = sign{"whole machine", fault, err.Error()}
	}
	statuses, err := probe.Check(probe.Options{Families: p.families, Object: p.object, Cgroup2: host.V2})
	return findings(p.families, host.Check(p.families), statuses, err), signs
}

// notLoaded is why nothing is known of a family of BPF.
const notLoaded = "its programs are not loaded: nobody wants it"

// judge says of all families whether they work under a running engine. Those of BPF are
// known once their hook group was loaded, at the first want; none is why none works.
func judge(families []*metric.Family, e engine) (all []finding, none error) {
	none = e.Reason()
	statuses, err := e.Status()
	if none == nil {
		none = err
	}
	files := map[string]string{}
	if host, err := cgroup.Find("/"); err == nil {
		files = host.Check(families)
	}
	return findings(families, files, statuses, none), none
}

// A judged is an engine that tells the controller what does not work here.
type judged struct {
	engine
	families []*metric.Family
}

func (j judged) Refused() map[string]string {
	out := map[string]string{}
	all, _ := judge(j.families, j.engine)
	for _, f := range all {
		if !f.Works && f.Reason != notLoaded {
			out[f.Family] = f.Reason
		}
	}
	return out
}

// findings puts together what the tiers say: files by name the reason why not,
// statuses of BPF families, or the reason why none of these works.
func findings(all []*metric.Family, files map[string]string, statuses []probe.Status, none error) []finding {
	known := map[string]probe.Status{}
	for _, s := range statuses {
		known[s.Family.Name] = s
	}
	out := []finding{}
	for _, f := range all {
		s, checked := known[f.Name]
		reason, isFile := files[f.Name]
		d := finding{Family: f.Name}
		switch {
		case f.Tier == metric.Self:
			d.Works, d.Hook = true, "the agent itself"
		case isFile:
			if d.Works, d.Reason = reason == "", reason; d.Works {
				d.Hook = "cgroup files"
				if f.Owner == metric.OwnerNetwork {
					d.Hook = "/proc/PID/net/dev"
				}
			}
		case checked:
			d.Works, d.Hook, d.Reason = s.Works, s.Hook, s.Reason
			if d.Works && f.Perf != nil {
				d.Hook += ", reads a counter of the CPU (never tested on hardware)"
			}
		case none != nil:
			d.Reason = none.Error()
		default:
			d.Reason = notLoaded
		}
		out = append(out, d)
	}
	return out
}
