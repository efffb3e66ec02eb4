package main

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"viperprobe.dev/viperprobe/test/rig"
)

//go:embed trace.bt
var script string

// A trace is bpftrace at work.
type trace struct {
	cmd  *exec.Cmd
	out  *bufio.Reader
	errs bytes.Buffer
}

// startTrace starts the script and returns when it is attached. It gets tracefs in
// a mount namespace of its own, where the machine has none.
func (s *stage) startTrace() (*trace, error) {
	const shell = `mount -t debugfs debugfs /sys/kernel/debug; mount -t tracefs tracefs /sys/kernel/tracing; exec "$0" "$@"`
	t := &trace{cmd: exec.Command("unshare", "--mount", "sh", "-c", shell, "bpftrace", "-f", "json", "-e", script,
		strconv.Itoa(s.ports["redis"]), strconv.Itoa(s.ports["nginx"]))}
	t.cmd.Env = append(os.Environ(), "BPFTRACE_MAP_KEYS_MAX=65536")
	t.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	t.cmd.Stderr = &t.errs
	out, err := t.cmd.StdoutPipe()
	if err == nil {
		err = t.cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start bpftrace: %w", err)
	}
	t.out = bufio.NewReaderSize(out, 1<<20)
	for {
		line, err := t.out.ReadString('\n')
		if strings.Contains(line, "attached_probes") {
			return t, nil
		}
		if err != nil {
			t.cmd.Wait()
			return nil, fmt.Errorf("bpftrace does not start: %s", t.errs.String())
		}
	}
}

// said is what bpftrace counted: by map, by the first part of the key (a cgroup id
// or a port), and by the second, which is a step of time or empty.
type said map[string]map[string]map[string]float64

// end stops bpftrace and reads its maps.
func (t *trace) end() (said, error) {
	t.cmd.Process.Signal(syscall.SIGINT)
	all := said{}
	for d := json.NewDecoder(t.out); ; {
		var line struct {
			Type string
			Data json.RawMessage
		}
		if err := d.Decode(&line); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("read what bpftrace says: %w", err)
		}
		var maps map[string]map[string]float64
		if line.Type != "map" || json.Unmarshal(line.Data, &maps) != nil {
			continue
		}
		for name, entries := range maps {
			all[name] = map[string]map[string]float64{}
			for k, v := range entries {
				owner, step, _ := strings.Cut(k, ",")
				if all[name][owner] == nil {
					all[name][owner] = map[string]float64{}
				}
				all[name][owner][step] += v
			}
		}
	}
	if err := t.cmd.Wait(); err != nil {
		return nil, fmt.Errorf("bpftrace: %w: %s", err, t.errs.String())
	}
	return all, nil
}

// sum is what a map counts for an owner.
func (s said) sum(name, owner string) (total float64) {
	for _, v := range s[name][owner] {
		total += v
	}
	return total
}

// hist makes a histogram of the steps of an owner, by the upper bounds of these.
func (s said) hist(name, owner string) *rig.Hist {
	h := &rig.Hist{Buckets: map[float64]uint64{}}
	for step, v := range s[name][owner] {
		n, err := strconv.ParseFloat(step, 64)
		if err != nil {
			continue
		}
		bound := (n + 0.5) * 100e-9
		if n >= 10_000 {
			bound = (n - 10_000 + 0.5) * 100e-6
		}
		h.Buckets[bound] += uint64(v)
		h.Count += uint64(v)
	}
	return h
}
