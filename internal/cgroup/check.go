package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"viperprobe.dev/viperprobe/internal/metric"
)

// sampled bounds the cgroups that Check looks at.
const sampled = 256

// Check says which families of the file tier work on this host: by family name
// the reason, in one line with what to do, why it does not; "" where it does.
// Families of other tiers are not in the answer.
func (h *Host) Check(families []*metric.Family) map[string]string {
	answer := map[string]string{}
	groups, err := h.sample()
	for _, f := range families {
		switch {
		case f.Tier != metric.File:
		case err != nil:
			answer[f.Name] = err.Error()
		default:
			answer[f.Name] = h.check(f.Name, groups)
		}
	}
	return answer
}

// sample is the paths of some cgroups, without the root, which lacks most files.
func (h *Host) sample() ([]string, error) {
	enough := errors.New("enough")
	var groups []string
	err := h.Walk(func(_ uint64, path string) error {
		if len(groups) == sampled {
			return enough
		}
		if path != "/" {
			groups = append(groups, path)
		}
		return nil
	})
	if errors.Is(err, enough) {
		err = nil
	}
	return groups, err
}

// Restarts is the family that needs no file: it is counted by who follows the tree of
// cgroups, which of them come again.
const Restarts = "restarts"

func (h *Host) check(family string, groups []string) string {
	if family == Restarts {
		return ""
	}
	if slices.ContainsFunc(interfaceFields, func(f field) bool { return f.family == family }) {
		if _, err := h.spaces.machine(h); err != nil {
			return err.Error() + ": run as root or with CAP_SYS_PTRACE, in the host's PID namespace"
		}
		return ""
	}
	reason := "cgroup v1 does not count it: needs its controller on cgroup v2 (boot with systemd.unified_cgroup_hierarchy=1)"
	for _, s := range h.sources() {
		i := slices.IndexFunc(s.fields, func(f field) bool { return f.family == family })
		if i < 0 {
			continue
		}
		if reason = h.checkSource(&s, s.fields[i].key, groups); reason == "" {
			return ""
		}
	}
	return reason
}

// v2Names are the controllers that v2 calls otherwise.
var v2Names = map[string]string{"blkio": "io", "cpuacct": "cpu"}

func (h *Host) checkSource(s *source, key string, groups []string) string {
	controller := s.controller
	if strings.HasPrefix(key, "nr_") || strings.HasPrefix(key, "throttled_") {
		controller = "cpu"
	}
	v1 := h.V1[controller] != ""
	if name, ok := v2Names[controller]; ok && !v1 {
		controller = name
	}
	if controller != "" && !v1 && !slices.Contains(strings.Fields(h.v2File("cgroup.controllers")), controller) {
		return fmt.Sprintf("the %s controller is on neither cgroup v2 nor v1: see /proc/cgroups, and boot with cgroup_enable=%s", controller, controller)
	}
	if strings.HasPrefix(s.file, "blkio.throttle.") && !h.throttleCounts() {
		return "this kernel counts IO on cgroup v1 only once a throttle limit is set on a disk: use disk_bytes of the snapshot tier, or the io controller on cgroup v2"
	}
	if strings.HasSuffix(s.file, ".pressure") {
		if _, err := os.Stat(filepath.Join(h.Proc, "pressure")); err != nil {
			return "pressure stall information is off: boot with psi=1"
		}
	}
	var fault error
	for _, at := range groups {
		found, err := h.has(s, key, at)
		if found {
			return ""
		}
		if err != nil {
			fault = err
		}
	}
	switch {
	case len(groups) == 0:
		return "" // nothing to judge by but the controller
	case errors.Is(fault, fs.ErrPermission):
		return fault.Error() + ": run as root"
	case fault != nil:
		return fault.Error()
	case v1:
		return fmt.Sprintf("no v2 cgroup has a %s group of its own with %s", controller, s.file)
	case controller == "":
		return fmt.Sprintf("this kernel has no %s in its cgroups", strings.TrimSpace(s.file+" "+key))
	}
	return fmt.Sprintf("no cgroup has %s: turn the controller on in the parents of containers (echo +%s > cgroup.subtree_control)",
		strings.TrimSpace(s.file+" "+key), controller)
}

func (h *Host) v2File(name string) string {
	b, err := os.ReadFile(filepath.Join(h.V2, name))
	if err != nil {
		return ""
	}
	return string(b)
}

// has reports whether a cgroup has a file, with a line for key.
func (h *Host) has(s *source, key, at string) (bool, error) {
	dir := h.dir(at, s.controller)
	if dir == "" {
		return false, nil
	}
	b, err := os.ReadFile(filepath.Join(dir, s.file))
	if err != nil {
		return false, missing(err)
	}
	lines := key != "" && s.controller != "blkio"
	return !lines || strings.Contains("\n"+string(b), "\n"+key+" "), nil
}

// throttleCounts reports whether the throttling layer counts at all: since Linux
// 6.10 it does not before the first limit, and shows no device for a machine
// whose disks are busy.
func (h *Host) throttleCounts() bool {
	b, err := os.ReadFile(filepath.Join(h.V1["blkio"], "blkio.throttle.io_service_bytes"))
	if err != nil || strings.Contains(string(b), ":") {
		return true
	}
	disks := source{file: "proc/diskstats", parse: parseDisks, fields: []field{{key: "rios", family: "io_operations", label: "read", scale: 1}}}
	f, err := (&Files{host: h}).open([]source{disks}, []*metric.Family{{Name: "io_operations", Tier: metric.File}})
	if err != nil {
		return true
	}
	used, err := f.Read(nil)
	return errors.Join(err, f.Close()) != nil || len(used) == 0
}
