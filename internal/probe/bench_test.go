package probe

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkTick measures a pass over what is there: 2,000 threads more than the
// machine has, and 2,000 connections' ends in 100 network namespaces. ns/task and
// ns/socket are the whole of Tick, divided by how many the kernel has of them.
func BenchmarkTick(b *testing.B) {
	g := newGroup(b, nil)
	w := startWorker(b, workerOptions{Cgroup: g, NewNet: true, Env: []string{"GODEBUG="}})
	b.Run("empty/sockets", func(b *testing.B) { tick(b, "tcp_sent_bytes", "", 0) })
	w.do("park 2000")
	for range 10 {
		w.do("namespaces 100 100")
	}
	b.Run("tasks", func(b *testing.B) { tick(b, "cpu_time", "ns/task", tasks(b)) })
	b.Run("sockets", func(b *testing.B) {
		s := want(b, socketNames...)
		tg := newTarget(b, s, socketNames, g)
		m := tg.mark()
		n := m["tcp_connections/established"] + m["tcp_connections/listen"]
		tick(b, "tcp_sent_bytes", "ns/socket", int(n))
	})
	b.Run("read", func(b *testing.B) {
		names := append(append([]string{}, taskNames...), socketNames...)
		s := want(b, names...)
		tg := newTarget(b, s, names, g)
		tg.mark()
		dst := s.Read(tg.slot, tg.families, nil)
		for b.Loop() {
			dst = s.Read(tg.slot, tg.families, dst[:0])
		}
	})
}

// tick runs the pass of one hook group.
func tick(b *testing.B, family, unit string, n int) {
	b.Helper()
	s := want(b, family)
	for b.Loop() {
		for _, o := range s.objects {
			o.ticks = 1 // never the pass over descriptors, which is every tenth's
			if err := o.tick(false); err != nil {
				b.Fatal(err)
			}
		}
	}
	if n > 0 {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), unit)
		b.ReportMetric(float64(n), strings.TrimPrefix(unit, "ns/")+"s")
	}
}

// tasks counts the machine's threads.
func tasks(b *testing.B) int {
	b.Helper()
	n := 0
	threads, err := filepath.Glob("/proc/[0-9]*/task/[0-9]*")
	if err != nil {
		b.Fatal(err)
	}
	for _, t := range threads {
		if _, err := os.Stat(t); err == nil {
			n++
		}
	}
	return n
}

// BenchmarkPass measures the pass over the descriptors of all tasks.
func BenchmarkPass(b *testing.B) {
	s := want(b, "tcp_sent_bytes")
	for b.Loop() {
		if err := s.objects["socket"].pass(); err != nil {
			b.Fatal(err)
		}
	}
	open := 0
	for _, pattern := range []string{"/proc/[0-9]*/fd/*"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			b.Fatal(err)
		}
		open += len(files)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(max(1, open)), "ns/descriptor")
	b.Log(fmt.Sprint(open, " descriptors"))
}
