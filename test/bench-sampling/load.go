package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/test/rig"
)

// Loads are this program again, in a cgroup of their own, for a given time: closed loops
// without a gap, else units that a clock has due at random, so long apart in the mean.
const (
	roleEnv = "VIPERPROBE_SAMPLING_ROLE"
	timeEnv = "VIPERPROBE_SAMPLING_TIME"
	gapEnv  = "VIPERPROBE_SAMPLING_GAP"
)

// A run is what a load did.
type run struct {
	Ops int     // units of the load
	P50 float64 // ns a unit, of batches; closed loops only
}

// batch is how many units are timed together: reading the clock must cost little.
const batch = 64

// play runs a role of a load in this process.
func play(role string) error {
	if role == "pong" {
		rig.Pong()
		return nil
	}
	limit, err := time.ParseDuration(os.Getenv(timeEnv))
	if err != nil {
		return err
	}
	gap, err := time.ParseDuration(os.Getenv(gapEnv))
	if err != nil {
		return err
	}
	unit, end, err := roles[role]()
	if err != nil {
		return err
	}
	var r run
	if gap > 0 {
		r, err = paced(unit, limit, gap)
	} else {
		r, err = closed(unit, limit)
	}
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		return err
	}
	return end()
}

// closed does one unit after the other.
func closed(unit func() error, limit time.Duration) (run, error) {
	times, began := []time.Duration{}, time.Now()
	for at := began; at.Sub(began) < limit; {
		for range batch {
			if err := unit(); err != nil {
				return run{}, err
			}
		}
		now := time.Now()
		times, at = append(times, now.Sub(at)), now
	}
	slices.Sort(times)
	return run{len(times) * batch, float64(times[len(times)/2]) / batch}, nil
}

// paced does a unit when it is due, or as soon as what was due before it is done. It waits
// by looking at the clock, which is no system call.
func paced(unit func() error, limit, gap time.Duration) (r run, err error) {
	began := time.Now()
	for due := 0.0; due < float64(limit); due += rand.ExpFloat64() * float64(gap) {
		for float64(time.Since(began)) < due {
		}
		if err := unit(); err != nil {
			return r, err
		}
		r.Ops++
	}
	return r, nil
}

var roles = map[string]func() (unit, end func() error, err error){"ping": ping, "call": call, "touch": touch, "read": read}

func none() error { return nil }

// call is a system call that does nothing.
func call() (unit, end func() error, err error) {
	return func() error { unix.RawSyscall(unix.SYS_GETPPID, 0, 0, 0); return nil }, none, nil
}

// touch takes a page fault.
func touch() (unit, end func() error, err error) {
	const pages = 1024
	b, err := unix.Mmap(-1, 0, pages*4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, nil, err
	}
	_ = unix.Madvise(b, unix.MADV_NOHUGEPAGE) // a kernel without huge pages refuses
	next := 0
	return func() error {
		if next == pages {
			next = 0
			if err := unix.Madvise(b, unix.MADV_DONTNEED); err != nil {
				return err
			}
		}
		b[next*4096] = 1
		next++
		return nil
	}, none, nil
}

// read reads a page of a file that is in the page cache: a hole, so that no disk is
// asked.
func read() (unit, end func() error, err error) {
	f, err := os.CreateTemp("", "viperprobe-sampling")
	if err != nil {
		return nil, nil, err
	}
	if err := errors.Join(os.Remove(f.Name()), f.Truncate(1<<20)); err != nil {
		return nil, nil, err
	}
	b, at := make([]byte, 4096), 0
	return func() error {
		at = (at + 4096) % (1 << 20)
		_, err := unix.Pread(int(f.Fd()), b, int64(at))
		return err
	}, f.Close, nil
}

// ping hands a byte to a child on the same CPU and back: two switches.
func ping() (unit, end func() error, err error) {
	p, err := rig.NewPing(roleEnv + "=pong")
	if err != nil {
		return nil, nil, err
	}
	return p.Once, p.End, nil
}

// start runs a load in a cgroup, on CPU 0, until its end.
func start(g *rig.Group, role string, limit, gap time.Duration) (run, error) {
	var r run
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	cmd := rig.Pinned("0", self)
	cmd.Env = append(os.Environ(), roleEnv+"="+role, timeEnv+"="+limit.String(), gapEnv+"="+gap.String(), "GOMAXPROCS=1", "GOGC=off")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return r, err
	}
	if err := g.Start(cmd); err != nil {
		return r, err
	}
	err = json.NewDecoder(out).Decode(&r)
	if err := errors.Join(err, cmd.Wait()); err != nil {
		return r, fmt.Errorf("load %s: %w", role, err)
	}
	return r, nil
}

// number prints a ratio.
func number(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
