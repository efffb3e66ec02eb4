package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"viperprobe.dev/viperprobe/test/rig"
)

// A tally is the histograms that one of libbpf-tools printed: by process, for
// runqlat -P, else under no name.
type tally map[string]*rig.Hist

// of is the histogram of a process, which may be empty.
func (t tally) of(process string) *rig.Hist {
	if h := t[process]; h != nil {
		return h
	}
	return &rig.Hist{}
}

// A tool is one of libbpf-tools at work.
type tool struct {
	cmd       *exec.Cmd
	out, errs bytes.Buffer
}

// startTools starts runqlat for every process, and biolatency for
// every disk: its own filter asks who runs when the device is done.
func (s *stage) startTools() (map[string]*tool, error) {
	all := map[string]*tool{}
	for name, args := range map[string][]string{"runqlat": {"-P"}, "biolatency": nil} {
		t := &tool{cmd: exec.Command(name, args...)}
		t.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		t.cmd.Stdout, t.cmd.Stderr = &t.out, &t.errs
		if err := t.cmd.Start(); err != nil {
			_, endErr := endTools(all)
			return nil, errors.Join(fmt.Errorf("start %s: %w (make tools installs libbpf-tools)", name, err), endErr)
		}
		all[name] = t
		if !rig.Poll(5*time.Second, func() bool { return rig.Attached(t.cmd.Process.Pid) }) {
			_, endErr := endTools(all)
			return nil, errors.Join(fmt.Errorf("%s attaches nothing", name), endErr)
		}
	}
	return all, nil
}

// endTools stops them and reads what they print at their end.
func endTools(all map[string]*tool) (map[string]tally, error) {
	said := map[string]tally{}
	var faults []error
	for name, t := range all {
		t.cmd.Process.Signal(syscall.SIGINT)
		if err := t.cmd.Wait(); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w: %s", name, err, t.errs.String()))
		}
		said[name] = readTally(&t.out)
	}
	return said, errors.Join(faults...)
}

// readTally reads lines like "4 -> 7 : 12 |**|" in microseconds, and "pid = 7 redis"
// before those of a process.
func readTally(out *bytes.Buffer) tally {
	said, process := tally{}, ""
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if name, ok := strings.CutPrefix(lines.Text(), "pid = "); ok {
			process, _, _ = strings.Cut(name, " ")
		}
		var low, high, n uint64
		if c, _ := fmt.Sscanf(lines.Text(), "%d -> %d : %d", &low, &high, &n); c < 3 {
			continue
		}
		if said[process] == nil {
			said[process] = &rig.Hist{Buckets: map[float64]uint64{}}
		}
		said[process].Buckets[float64(high+1)*1e-6] += n
		said[process].Count += n
	}
	return said
}
