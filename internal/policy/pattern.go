package policy

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"viperprobe.dev/viperprobe/internal/document"
	"viperprobe.dev/viperprobe/internal/metric"
)

// A Pattern is a kind of software, how it is recognised (by any of its matches), and the
// application probes that it has.
type Pattern struct {
	Name       string
	Role       string   // "", or sidecar, gateway (tried before all others: what they start is a part of them), operator (tried after what it may run beside), runtime (tried last), library (never recognised: its probes are looked for in every target)
	Binaries   []string // globs on the name of a process or of its executable
	Arguments  []string // globs on one argument of a process
	Images     []string // globs on the image without tag; a pattern without registry or owner will do
	Containers []string // globs on the container's, or the unit's, name
	Cgroups    []string // globs on the cgroup's path
	Ports      []int    // TCP ports on which a process listens
	Builds     []string // what built the executable: go
	Probes     []AppProbe
}

// A Process is what is looked at of a target's process.
type Process struct {
	Command    string   // comm: at most 15 letters
	Executable string   // base name
	Arguments  []string // nil: not read
	Ports      []int    // on which it listens; nil: not read
	Build      string   // "go" or ""
}

type patternFile struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Metadata   head   `yaml:"metadata"`
	Spec       struct {
		Role  string `yaml:"role"`
		Match struct {
			Binaries   []string `yaml:"binaries"`
			Arguments  []string `yaml:"arguments"`
			Images     []string `yaml:"images"`
			Containers []string `yaml:"containers"`
			Cgroups    []string `yaml:"cgroups"`
			Ports      []int    `yaml:"ports"`
			Builds     []string `yaml:"builds"`
		} `yaml:"match"`
		Probes []appProbeEntry `yaml:"probes"`
	} `yaml:"spec"`
}

func (r *reader) readPattern(f File) {
	var w patternFile
	d, err := document.Parse(f.Name, f.Data, &w, document.Options{Nearest: Nearest})
	if err != nil {
		r.faults = append(r.faults, err)
		return
	}
	r.checkHead(d, "Pattern", w.APIVersion, w.Metadata.Name)
	m := &w.Spec.Match
	for _, list := range []struct {
		key   string
		globs []string
	}{{"binaries", m.Binaries}, {"arguments", m.Arguments}, {"images", m.Images}, {"containers", m.Containers}, {"cgroups", m.Cgroups}} {
		for i, g := range list.globs {
			at := fmt.Sprintf("spec.match.%s[%d]", list.key, i)
			if err := CheckGlob(g); err != nil {
				r.fault(d, at, "%v", err)
			} else if strings.Trim(g, "*") == "" {
				r.fault(d, at, "%q matches anything; want something that tells this software from others", g)
			}
		}
	}
	if role := w.Spec.Role; role != "" && !slices.Contains(roles, role) {
		r.fault(d, "spec.role", "want %s, have %q", strings.Join(roles, ", "), role)
	}
	for i, port := range m.Ports {
		if port < 1 || port > 65535 {
			r.fault(d, fmt.Sprintf("spec.match.ports[%d]", i), "want a port from 1 to 65535, have %d", port)
		}
	}
	for i, b := range m.Builds {
		if b != "go" {
			r.fault(d, fmt.Sprintf("spec.match.builds[%d]", i), "want go, have %q", b)
		}
	}
	if w.Spec.Role == RoleLibrary {
		r.checkLibrary(d, &w)
	} else if len(m.Binaries)+len(m.Arguments)+len(m.Images)+len(m.Containers)+len(m.Cgroups)+len(m.Ports)+len(m.Builds) == 0 {
		r.fault(d, "spec.match", "want at least one of binaries, arguments, images, containers, cgroups, ports, builds")
	}
	r.patterns = append(r.patterns, Pattern{
		w.Metadata.Name, w.Spec.Role, m.Binaries, m.Arguments, m.Images, m.Containers, m.Cgroups, m.Ports, m.Builds, r.appProbes(d, w.Spec.Probes),
	})
}

// checkLibrary wants nothing by which a library could be recognised, and each probe to
// name its file.
func (r *reader) checkLibrary(d *document.Document, w *patternFile) {
	if d.Line("spec.match") > 0 {
		r.fault(d, "spec.match", "a library is not recognised, its probes are looked for in every target; remove match")
	}
	if len(w.Spec.Probes) == 0 {
		r.fault(d, "spec.probes", "want at least one: a library has nothing else")
	}
	for i, p := range w.Spec.Probes {
		if p.Binary == "" {
			r.fault(d, fmt.Sprintf("spec.probes[%d]", i), "want binary, a glob on the library's file, such as libssl.so*")
		}
	}
}

