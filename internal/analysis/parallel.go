package analysis

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// cores turns an option into a number of workers: 0 means all of them.
func cores(workers int) int {
	if workers > 0 {
		return workers
	}
	return runtime.GOMAXPROCS(0)
}

// parallel calls f(worker, i) once for each i below n. Calls with one worker number never overlap, so that each
// worker can own scratch space; f writes only what belongs to i, so that results do not depend on the order.
func parallel(workers, n int, f func(worker, i int)) {
	workers = min(workers, n)
	if workers <= 1 {
		for i := range n {
			f(0, i)
		}
		return
	}
	var next atomic.Int64
	var done sync.WaitGroup
	for w := range workers {
		done.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(w, i)
			}
		})
	}
	done.Wait()
}
