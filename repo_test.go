// Package viperprobe_test holds the repository to its own rules: who may import whom (this file), what may stand in a
// file (repo_text_test.go) and what the files under deploy say (repo_deploy_test.go). CONTRIBUTING.md gives the reasons.
package viperprobe_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "viperprobe.dev/viperprobe"

// floors: a package imports only packages on lower floors. A package without a floor fails.
var floors = map[string]int{
	"internal/metric":     0,
	"internal/document":   0,
	"internal/ratelog":    0,
	"internal/kerneltest": 0, // for tests
	"internal/promtest":   0, // for tests

	"catalogue":         1,
	"internal/policy":   1,
	"internal/budget":   1,
	"internal/analysis": 1,
	"internal/codec":    1,
	"internal/symbol":   1,

	"internal/probe":     2,
	"internal/cgroup":    2,
	"internal/store":     2,
	"internal/recording": 2,
	"internal/report":    2,
	"internal/kube":      2,
	"internal/kafka":     2,
	"internal/wire":      2,

	"internal/agent":   3,
	"internal/control": 3,
	"internal/lab":     3,
	"internal/tui":     3,
	"internal/web":     3,

	"cmd/viperprobe":       4,
	"cmd/viperprobe-agent": 4,

	"test/rig":            4, // for the programs below
	"test/planted":        4,
	"test/churn":          5,
	"test/oracle":         5,
	"test/bench":          5,
	"test/governor":       5,
	"test/bench-analysis": 5,
	"test/record":         5,
	"test/bench-sampling": 5,
}

// homes: the packages that may import an outside technology, by module path prefix. A third-party import without a
// home fails, so this is the list of everything that the product is built on.
var homes = map[string][]string{
	"github.com/cilium/ebpf":                             {"internal/probe", "test/bench-sampling"}, // there: empty programs to compare with
	"go.yaml.in/yaml/v3":                                 {"internal/document"},
	"github.com/prometheus/prometheus":                   {"internal/store", "internal/web"},
	"github.com/prometheus/common":                       {"internal/store", "internal/web", "internal/recording"},
	"github.com/prometheus/client_model":                 {"internal/web"},   // the exposition format's messages
	"google.golang.org/protobuf/types/known/timestamppb": {"internal/web"},   // a field of theirs
	"golang.org/x/crypto/bcrypt":                         {"internal/web"},   // basic auth
	"github.com/oklog/ulid":                              {"internal/store"}, // names the blocks of prometheus/tsdb
	"github.com/parquet-go/parquet-go":                   {"internal/recording"},
	"github.com/klauspost/compress":                      {"internal/recording"}, // this and the next two are the codecs of parquet-go
	"github.com/andybalholm/brotli":                      {"internal/recording"},
	"github.com/pierrec/lz4":                             {"internal/recording"},
	"github.com/prometheus/client_golang/api":            {"internal/recording"},
	"github.com/jackc/pgx":                               {"internal/store"},
	"github.com/spf13/cobra":                             {"cmd/*"},
	"github.com/spf13/pflag":                             {"cmd/*"},
	"charm.land":                                         {"internal/tui", "cmd/viperprobe"},
	"github.com/charmbracelet":                           {"internal/tui", "cmd/viperprobe"},
	"google.golang.org/protobuf":                         {"internal/codec", "internal/wire"},
	"google.golang.org/grpc":                             {"internal/wire"},
	"github.com/twmb/franz-go":                           {"internal/kafka"},
	"gonum.org/v1/gonum":                                 {"internal/analysis"},
	"k8s.io":                                             {"internal/kube"},
	"golang.org/x/arch":                                  {"internal/symbol"}, // decodes instructions
	"golang.org/x/sys":                                   {"internal/probe", "internal/cgroup", "internal/agent", "internal/lab", "internal/tui", "internal/kerneltest", "cmd/*", "test/bench", "test/bench-sampling"},
}

// The agent is root on every node: its closure must stay small enough to be reviewed, and free of cluster rights.
const agentModules = 15

var agentNever = map[string]string{
	"k8s.io":                                "the process with kernel rights has no cluster rights",
	"database/sql":                          "the agent stores nothing; batches go to the collector",
	"github.com/jackc/pgx":                  "the agent stores nothing; batches go to the collector",
	"github.com/prometheus/prometheus/tsdb": "80 modules; the agent stores nothing",
	"html/template":                         "it turns off the linker's dead method removal (grpc needs -tags grpcnotrace)",
	"net/http/pprof":                        "the agent opens no HTTP port of its own",
}

type pkg struct {
	ImportPath string
	Imports    []string
	Module     *struct{ Path string }
}

// golist runs go list with the product's build tags. Packages that do not compile are listed too: the compiler
// has better words for them.
func golist(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-e", "-tags=grpcnotrace", "-json=ImportPath,Imports,Module"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("run go list: %v", err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("decode go list: %v", err)
		}
		all = append(all, p)
	}
}

// within tells whether an import path is prefix or lies below it.
func within(importPath, prefix string) bool {
	return importPath == prefix || strings.HasPrefix(importPath, prefix+"/")
}

