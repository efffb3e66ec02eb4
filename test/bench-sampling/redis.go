package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"time"

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
		ms := modes()
		for round := range b.rounds {
			for i := range ms {
				m := ms[(i+round)%len(ms)]
				if err := b.subject.apply(m, r.families); err != nil {
					return err
				}
				if err := r.ask(b.subject.group, port, m); err != nil {
					return err
				}
			}
		}
		b.redis = append(b.redis, r)
		r.print()
	}
	return nil
}

func (r *response) print() {
	fmt.Printf("\n## Redis, GET over 50 connections on loopback: %s\n\n| looked at | p50, us | requests/s | against nothing attached |\n|---|--:|--:|--:|\n", r.name)
	base := median(r.rate[mode{"off", 0}])
	for _, m := range modes() {
		name := m.kind + ", " + number(m.ratio)
		switch m.ratio {
		case 0:
			name = "nothing attached"
		case 1:
			name = "everything"
		}
		fmt.Printf("| %s | %.0f | %.0f | %+.1f %% |\n", name, median(r.p50[m]), median(r.rate[m]), 100*(median(r.rate[m])/base-1))
	}
}

func (b *bench) startRedis() (stop func(), port string, err error) {
	stop = func() {}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return stop, "", err
	}
	if _, port, err = net.SplitHostPort(l.Addr().String()); err != nil {
		return stop, "", err
	}
	l.Close()
	cmd := exec.Command("taskset", "--cpu-list", "0", "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := b.subject.group.Start(cmd); err != nil {
		return stop, "", fmt.Errorf("%w (%w)", errTools, err)
	}
	stop = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	if !rig.Poll(10*time.Second, func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			c.Close()
		}
		return err == nil
	}) {
		return stop, "", fmt.Errorf("redis-server does not answer at port %s", port)
	}
	return stop, port, nil
}

// answer finds requests/s and the median latency in redis-benchmark's lines.
var answer = regexp.MustCompile(`"GET","([0-9.]+)","[0-9.]+","[0-9.]+","([0-9.]+)"`)

func (r *response) ask(g *rig.Group, port string, m mode) error {
	cmd := exec.Command("taskset", "--cpu-list", "1", "redis-benchmark", "-p", port, "-c", "50", "-n", strconv.Itoa(requests), "-t", "get", "--csv")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := g.Start(cmd); err != nil {
		return fmt.Errorf("%w (%w)", errTools, err)
	}
	text := make([]byte, 0, 4096)
	for buf := make([]byte, 4096); ; {
		n, err := out.Read(buf)
		text = append(text, buf[:n]...)
		if err != nil {
			break
		}
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("redis-benchmark: %w", err)
	}
	found := answer.FindSubmatch(text)
	if found == nil {
		return fmt.Errorf("redis-benchmark says %q", text)
	}
	rate, _ := strconv.ParseFloat(string(found[1]), 64)
	p50, _ := strconv.ParseFloat(string(found[2]), 64)
	r.rate[m], r.p50[m] = append(r.rate[m], rate), append(r.p50[m], p50*1000)
	return nil
}
