package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"viperprobe.dev/viperprobe/test/rig"
)

// A mark is what everybody said at one quiet moment.
type mark struct {
	values map[rig.Key]float64
	hists  map[rig.Key]*rig.Hist
	others map[string]map[string]float64 // group, what
}

// quiet is how many windows without load come before a mark: the agent looks for
// what the kernel side missed in every tenth.
const quiet = 12

// mark waits for some windows without load and reads right after the last.
func (s *stage) mark(a *rig.Agent) (*mark, error) {
	if err := a.Windows(quiet); err != nil {
		return nil, err
	}
	m := &mark{values: map[rig.Key]float64{}, hists: map[rig.Key]*rig.Hist{}, others: map[string]map[string]float64{}}
	var err error
	for name, cmd := range s.servers {
		if m.others[name], err = procFiles(cmd.Process.Pid); err != nil {
			return nil, err
		}
	}
	for name, g := range s.groups {
		if m.others[name] == nil {
			m.others[name] = map[string]float64{}
		}
		m.others[name]["cpu usage"], err = g.CPU()
		if err != nil {
			return nil, err
		}
	}
	a.Look(func(l *rig.Ledger) {
		for k, v := range l.Values {
			m.values[k] = v
		}
		for k, h := range l.Hists {
			c := &rig.Hist{Buckets: map[float64]uint64{}}
			c.Merge(h, 1)
			m.hists[k] = c
		}
	})
	return m, nil
}

// procFiles reads what /proc says of a process and all its threads.
func procFiles(pid int) (map[string]float64, error) {
	out := map[string]float64{}
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil || len(tasks) == 0 {
		return nil, fmt.Errorf("read /proc/%d: no such process", pid)
	}
	for _, t := range tasks {
		sched, err := os.ReadFile(t + "/schedstat")
		if err != nil {
			return nil, err
		}
		var run, wait, slices float64
		if _, err := fmt.Sscan(string(sched), &run, &wait, &slices); err != nil {
			return nil, fmt.Errorf("read %s/schedstat: %w", t, err)
		}
		out["run"] += run / 1e9
		out["wait"] += wait / 1e9
		out["slices"] += slices
		for _, kind := range []string{"voluntary", "nonvoluntary"} {
			n, err := rig.Number(t+"/status", kind+"_ctxt_switches")
			if err != nil {
				return nil, err
			}
			out[kind] += n
		}
	}
	for _, key := range []string{"rchar", "wchar", "syscr", "syscw"} {
		if out[key], err = rig.Number(fmt.Sprintf("/proc/%d/io", pid), key); err != nil {
			return nil, err
		}
	}
	out["minor faults"], err = minorFaults(pid)
	return out, err
}

func minorFaults(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 8 {
		return 0, fmt.Errorf("/proc/%d/stat: %q", pid, b)
	}
	return strconv.ParseFloat(fields[7], 64)
}
