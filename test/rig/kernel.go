package rig

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A Map is a map that the agent has in the kernel, as bpftool dumps it.
type Map struct {
	Name     string
	ID       int `json:"id"`
	Type     string
	Memlock  int `json:"bytes_memlock"`
	MaxItems int `json:"max_entries"`
}

// Maps lists the maps that the agent holds.
func (a *Agent) Maps() ([]Map, error) { return MapsOf(a.Pid) }

// MapsOf lists the maps that a process holds.
func MapsOf(pid int) ([]Map, error) {
	infos, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	if err != nil {
		return nil, err
	}
	held := map[int]bool{}
	for _, info := range infos {
		text, _ := os.ReadFile(info) // descriptors come and go
		for line := range strings.Lines(string(text)) {
			var id int
			if n, _ := fmt.Sscanf(line, "map_id: %d", &id); n == 1 {
				held[id] = true
			}
		}
	}
	var all, out []Map
	if err := bpftool(&all, "map", "show"); err != nil {
		return nil, err
	}
	for _, m := range all {
		if held[m.ID] {
			out = append(out, m)
		}
	}
	return out, nil
}

// An Entry is one of a map, with the members that its type information names.
type Entry struct {
	Formatted struct {
		Key   json.RawMessage
		Value map[string]any
	}
}

// Dump reads a map of the agent by name.
func (a *Agent) Dump(name string) ([]Entry, error) {
	maps, err := a.Maps()
	if err != nil {
		return nil, err
	}
	for _, m := range maps {
		if m.Name == name {
			var entries []Entry
			return entries, bpftool(&entries, "map", "dump", "id", fmt.Sprint(m.ID))
		}
	}
	return nil, fmt.Errorf("the agent holds no map %s", name)
}

func bpftool(into any, args ...string) error {
	out, err := exec.Command("bpftool", append([]string{"-j"}, args...)...).Output()
	if err != nil {
		return fmt.Errorf("bpftool %s: %w", strings.Join(args, " "), err)
	}
	if err := json.Unmarshal(out, into); err != nil {
		return fmt.Errorf("bpftool %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// Attached tells whether a process holds links or events of programs.
func Attached(pid int) bool { return Links(pid) > 0 }

// Links is how many links and events of programs a process holds.
func Links(pid int) (n int) {
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, fd := range fds {
		if to, _ := os.Readlink(fd); strings.Contains(to, "bpf_link") || strings.Contains(to, "perf_event") {
			n++
		}
	}
	return n
}
