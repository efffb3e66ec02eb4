package probe

import (
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/metric"
)

// openCounter opens a counter of one CPU, for all tasks. It is pinned: where there is
// no room for it, it says so, and does not take turns with others.
func openCounter(e *metric.PerfEvent, cpu int) (int, error) {
	attr := unix.PerfEventAttr{Type: e.Type, Config: e.Config, Bits: unix.PerfBitPinned,
		Read_format: unix.PERF_FORMAT_TOTAL_TIME_ENABLED | unix.PERF_FORMAT_TOTAL_TIME_RUNNING}
	attr.Size = uint32(unsafe.Sizeof(attr))
	fd, err := unix.PerfEventOpen(&attr, -1, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
	switch {
	case err == nil:
		return fd, nil
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EOPNOTSUPP):
		return -1, fmt.Errorf("this machine has no such counter (a virtual machine has none unless it is given one): %w", err)
	}
	return -1, fmt.Errorf("open a counter of CPU %d: %w", cpu, explain(err))
}

// counts reports whether the machine has the family's counter, if it reads one.
func counts(f *metric.Family) error {
	if f.Perf == nil {
		return nil
	}
	fd, err := openCounter(f.Perf, 0)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// count opens the counters that a program reads, on all CPUs that are there. The map
// holds them.
func (o *object) count(program string, cpus int) error {
	for f, rung := range o.rungs {
		if f.Perf == nil || !slices.Contains(rung, program) {
			continue
		}
		counters := o.coll.Maps[f.Name+"_counters"]
		if counters == nil {
			return fmt.Errorf("object %s has no map %s_counters: rebuild it with `make gen`", o.name, f.Name)
		}
		for cpu := range cpus {
			fd, err := openCounter(f.Perf, cpu)
			if errors.Is(err, unix.ENODEV) { // the CPU is off
				continue
			}
			if err != nil {
				return err
			}
			err = counters.Put(uint32(cpu), uint32(fd))
			if err = errors.Join(err, unix.Close(fd)); err != nil {
				return fmt.Errorf("hand over the counter of CPU %d: %w", cpu, err)
			}
		}
	}
	return nil
}

// uncount gives up the counters that a program read.
func (o *object) uncount(program string, cpus int) {
	for f, rung := range o.rungs {
		if f.Perf == nil || !slices.Contains(rung, program) {
			continue
		}
		counters := o.coll.Maps[f.Name+"_counters"]
		for cpu := range cpus {
			if counters != nil {
				_ = counters.Delete(uint32(cpu)) // it may have none
			}
		}
	}
}
