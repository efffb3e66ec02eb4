package cgroup

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A mount is one cgroup hierarchy in a mountinfo file.
type mount struct {
	point, kind string
	controllers []string // v1 only
}

// controllers are those whose files are read; others are of no interest.
var controllers = []string{"cpu", "cpuacct", "memory", "blkio", "pids"}

// parseMounts picks the cgroup mounts out of a mountinfo file (proc_pid_mountinfo(5)).
// Lines that are not understood are passed over: a mount may be anything.
func parseMounts(text string) []mount {
	var found []mount
	for line := range strings.Lines(text) {
		left, right, ok := strings.Cut(line, " - ")
		fields, super := strings.Fields(left), strings.Fields(right)
		if !ok || len(fields) < 5 || len(super) < 3 {
			continue
		}
		m := mount{point: filepath.Clean(unescape(fields[4])), kind: super[0]}
		switch m.kind {
		case "cgroup":
			for _, option := range strings.Split(super[2], ",") {
				if slices.Contains(controllers, option) {
					m.controllers = append(m.controllers, option)
				}
			}
			if m.controllers == nil {
				continue
			}
		case "cgroup2":
		default:
			continue
		}
		found = append(found, m)
	}
	return found
}

// unescape turns the octal escapes of mountinfo (\040 for a space) back.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
