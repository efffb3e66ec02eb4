package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A sign is one fact about the machine that families depend on.
type sign struct {
	what string
	mark mark
	text string // what was found; when it is not well, what to do
}

type mark string

const (
	well  mark = "ok"
	note  mark = "--" // something is less than it could be
	fault mark = "NO" // families fail for it
)

// verified are the kernels on which every family's values are tested to be exact.
var verified = []string{"6.1", "6.12", "6.18"}

// rights are the capabilities that are needed, by bit, and what for.
var rights = []struct {
	bit       uint
	name, why string
	lack      mark // what it means to lack it
}{
	{39, "CAP_BPF", "load programs", fault},
	{38, "CAP_PERFMON", "attach programs", fault},
	{24, "CAP_SYS_RESOURCE", "raise the limit of open files", note},
	{2, "CAP_DAC_READ_SEARCH", "read the names of containers from their runtimes", note},
	{19, "CAP_SYS_PTRACE", "read /proc of processes of other users", note},
}

// sysAdmin is CAP_SYS_ADMIN, which the kernel takes for CAP_BPF and CAP_PERFMON.
const sysAdmin = 21

// examine looks at the machine whose root is at root.
func examine(root string) []sign {
	return []sign{
		kernelSign(filepath.Join(root, "proc/sys/kernel/osrelease")),
		rightsSign(filepath.Join(root, "proc/self/status")),
		btfSign(filepath.Join(root, "sys/kernel/btf/vmlinux")),
		tracefsSign(filepath.Join(root, "proc/self/mounts")),
	}
}

func kernelSign(path string) sign {
	b, err := os.ReadFile(path)
	if err != nil {
		return sign{"kernel", note, fmt.Sprintf("its version is unknown: %v; mount /proc", err)}
	}
	release := strings.TrimSpace(string(b))
	parts := strings.SplitN(release, ".", 3)
	if len(parts) > 1 && slices.Contains(verified, parts[0]+"."+parts[1]) {
		return sign{"kernel", well, release + ", verified"}
	}
	return sign{"kernel", note, fmt.Sprintf("%s, unverified: values are tested on %s; what loads below is likely right", release, strings.Join(verified, ", "))}
}

func rightsSign(path string) sign {
	effective, err := effectiveRights(path)
	if err != nil {
		return sign{"rights", note, fmt.Sprintf("cannot be told: %v; mount /proc", err)}
	}
	if effective&(1<<sysAdmin) != 0 {
		effective |= 1<<39 | 1<<38
	}
	var missing []string
	worst := note
	for _, r := range rights {
		if effective&(1<<r.bit) == 0 {
			if r.lack == fault {
				worst = fault
			}
			missing = append(missing, fmt.Sprintf("%s (to %s)", r.name, r.why))
		}
	}
	if missing == nil {
		return sign{"rights", well, "all that are needed"}
	}
	return sign{"rights", worst, "missing " + strings.Join(missing, ", ") +
		": run as root (sudo viperprobe ...), with AmbientCapabilities= in a systemd unit, or securityContext.capabilities.add in Kubernetes"}
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

func btfSign(path string) sign {
	if _, err := os.Stat(path); err != nil {
		return sign{"BTF", fault, "this kernel does not describe its types, so that only the file tier works: use a kernel with CONFIG_DEBUG_INFO_BTF=y (every distribution's since 2021)"}
	}
	return sign{"BTF", well, path}
}

func tracefsSign(mounts string) sign {
	f, err := os.Open(mounts)
	if err != nil {
		return sign{"tracefs", note, fmt.Sprintf("mounts cannot be told: %v; mount /proc", err)}
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) > 2 && (fields[2] == "tracefs" || fields[2] == "debugfs") {
			return sign{"tracefs", well, fields[1]}
		}
	}
	return sign{"tracefs", note, "not mounted; only the hooks of last resort (kprobes) need it: mount -t tracefs tracefs /sys/kernel/tracing"}
}