// RoleRuntime is that of what other software runs on, RoleLibrary that of what it is
// linked with.
const (
	RoleRuntime = "runtime"
	RoleLibrary = "library"

	roleOperator = "operator"
)

var roles = []string{"sidecar", "gateway", roleOperator, RoleRuntime, RoleLibrary}

//go:embed patterns/*.yaml
var patterns embed.FS

// Patterns are those that come with ViperProbe, in the order in which they are
// tried. The caller does not modify them.
var Patterns = sync.OnceValues(func() ([]Pattern, error) {
	entries, err := patterns.ReadDir("patterns")
	if err != nil {
		return nil, fmt.Errorf("read patterns: %w", err)
	}
	r := reader{names: map[string]*document.Document{}}
	for _, e := range entries {
		data, err := patterns.ReadFile("patterns/" + e.Name())
		if err != nil {
			return nil, fmt.Errorf("read patterns: %w", err)
		}
		r.read(File{Name: "patterns/" + e.Name(), Data: data})
	}
	return merge(r.patterns, nil), errors.Join(r.faults...)
})

// merge puts a person's own patterns before those that come along, of which they
// replace the ones with the same name; and what wraps other software first, operators and runtimes last.
func merge(own, shipped []Pattern) []Pattern {
	slices.SortFunc(own, func(a, b Pattern) int { return strings.Compare(a.Name, b.Name) })
	all := slices.Clone(own)
	for _, p := range shipped {
		if !slices.ContainsFunc(own, func(o Pattern) bool { return o.Name == p.Name }) {
			all = append(all, p)
		}
	}
	slices.SortStableFunc(all, func(a, b Pattern) int { return cmp.Compare(order(a), order(b)) })
	return all
}

// Provisional reports whether what matches may turn out to be other software, which is
// yet to start: on this runtime, or under this operator.
func (p *Pattern) Provisional() bool { return order(*p) > 1 }

func order(p Pattern) int {
	switch p.Role {
	case "":
		return 1
	case roleOperator:
		return 2
	case RoleRuntime, RoleLibrary:
		return 3
	}
	return 0
}

// Needs says what of processes some pattern looks at, beside their names.
type Needs struct{ Arguments, Ports, Build bool }

// NeedsOf says what has to be read for Recognize.
func NeedsOf(patterns []Pattern) (n Needs) {
	for i := range patterns {
		p := &patterns[i]
		n.Arguments = n.Arguments || len(p.Arguments) > 0
		n.Ports = n.Ports || len(p.Ports) > 0
		n.Build = n.Build || len(p.Builds) > 0
	}
	return n
}

// Recognize is the first of patterns that t or one of its processes matches; nil
// when none does.
func Recognize(patterns []Pattern, t *metric.Target, processes []Process) *Pattern {
	for i := range patterns {
		if patterns[i].matches(t, processes) {
			return &patterns[i]
		}
	}
	return nil
}

func (p *Pattern) matches(t *metric.Target, processes []Process) bool {
	some := func(globs []string, s string) bool {
		return s != "" && slices.ContainsFunc(globs, func(g string) bool { return glob(g, s) })
	}
	if some(p.Containers, t.Container) || some(p.Cgroups, t.Cgroup) || t.Image != "" && slices.ContainsFunc(imageNames(t.Image), func(name string) bool { return some(p.Images, name) }) {
		return true
	}
	return slices.ContainsFunc(processes, func(x Process) bool {
		return some(p.Binaries, x.Command) || some(p.Binaries, x.Executable) ||
			slices.ContainsFunc(x.Arguments, func(a string) bool { return some(p.Arguments, a) }) ||
			slices.ContainsFunc(x.Ports, func(port int) bool { return slices.Contains(p.Ports, port) }) ||
			slices.Contains(p.Builds, x.Build)
	})
}

// imageNames are an image's name without tag and digest, and the same without its
// registry, and without its owners: quay.io/a/b, a/b, b.
func imageNames(image string) []string {
	name, _, _ := strings.Cut(image, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name = name[:i]
	}
	names := []string{name}
	for {
		_, rest, ok := strings.Cut(name, "/")
		if !ok {
			return names
		}
		name = rest
		names = append(names, name)
	}
}
