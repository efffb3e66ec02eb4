package probe

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// rights are the capabilities that measuring takes, by bit, and what for.
var rights = []struct {
	bit       uint
	name, why string
	needed    bool // without it no program can be loaded or attached
}{
	{39, "CAP_BPF", "load programs", true},
	{38, "CAP_PERFMON", "attach programs", true},
	{24, "CAP_SYS_RESOURCE", "raise the limit of open files", false},
	{2, "CAP_DAC_READ_SEARCH", "read the names of containers from their runtimes", false},
	{19, "CAP_SYS_PTRACE", "read /proc of processes of other users", false},
}

// sysAdmin is CAP_SYS_ADMIN, which the kernel takes for CAP_BPF and CAP_PERFMON.
const sysAdmin = 21

// MissingRights says which capabilities a process lacks, what each is for, and how to
// grant them; "" when it has all. The process is the one whose /proc/PID/status is the
// file status. Needed reports whether no program can be loaded or attached without
// what is missing.
func MissingRights(status string) (text string, needed bool, err error) {
	effective, err := effectiveRights(status)
	if err != nil {
		return "", false, err
	}
	if effective&(1<<sysAdmin) != 0 {
		effective |= 1<<39 | 1<<38
	}
	var missing []string
	for _, r := range rights {
		if effective&(1<<r.bit) == 0 {
			needed = needed || r.needed
			missing = append(missing, fmt.Sprintf("%s (to %s)", r.name, r.why))
		}
	}
	if missing == nil {
		return "", false, nil
	}
	return "missing " + strings.Join(missing, ", ") +
		": run as root (sudo), with AmbientCapabilities= in a systemd unit, or securityContext.capabilities.add in Kubernetes", needed, nil
}

// effectiveRights is the set CapEff of a /proc/PID/status.
func effectiveRights(path string) (uint64, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if hex, ok := strings.CutPrefix(line, "CapEff:"); ok {
			return strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
		}
	}
	return 0, fmt.Errorf("%s has no line CapEff", path)
}
