package rig

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
)

// Answers is what a load generator says that it got. P50 is in microseconds.
type Answers struct{ Rate, P50 float64 }

// LoadCPUs are all CPUs but the first, which the servers have.
func LoadCPUs() string { return fmt.Sprintf("1-%d", runtime.NumCPU()-1) }

var (
	redisAnswers = regexp.MustCompile(`"GET","([0-9.]+)","[0-9.]+","[0-9.]+","([0-9.]+)"`)
	wrkRate      = regexp.MustCompile(`Requests/sec: +([0-9.]+)`)
	wrkMedian    = regexp.MustCompile(`50% +([0-9.]+)(us|ms)`)
)

// RedisBenchmark has redis-benchmark ask a Redis for a key over 50 connections, closed
// loop, from LoadCPUs in the given cgroup.
func RedisBenchmark(g *Group, port, requests int) (a Answers, err error) {
	text, err := output(g, Pinned(LoadCPUs(), "redis-benchmark", "-p", strconv.Itoa(port), "-c", "50", "-n", strconv.Itoa(requests), "-t", "get", "--csv"))
	if err != nil {
		return a, err
	}
	found := redisAnswers.FindSubmatch(text)
	if found == nil {
		return a, fmt.Errorf("redis-benchmark says %q", text)
	}
	a = Answers{number(found[1]), 1000 * number(found[2])}
	return a, nil
}

// Wrk has wrk ask a web server over 16 connections for so many seconds, closed loop, from
// LoadCPUs in the given cgroup. An answer that is not 2xx is an error.
func Wrk(g *Group, port, seconds int) (a Answers, err error) {
	text, err := output(g, Pinned(LoadCPUs(), "wrk", "-t1", "-c16", fmt.Sprintf("-d%d", seconds), "--latency", "http://"+Address(port)+"/"))
	if err != nil {
		return a, err
	}
	rate, median := wrkRate.FindSubmatch(text), wrkMedian.FindSubmatch(text)
	if rate == nil || median == nil || bytes.Contains(text, []byte("Non-2xx")) {
		return a, fmt.Errorf("wrk says %q", text)
	}
	a = Answers{number(rate[1]), number(median[1])}
	if string(median[2]) == "ms" {
		a.P50 *= 1000
	}
	return a, nil
}

// number reads what an expression has found to be digits.
func number(digits []byte) float64 {
	n, _ := strconv.ParseFloat(string(digits), 64)
	return n
}

// output runs a command in a cgroup: what it prints.
func output(g *Group, cmd *exec.Cmd) ([]byte, error) {
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, os.Stderr
	if err := g.Start(cmd); err != nil {
		return nil, err
	}
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("run %s: %w", cmd.Args, err)
	}
	return text.Bytes(), nil
}
