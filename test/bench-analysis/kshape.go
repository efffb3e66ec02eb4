package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"viperprobe.dev/viperprobe/internal/analysis"
)

// A size is a task of clustering.
type size struct{ n, m, k, workers int }

func (s size) String() string { return fmt.Sprintf("%dx%dx%dx%d", s.n, s.m, s.k, s.workers) }

// A timing is what one program took for one size.
type timing struct {
	Seconds    float64 // of the whole run, without making the series
	CPU        float64 // seconds of all cores together: what a busy machine does not change much
	PeakMiB    float64 // of the whole process
	Iterations int
	Labels     []int
}

// series are n noisy shifted series of k shapes, by the recipe that peer.py follows too.
func series(s size) [][]float64 {
	u := uint32(s.n*s.m + s.k)
	draw := func() float64 {
		u = u*1664525 + 1013904223
		return float64(u) / (1 << 32)
	}
	all := make([][]float64, s.n)
	for i := range all {
		kind, shift := float64(i%s.k), math.Floor(draw()*float64(s.m)/20)
		x := make([]float64, s.m)
		for t := range x {
			at := (float64(t) + shift) / float64(s.m)
			x[t] = math.Sin(2*math.Pi*(3+kind)*at) + math.Cos(2*math.Pi*(2+2*kind)*at*at) + 12*(draw()-0.5)
		}
		all[i] = analysis.ZNorm(x)
	}
	return all
}

// one runs k-Shape from the start that both programs take, the first k series as centroids.
func one(text string, rounds int) error {
	var s size
	if _, err := fmt.Sscanf(text, "%dx%dx%dx%d", &s.n, &s.m, &s.k, &s.workers); err != nil {
		return fmt.Errorf("case %q: %w", text, err)
	}
	all := series(s)
	var out timing
	var err error
	var took, cpu []float64
	for range rounds {
		begin, used := time.Now(), cpuSeconds()
		c, err := analysis.KShape(all, s.k, analysis.KShapeOptions{Starts: []analysis.Start{{Centroids: all[:s.k]}}, Workers: s.workers})
		if err != nil {
			return err
		}
		took, cpu = append(took, time.Since(begin).Seconds()), append(cpu, cpuSeconds()-used)
		out.Iterations, out.Labels = c.Iterations, c.Labels
	}
	out.Seconds, out.CPU = median(took), median(cpu)
	out.PeakMiB, err = peak()
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

// cpuSeconds is what this process has used.
func cpuSeconds() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // it cannot fail for oneself
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// peak is the most memory that this process has had until now, in MiB.
func peak() (float64, error) {
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Maxrss) / 1024, err
}

// ours measures a size in a process of its own.
func (o options) ours(ctx context.Context, s size) (timing, error) {
	self, err := os.Executable()
	if err != nil {
		return timing{}, err
	}
	return ask(exec.CommandContext(ctx, self, "-one", s.String(), "-rounds", fmt.Sprint(o.rounds)))
}

// theirs measures it with tslearn, once: a run of seconds does not scatter much.
func (o options) theirs(ctx context.Context, s size) (timing, error) {
	cmd := exec.CommandContext(ctx, o.python, "test/bench-analysis/peer.py", s.String())
	cmd.Env = os.Environ()
	for _, name := range []string{"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"} {
		cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%d", name, s.workers))
	}
	return ask(cmd)
}

func ask(cmd *exec.Cmd) (t timing, err error) {
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return t, fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	if err := json.Unmarshal(out, &t); err != nil {
		return t, fmt.Errorf("%s: read its answer: %w", strings.Join(cmd.Args, " "), err)
	}
	return t, nil
}

// comparePeer prints both side by side. Labels are equal where every series is in the same cluster.
func (o options) comparePeer(ctx context.Context) error {
	fmt.Println("| series | k | cores | ours, ms (CPU) | tslearn, ms (CPU) | ratio (CPU) | labels | iterations | memory, MiB | tslearn's |")
	fmt.Println("|---|--:|--:|--:|--:|--:|---|---|--:|--:|")
	for _, c := range []size{{60, 1200, 3, 0}, {60, 1200, 6, 0}, {500, 2000, 4, 0}, {500, 2000, 8, 0}} {
		name := fmt.Sprintf("%dx%d", c.n, c.m)
		if o.only != "" && o.only != name {
			continue
		}
		for _, c.workers = range slices.Compact([]int{1, runtime.NumCPU()}) {
			a, err := o.ours(ctx, c)
			if err != nil {
				return err
			}
			b, err := o.theirs(ctx, c)
			if err != nil {
				return err
			}
			same := "equal"
			if !slices.Equal(a.Labels, b.Labels) {
				agreement, err := analysis.Agree(a.Labels, b.Labels)
				if err != nil {
					return err
				}
				same = fmt.Sprintf("Rand %.4f", agreement.Rand)
			}
			fmt.Printf("| %s | %d | %d | %.0f (%.0f) | %.0f (%.0f) | %.0fx (%.0fx) | %s | %d, %d | %.0f | %.0f |\n", name, c.k, c.workers,
				1e3*a.Seconds, 1e3*a.CPU, 1e3*b.Seconds, 1e3*b.CPU, b.Seconds/a.Seconds, b.CPU/a.CPU, same, a.Iterations, b.Iterations, a.PeakMiB, b.PeakMiB)
		}
	}
	return nil
}

// printGrowth doubles series, points and clusters in turn. The power is that of the last doubling, per iteration.
func (o options) printGrowth(ctx context.Context) error {
	fmt.Println("| series | points | k | CPU, ms | iterations | ms an iteration | power | memory, MiB |")
	fmt.Println("|--:|--:|--:|--:|--:|--:|--:|--:|")
	base := size{125, 1000, 4, 1}
	for axis := range 3 {
		last := 0.0
		for double := range 4 {
			c := base
			*[]*int{&c.n, &c.m, &c.k}[axis] <<= double
			t, err := o.ours(ctx, c)
			if err != nil {
				return err
			}
			each := 1e3 * t.CPU / float64(t.Iterations)
			power := ""
			if last > 0 {
				power = fmt.Sprintf("%.2f", math.Log2(each/last))
			}
			last = each
			fmt.Printf("| %d | %d | %d | %.1f | %d | %.2f | %s | %.0f |\n", c.n, c.m, c.k, 1e3*t.CPU, t.Iterations, each, power, t.PeakMiB)
		}
	}
	return nil
}