func folder(importPath string) string {
	return strings.TrimPrefix(strings.TrimPrefix(importPath, module), "/")
}

// checkFloor tells what is wrong with the floors of one package and its imports.
func checkFloor(p pkg) (faults []string) {
	from := folder(p.ImportPath)
	own, ok := floors[from]
	if !ok {
		return []string{from + " stands on no floor: say where it belongs in the table floors of repo_test.go and in ARCHITECTURE.md"}
	}
	for _, imp := range p.Imports {
		to, ours := strings.CutPrefix(imp, module+"/")
		if !ours {
			continue
		}
		if other, known := floors[to]; !known || other >= own {
			faults = append(faults, from+" imports "+to+", which is not on a lower floor: declare an interface in "+from+
				" and let cmd join the two, or move the shared words down to internal/metric")
		}
	}
	return faults
}

// checkHome tells which third-party imports of one package are outside their home.
func checkHome(p pkg) (faults []string) {
	from := folder(p.ImportPath)
	for _, imp := range p.Imports {
		if within(imp, module) || standard(imp) {
			continue
		}
		var allowed []string
		for prefix, list := range homes {
			if within(imp, prefix) {
				allowed = append(allowed, list...)
			}
		}
		if slices.ContainsFunc(allowed, func(pattern string) bool { ok, _ := path.Match(pattern, from); return ok }) {
			continue
		}
		if allowed == nil {
			faults = append(faults, from+" imports "+imp+", which has no home: prefer the standard library; a dependency that earns its place gets a row in the table homes of repo_test.go")
			continue
		}
		faults = append(faults, from+" imports "+imp+", whose home is "+strings.Join(allowed, ", ")+": call that package, or pass in what you need")
	}
	return faults
}

// standard tells packages of Go itself: their first path element has no dot.
func standard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

func TestFloors(t *testing.T) {
	for _, p := range golist(t, "./...") {
		if p.ImportPath == module { // the tests in this folder
			continue
		}
		for _, fault := range checkFloor(p) {
			t.Error(fault)
		}
	}
}

func TestHomes(t *testing.T) {
	for _, p := range golist(t, "./...") {
		for _, fault := range checkHome(p) {
			t.Error(fault)
		}
	}
}

// TestImportRulesBite shows that the two checks above can fail.
func TestImportRulesBite(t *testing.T) {
	for _, c := range []struct {
		name  string
		check func(pkg) []string
		p     pkg
		want  int
	}{
		{"down", checkFloor, pkg{ImportPath: module + "/internal/probe", Imports: []string{"fmt", module + "/internal/metric"}}, 0},
		{"sideways", checkFloor, pkg{ImportPath: module + "/internal/probe", Imports: []string{module + "/internal/cgroup"}}, 1},
		{"up", checkFloor, pkg{ImportPath: module + "/internal/metric", Imports: []string{module + "/catalogue", module + "/internal/web"}}, 2},
		{"no floor", checkFloor, pkg{ImportPath: module + "/internal/new"}, 1},
		{"home", checkHome, pkg{ImportPath: module + "/internal/probe", Imports: []string{"os", "github.com/cilium/ebpf/link"}}, 0},
		{"pattern home", checkHome, pkg{ImportPath: module + "/cmd/viperprobe", Imports: []string{"github.com/spf13/cobra"}}, 0},
		{"away", checkHome, pkg{ImportPath: module + "/internal/agent", Imports: []string{"github.com/cilium/ebpf"}}, 1},
		{"homeless", checkHome, pkg{ImportPath: module + "/internal/agent", Imports: []string{"example.com/x"}}, 1},
		{"same prefix, other module", checkHome, pkg{ImportPath: module + "/internal/probe", Imports: []string{"github.com/cilium/ebpf2"}}, 1},
	} {
		if got := c.check(c.p); len(got) != c.want {
			t.Errorf("%s: got %d faults, want %d: %q", c.name, len(got), c.want, got)
		}
	}
}

func TestAgentClosure(t *testing.T) {
	const agent = "cmd/viperprobe-agent"
	if commands, _ := os.ReadDir("cmd"); len(commands) == 0 {
		return
	}
	if _, err := os.Stat(agent); err != nil {
		t.Fatalf("%s is gone, and with it the privileged process that this rule protects: %v", agent, err)
	}
	modules := map[string]bool{}
	for _, p := range golist(t, "-deps", "./"+agent) {
		if p.Module != nil && p.Module.Path != module {
			modules[p.Module.Path] = true
		}
		for never, why := range agentNever {
			if within(p.ImportPath, never) {
				t.Errorf("%s links %s: %s (go mod why %s)", agent, p.ImportPath, why, p.ImportPath)
			}
		}
	}
	if len(modules) > agentModules {
		names := make([]string, 0, len(modules))
		for m := range modules {
			names = append(names, m)
		}
		slices.Sort(names)
		t.Errorf("%s links %d modules, at most %d can be reviewed: %s", agent, len(modules), agentModules, strings.Join(names, " "))
	}
}
