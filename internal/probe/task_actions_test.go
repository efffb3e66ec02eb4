package probe

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

func taskActions() map[string]action {
	return map[string]action{
		"spin": func(_ *job, args []string) (answer, error) { // ms of CPU time
			return nil, spin(time.Duration(number(args, 0)) * time.Millisecond)
		},
		"sleep": func(_ *job, args []string) (answer, error) { // times, ns each
			before := usage()
			for range number(args, 0) {
				ts := unix.NsecToTimespec(int64(number(args, 1)))
				for unix.Nanosleep(&ts, &ts) == unix.EINTR {
				}
			}
			return answer{"voluntary": usage()["thread voluntary"] - before["thread voluntary"]}, nil
		},
		"touch": touch, // pages
		"exit":  func(*job, []string) (answer, error) { os.Exit(0); return nil, nil },
	}
}

// spin burns CPU time of this thread.
func spin(d time.Duration) error {
	var start, now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &start); err != nil {
		return err
	}
	for now.Nano()-start.Nano() < int64(d) {
		if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now); err != nil {
			return err
		}
	}
	return nil
}

// touch writes to fresh pages, one fault each.
func touch(j *job, args []string) (answer, error) {
	for _, pages := range []int{1, number(args, 0)} { // the first brings the code of the second into memory
		b, err := unix.Mmap(-1, 0, pages*os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			return nil, err
		}
		if err := unix.Madvise(b, unix.MADV_NOHUGEPAGE); err != nil && err != unix.EINVAL {
			return nil, err
		}
		faults := writeEach(b)
		j.keep = append(j.keep, b)
		if pages > 1 {
			return answer{"minor": faults}, nil
		}
	}
	return nil, nil
}

// writeEach writes to each page and says how many faults its thread had meanwhile.
func writeEach(b []byte) int64 {
	var before, after unix.Rusage // on the stack, which is touched already
	_ = unix.Getrusage(unix.RUSAGE_THREAD, &before)
	for i := 0; i < len(b); i += os.Getpagesize() {
		b[i] = 1
	}
	_ = unix.Getrusage(unix.RUSAGE_THREAD, &after)
	return after.Minflt - before.Minflt
}
