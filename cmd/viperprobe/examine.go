package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"viperprobe.dev/viperprobe/internal/probe"
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
	switch missing, needed, err := probe.MissingRights(path); {
	case err != nil:
		return sign{"rights", note, fmt.Sprintf("cannot be told: %v; mount /proc", err)}
	case needed:
		return sign{"rights", fault, missing}
	case missing != "":
		return sign{"rights", note, missing}
	}
	return sign{"rights", well, "all that are needed"}
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
