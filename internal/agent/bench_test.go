package agent

import (
	"fmt"
	"net"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// The machine of DESIGN section 10: 100 containers with 20 tasks and 20 sockets
// each, every one in a network namespace of its own.
const (
	loadContainers = 100
	loadThreads    = 15 // Go's own make it 20
	loadConns      = 10 // two sockets each
)

// load makes this process have threads that sleep and connections that are idle,
// in a network namespace whose loopback it brings up.
func load() any {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	request := struct {
		name  [16]byte
		flags uint16
		_     [22]byte
	}{name: [16]byte{'l', 'o'}, flags: syscall.IFF_UP | syscall.IFF_RUNNING}
	if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request))); e != 0 {
		return e
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	for range loadConns {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			return err
		}
		s, err := l.Accept()
		if err != nil {
			return err
		}
		kept = append(kept, c, s)
	}
	for range loadThreads {
		go func() {
			runtime.LockOSThread()
			for {
				_ = syscall.Nanosleep(&syscall.Timespec{Sec: 1000}, nil)
			}
		}()
	}
	return "loaded"
}

var kept []net.Conn

// BenchmarkTick is one window of the whole machine, without encoding and sinks, by
// tiers. Its time is CPU time as long as nothing else runs.
func BenchmarkTick(b *testing.B) {
	for _, tiers := range [][]string{{"file"}, {"snapshot"}, {"file", "snapshot"}, {"default"}} {
		b.Run(fmt.Sprint(tiers), func(b *testing.B) {
			r := measureAll(b, tiers...)
			for i := range loadContainers {
				w := startNet(b, mkdir(b, r.host, unique("load")+"-"+strconv.Itoa(i)))
				if got := w.do("load"); got != "loaded" {
					b.Fatal(got)
				}
				b.Cleanup(func() {
					w.end()
					rmdir(b, r.host.V2+"/"+unique("load")+"-"+strconv.Itoa(i))
				})
			}
			eventually(b, "all containers", func() bool {
				r.mu.Lock()
				defer r.mu.Unlock()
				return len(r.named) >= loadContainers
			})
			plan := r.plan
			plan.Interval = time.Hour // the benchmark ticks itself
			if err := r.Apply(plan); err != nil {
				b.Fatal(err)
			}
			queues := r.queues
			samples := 0
			if err := r.do(func() error {
				r.queues = nil
				before := cpuTime()
				b.ResetTimer()
				for range b.N {
					samples = r.tickOnce()
				}
				b.StopTimer()
				b.ReportMetric(float64(cpuTime()-before)/float64(b.N)/1e6, "cpu-ms/op")
				r.queues = queues
				return nil
			}); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(samples), "samples")
		})
	}
}

func (r *running) tickOnce() int {
	before := r.own.samples
	r.tick(time.Now(), false)
	return int(r.own.samples - before)
}
