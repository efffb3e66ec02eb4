package policy

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"viperprobe.dev/viperprobe/internal/document"
	"viperprobe.dev/viperprobe/internal/metric"
)

// An AppProbe is a place in applications whose passings are counted: a function, or a
// USDT probe.
type AppProbe struct {
	Name     string   // value of the label probe
	Origin   string   // file:line
	Binaries []string // globs on files that a process runs: on the path there, or, without "/", on the name; none: the process's executable
	Images   []string // globs on the target's image, as those of patterns; none: any image
	Function string   // as in the file's symbols
	USDT     string   // provider:name, where Function is ""
	Until    string   // provider:name of the USDT probe that ends what USDT begins; "": it has no end
	Limit    int      // hits a second on the machine above which it is taken off
}

// Bounds of application probes.
const (
	MaxAppProbes = 32 // of a document, and of a target
	MaxAppLimit  = 1_000_000
	// AppLimit is the limit of a probe that has none of its own: on common machines
	// some 3 % of a core.
	AppLimit = 10_000
)

// An AppStatus tells of one application probe in one file.
type AppStatus struct {
	Probe   string   `json:"probe"`
	Origin  string   `json:"origin"`  // where it was declared
	File    string   `json:"file"`    // as the process that was found first sees it
	Targets []string `json:"targets"` // that it counts for
	State   string   `json:"state"`   // one of the constants below
	Reason  string   `json:"reason"`  // why it is not attached in full
	Hits    uint64   `json:"hits"`    // by anybody on the machine, ends of calls too
}

// The states of an application probe in a file.
const (
	AppAttached = "attached"
	AppStopped  = "stopped" // it was hit more often than its limit
	AppMissing  = "missing" // the file does not have it, or the kernel refused it
)

type appProbeEntry struct {
	Name     string   `yaml:"name"`
	Binary   string   `yaml:"binary"`
	Images   []string `yaml:"images"`
	Function string   `yaml:"function"`
	USDT     string   `yaml:"usdt"`
	Until    string   `yaml:"until"`
	Limit    int      `yaml:"limit"`
}

var (
	probeName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)
	usdtName  = regexp.MustCompile(`^[^:\s\x00]{1,128}:[^:\s\x00]{1,128}$`)
)

// appProbes checks what a document declares under spec.probes.
func (r *reader) appProbes(d *document.Document, list []appProbeEntry) (out []AppProbe) {
	if len(list) > MaxAppProbes {
		r.fault(d, "spec.probes", "%d probes, at most %d can be declared", len(list), MaxAppProbes)
	}
	for i, e := range list {
		key := fmt.Sprintf("spec.probes[%d]", i)
		at := func(name string) string {
			if d.Line(key+"."+name) > 0 {
				return key + "." + name
			}
			return key
		}
		if !probeName.MatchString(e.Name) {
			r.fault(d, at("name"), "want lower case letters, digits and _, have %q", e.Name)
		}
		if j := slices.IndexFunc(list[:i], func(o appProbeEntry) bool { return o.Name == e.Name }); j >= 0 {
			r.fault(d, at("name"), "%q is there already, on line %d", e.Name, d.Line(fmt.Sprintf("spec.probes[%d].name", j)))
		}
		r.checkAppPlace(d, at, &e)
		for j, g := range append([]string{e.Binary}, e.Images...) {
			key := at("binary")
			if j > 0 {
				key = fmt.Sprintf("%s.images[%d]", key, j-1)
			}
			if err := CheckGlob(g); err != nil {
				r.fault(d, key, "%v", err)
			} else if g != "" && strings.Trim(g, "*/") == "" {
				r.fault(d, key, "%q matches anything; want something that tells this file or image from others", g)
			}
		}
		if e.Limit < 0 || e.Limit > MaxAppLimit {
			r.fault(d, at("limit"), "want hits a second from 1 to %d, have %d", MaxAppLimit, e.Limit)
		} else if e.Limit == 0 {
			e.Limit = AppLimit
		}
		var binaries []string
		if e.Binary != "" {
			binaries = []string{e.Binary}
		}
		out = append(out, AppProbe{e.Name, fmt.Sprintf("%s:%d", d.File, d.Line(key)), binaries, e.Images, e.Function, e.USDT, e.Until, e.Limit})
	}
	return out
}

func (r *reader) checkAppPlace(d *document.Document, at func(string) string, e *appProbeEntry) {
	if (e.Function == "") == (e.USDT == "") {
		r.fault(d, at("name"), "want a function or a usdt probe, one of them")
	}
	if len(e.Function) > 1024 || strings.ContainsAny(e.Function, "\x00\n") {
		r.fault(d, at("function"), "want the name of a function as `nm` prints it, have %d bytes", len(e.Function))
	}
	for name, v := range map[string]string{"usdt": e.USDT, "until": e.Until} {
		if v != "" && !usdtName.MatchString(v) {
			r.fault(d, at(name), "want provider:name, such as postgresql:query__start, have %q", v)
		}
	}
	if e.Until != "" && e.USDT == "" {
		r.fault(d, at("until"), "a function ends where it returns; remove until")
	}
}

// Runs reports whether the probe is meant for a file that a process has at path in its own
// root. executable: it is the process's program, not a library.
func (p *AppProbe) Runs(file string, executable bool) bool {
	if len(p.Binaries) == 0 {
		return executable
	}
	return slices.ContainsFunc(p.Binaries, func(g string) bool {
		if strings.Contains(g, "/") {
			return glob(g, file)
		}
		return glob(g, path.Base(file))
	})
}

// An AppRule gives an application probe to the targets that it selects.
type AppRule struct {
	Select Selector
	Until  time.Time // zero: for good
	Probe  AppProbe
}

// AppProbes are those that the plan declares for target t at time now, in the order of
// their names; of two of a name the later rule's. They count where app_calls and
// app_latency are wanted.
func (p *Plan) AppProbes(t *metric.Target, now time.Time) []AppProbe {
	chosen := map[string]AppProbe{}
	for i := range p.AppRules {
		r := &p.AppRules[i]
		if (r.Until.IsZero() || now.Before(r.Until)) && r.Select.Matches(t) && r.Probe.meant(t) {
			chosen[r.Probe.Name] = r.Probe
		}
	}
	out := make([]AppProbe, 0, len(chosen))
	for _, name := range slices.Sorted(maps.Keys(chosen)) {
		out = append(out, chosen[name])
	}
	return out
}

// meant reports whether a probe is for the target's image.
func (p *AppProbe) meant(t *metric.Target) bool {
	return len(p.Images) == 0 || t.Image != "" && slices.ContainsFunc(imageNames(t.Image), func(name string) bool { return anyGlob(p.Images, name) })
}

// appRules are those of the patterns, then those of the policies in their order.
func appRules(patterns []Pattern, policies []*ProbePolicy) (out []AppRule) {
	for _, x := range patterns {
		s := Selector{Kinds: named()}
		if x.Role != RoleLibrary {
			s.Patterns = []string{x.Name}
		}
		for _, p := range x.Probes {
			if len(p.Binaries) == 0 {
				p.Binaries = x.Binaries // not the shell that starts them
			}
			out = append(out, AppRule{Select: s, Probe: p})
		}
	}
	for _, x := range policies {
		for _, p := range x.Probes {
			out = append(out, AppRule{Select: x.Selector, Until: x.Until, Probe: p})
		}
	}
	return out
}
