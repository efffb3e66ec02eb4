package probe

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// What running a program costs beside what it does: the clock that the kernel's
// statistics read, and for an uprobe the trap, which no statistics see.

// Samples of both, and events in each.
const (
	enterSamples = 7
	billRuns     = 500
	trapHits     = 200
)

// statisticsBill is what BPF_ENABLE_STATS, which is on, has of a run of a program that
// does nothing, in ns: the time that reading its clock takes. Empty programs at hooks have
// the same, as far as a machine repeats itself (BenchmarkWindows).
func statisticsBill() (float64, error) {
	p, err := ebpf.NewProgram(emptyProgram(ebpf.SocketFilter))
	if err != nil {
		return 0, fmt.Errorf("measure what statistics bill: %w", explain(err))
	}
	defer p.Close()
	var samples []float64
	var before ebpf.ProgramStats
	for range enterSamples {
		if _, err := p.Run(&ebpf.RunOptions{Data: make([]byte, 64), Repeat: billRuns}); err != nil {
			return 0, fmt.Errorf("measure what statistics bill: %w", err)
		}
		now, err := p.Stats()
		if err != nil {
			return 0, fmt.Errorf("measure what statistics bill: %w", err)
		}
		if runs := now.RunCount - before.RunCount; runs > 0 {
			samples = append(samples, float64(now.Runtime-before.Runtime)/float64(runs))
		}
		before = *now
	}
	if len(samples) == 0 {
		return 0, errors.New("measure what statistics bill: they are off")
	}
	slices.Sort(samples)
	return samples[len(samples)/2], nil
}

func emptyProgram(t ebpf.ProgramType) *ebpf.ProgramSpec {
	return &ebpf.ProgramSpec{Name: "vp_empty", Type: t, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}}
}

// MeasureTrap is the time that a program loses by each hit of an uprobe on this machine:
// what an empty one takes away from this process. Some instructions, one of which
// begins most functions, are single-stepped, so that it is two traps; so it is here.
func MeasureTrap() (time.Duration, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	file, err := link.OpenExecutable("/proc/self/exe")
	if err != nil {
		return 0, fmt.Errorf("measure a trap: %w", err)
	}
	at, err := fileOffset(trapped)
	if err != nil {
		return 0, fmt.Errorf("measure a trap: %w", err)
	}
	p, err := ebpf.NewProgram(emptyProgram(ebpf.Kprobe))
	if err != nil {
		return 0, fmt.Errorf("measure a trap: %w", explain(err))
	}
	defer p.Close()
	without := callTrapped()
	l, err := file.Uprobe("", p, &link.UprobeOptions{Address: at})
	if err != nil {
		return 0, fmt.Errorf("measure a trap: %w", explain(err))
	}
	with := callTrapped()
	return max(0, with-without), l.Close()
}

// callTrapped is the CPU time of a call of trapped, the median of some.
func callTrapped() time.Duration {
	var samples []time.Duration
	for range enterSamples {
		began := ThreadTime()
		for n := range trapHits {
			trapped(n)
		}
		samples = append(samples, (ThreadTime()-began)/trapHits)
	}
	slices.Sort(samples)
	return samples[len(samples)/2]
}

// ThreadTime is the CPU time of the calling thread. The caller is locked to it.
func ThreadTime() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) // cannot fail for this clock
	return time.Duration(t.Nano())
}

// fileOffset is where in its file a function begins.
func fileOffset(function any) (uint64, error) {
	pc := uint64(reflect.ValueOf(function).Pointer())
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(maps)) {
		var from, to, offset uint64
		var rights string
		if _, err := fmt.Sscanf(line, "%x-%x %s %x", &from, &to, &rights, &offset); err == nil && from <= pc && pc < to {
			return pc - from + offset, nil
		}
	}
	return 0, fmt.Errorf("nothing is mapped at %#x", pc)
}

// trapped is there to be trapped. Its stack makes it begin as most functions do.
//
//go:noinline
func trapped(n int) byte {
	var stack [4096]byte
	stack[n%len(stack)] = byte(n)
	return stack[(n*7)%len(stack)]
}
