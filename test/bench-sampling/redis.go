package main

import (
	"fmt"
	"os"

	"viperprobe.dev/viperprobe/test/rig"
)

const requests = 40_000

// A response is what Redis under full load answered with in each mode.
type response struct {
	name     string
	families []string
	p50      map[mode][]float64 // us
	rate     map[mode][]float64
}

// response measures what the clients of a Redis see of sampling: redis-benchmark with
// 50 connections, server and clients both measured.
func (b *bench) response() error {
	stop, port, err := b.startRedis()
	defer stop()
	if err != nil {
		return err
	}
	all := []string{"runq_latency", "oncpu_slice", "syscalls", "syscall_errors", "user_faults", "page_cache_lookups", "udp_datagrams"}
	for _, r := range []response{{name: "runq_latency", families: []string{"runq_latency"}}, {name: "syscalls", families: []string{"syscalls"}}, {name: "seven families", families: all}} {
		r.p50, r.rate = map[mode][]float64{}, map[mode][]float64{}
		ms := b.modes()
		for round := range b.rounds {
			for i := range ms {
				m := ms[(i+round)%len(ms)]
				if err := b.subject.apply(m, r.families); err != nil {
					return err
				}
				a, err := rig.RedisBenchmark(b.subject.group, port, requests)
				if err != nil {
					return fmt.Errorf("%w (%w)", errTools, err)
				}
				r.rate[m], r.p50[m] = append(r.rate[m], a.Rate), append(r.p50[m], a.P50)
			}
		}
		b.redis = append(b.redis, r)
		r.print(ms)
	}
	return nil
}

func (r *response) print(ms []mode) {
	fmt.Printf("\n## Redis, GET over 50 connections on loopback: %s\n\n| looked at | p50, us | requests/s | against nothing attached |\n|---|--:|--:|--:|\n", r.name)
	base := rig.Median(r.rate[nobody])
	for _, m := range ms {
		fmt.Printf("| %s | %.0f | %.0f | %+.1f %% |\n", m, rig.Median(r.p50[m]), rig.Median(r.rate[m]), 100*(rig.Median(r.rate[m])/base-1))
	}
}

func (b *bench) startRedis() (stop func(), port int, err error) {
	stop = func() {}
	if port, err = rig.FreePort(); err != nil {
		return stop, 0, err
	}
	cmd := rig.Pinned("0", rig.Redis(port, os.TempDir())...)
	if err := b.subject.group.Start(cmd); err != nil {
		return stop, 0, fmt.Errorf("%w (%w)", errTools, err)
	}
	return func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }, port, rig.Listens(port)
}
