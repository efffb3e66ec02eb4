package main

import (
	"errors"
	"fmt"
	"os"

	"viperprobe.dev/viperprobe/test/rig"
)

// What the tools ask: requests of redis-benchmark, seconds of wrk.
const (
	toolRequests = 400_000
	toolSeconds  = 3
)

// tools measures what redis-benchmark and wrk, which wait for their answers (closed loop),
// get from Redis and nginx beside each subject.
func (b *bench) tools() (err error) {
	dir, err := os.MkdirTemp("", "viperprobe-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := b.startServers(dir, []string{"redis", "nginx"})
	defer func() { err = errors.Join(err, s.end()) }()
	if err != nil {
		return err
	}
	subjects := []subject{{name: "nothing"}, b.ours("request_latency,request_wait"), b.ours("default")}
	rates, costs := map[cellOf][]float64{}, map[cellOf][]float64{}
	if err := inTurn(subjects, b.rounds, func(x subject, _ *running) error {
		for _, v := range s.servers {
			before, err := v.group.CPU()
			if err != nil {
				return err
			}
			var a rig.Answers
			asked := float64(toolRequests)
			if v.name == "redis" {
				a, err = rig.RedisBenchmark(s.load, v.port, toolRequests)
			} else if a, err = rig.Wrk(s.load, v.port, toolSeconds); err == nil {
				asked = a.Rate * toolSeconds
			}
			if err != nil {
				return err
			}
			after, err := v.group.CPU()
			if err != nil {
				return err
			}
			at := cellOf{x.name, v.name}
			rates[at], costs[at] = append(rates[at], a.Rate), append(costs[at], 1e6*(after-before)/asked)
		}
		return nil
	}); err != nil {
		return err
	}
	fmt.Printf("\n## What tools get: redis-benchmark -c 50 -n %d -t get, wrk -t1 -c16 -d%d, %d rounds in turn\n", toolRequests, toolSeconds, b.rounds)
	fmt.Printf("\n| subject | Redis, requests/s | against nothing | us of its CPU a request | more | nginx, requests/s | against nothing | us of its CPU a request | more |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, x := range subjects {
		fmt.Printf("| %s |", x.name)
		for _, v := range s.servers {
			at, base := cellOf{x.name, v.name}, cellOf{subjects[0].name, v.name}
			less, more := "", ""
			if at != base {
				less, more = changeOf(rates[at], rates[base], percent).percents(), changeOf(costs[at], costs[base], difference).micros()
			}
			fmt.Printf(" %s | %s | %.2f | %s |", spread(rates[at], "%.0f"), less, rig.Median(costs[at]), more)
		}
		fmt.Println()
	}
	return nil
}

// cellOf is a subject beside a server.
type cellOf struct{ subject, server string }
