package kerneltest

import (
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Storm makes n pairs of threads hand a byte to and fro, each pair on a CPU of its
// own: a switch for each byte, as fast as it goes, until stop. Children do not inherit
// the pipes: who holds one would keep stop waiting.
func Storm(n int) (stop func()) {
	signal.Ignore(unix.SIGPIPE)
	var over atomic.Bool
	var all sync.WaitGroup
	for i := range n {
		var there, back [2]int
		if err := unix.Pipe2(there[:], unix.O_CLOEXEC); err != nil {
			panic(err)
		}
		if err := unix.Pipe2(back[:], unix.O_CLOEXEC); err != nil {
			panic(err)
		}
		hand := func(from, to int) {
			runtime.LockOSThread() // ends with the goroutine, and with it the thread
			var cpus unix.CPUSet
			cpus.Set(i % runtime.NumCPU())
			_ = unix.SchedSetaffinity(0, &cpus) // a machine with other CPUs storms, too
			b := make([]byte, 1)
			for !over.Load() {
				if n, err := unix.Read(from, b); n == 0 && err == nil {
					break // the other has ended
				}
				_, _ = unix.Write(to, b) // the other has ended: the next read says so
			}
			unix.Close(to)
			unix.Close(from)
		}
		all.Go(func() { hand(there[0], back[1]) })
		all.Go(func() { hand(back[0], there[1]) })
		_, _ = unix.Write(there[1], []byte{1}) // the first byte; an empty pipe takes it
	}
	return func() { over.Store(true); all.Wait() }
}
