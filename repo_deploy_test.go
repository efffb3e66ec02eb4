package viperprobe_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var execStart = regexp.MustCompile(`(?m)^ExecStart=(\S+)(.*)$`)

// TestServices takes each systemd unit as installed: systemd understands every line of it, and the program that it
// starts takes the flags that it gives.
func TestServices(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Fatalf("%v: run make tools", err)
	}
	units, err := filepath.Glob("deploy/*.service")
	if err != nil || len(units) == 0 {
		t.Fatalf("find deploy/*.service: %d found, %v", len(units), err)
	}
	for _, unit := range units {
		t.Run(filepath.Base(unit), func(t *testing.T) {
			text := read(t, unit)
			start := execStart.FindSubmatch(text)
			if start == nil {
				t.Fatalf("%s has no ExecStart", unit)
			}
			dir := t.TempDir()
			program := filepath.Join(dir, filepath.Base(string(start[1])))
			build := exec.Command("go", "build", "-trimpath", "-tags=grpcnotrace", "-o", program, "./cmd/"+filepath.Base(program))
			build.Env = append(os.Environ(), "CGO_ENABLED=0") // as make build does, whose compiled packages it finds
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("build %s: %v\n%s", program, err, out)
			}
			checkUnit(t, analyze, filepath.Join(dir, filepath.Base(unit)), bytes.Replace(text, start[1], []byte(program), 1))
			checkFlags(t, program, dir, string(start[2]))
		})
	}
}

// checkUnit wants silence: systemd-analyze warns of a key that it does not know, and still exits with 0.
func checkUnit(t *testing.T, analyze, file string, text []byte) {
	t.Helper()
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(analyze, "verify", "--man=no", file).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// checkFlags starts the program with the unit's flags and one wrong value behind them. It must refuse that value
// alone, with the exit code after which the unit does not restart it.
func checkFlags(t *testing.T, program, dir, flags string) {
	t.Helper()
	flags = strings.ReplaceAll(flags, "${STATE_DIRECTORY}", dir)
	args := strings.Fields(strings.ReplaceAll(flags, "$VIPERPROBE_FLAGS", "--listen nowhere"))
	out, err := exec.Command(program, args...).CombinedOutput()
	exit := new(exec.ExitError)
	if !errors.As(err, &exit) || exit.ExitCode() != 2 {
		t.Errorf("%s: got %v, want exit code 2\n%s", strings.Join(args, " "), err, out)
	}
	if !bytes.Contains(out, []byte("nowhere")) || bytes.Contains(out, []byte("unknown flag")) {
		t.Errorf("%s: want a complaint about --listen alone, got\n%s", strings.Join(args, " "), out)
	}
}
