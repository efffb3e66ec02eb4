package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"

	"viperprobe.dev/viperprobe/internal/analysis"
	"viperprobe.dev/viperprobe/test/planted"
)

// A measure is one column of the table.
type measure struct {
	name    string
	format  string
	of      func(planted.Marks) float64
	lessWin bool // less is better
}

var measures = []measure{
	{"causes", "%.2f", func(m planted.Marks) float64 { return m.Causes }, false},
	{"right", "%.2f", func(m planted.Marks) float64 { return m.Right }, false},
	{"series", "%.1f", func(m planted.Marks) float64 { return m.Series }, true},
	{"cost", "%.2f", func(m planted.Marks) float64 { return m.Cost }, true},
	{"AP", "%.3f", func(m planted.Marks) float64 { return m.AP }, false},
	{"recall", "%.2f", func(m planted.Marks) float64 { return m.Recall }, false},
	{"precision", "%.2f", func(m planted.Marks) float64 { return m.Precision }, false},
	{"false/h", "%.1f", func(m planted.Marks) float64 { return m.False }, true},
	{"lead, s", "%.0f", func(m planted.Marks) float64 { return m.Lead }, false},
}

// comparePlanted runs the algorithms on shops of fresh seeds and prints, for each measure, the median over seeds with
// a 95 % interval, and how often ours is ahead of k-Shape alone or behind.
func (o options) comparePlanted(ctx context.Context) error {
	var names []string
	for _, a := range analysis.Algorithms() {
		if o.algorithms == "" || slices.Contains(strings.Split(o.algorithms, ","), a.Name) {
			names = append(names, a.Name)
		}
	}
	marks := map[string][]planted.Marks{}
	for n := range o.seeds {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		seed := o.from + uint64(n)
		s := planted.New(seed)
		results, errs := analysis.Compare(s.Recording, analysis.Options{Costs: s.Costs, Seed: seed}, names...)
		for i, name := range names {
			if errs[i] != nil {
				return fmt.Errorf("seed %d, %s: %w", seed, name, errs[i])
			}
			marks[name] = append(marks[name], s.Mark(results[i]))
		}
		fmt.Fprintf(os.Stderr, "\r%d of %d recordings", n+1, o.seeds)
	}
	fmt.Fprintln(os.Stderr)
	fmt.Printf("%d recordings, seeds %d to %d; median over recordings [95 %% interval of the median]; workloads held out in turn\n\n",
		o.seeds, o.from, o.from+uint64(o.seeds)-1)
	printMarks(names, marks)
	if marks["supervised"] != nil && marks["kshape"] != nil {
		fmt.Print("\nsupervised against kshape, recording by recording\n\n")
		printPairs(marks["supervised"], marks["kshape"])
	}
	return nil
}

func column(all []planted.Marks, m measure) []float64 {
	out := make([]float64, len(all))
	for i, v := range all {
		if out[i] = m.of(v); math.IsNaN(out[i]) {
			out[i] = 0
		}
	}
	return out
}

func printMarks(names []string, marks map[string][]planted.Marks) {
	head, rule := "| algorithm |", "|---|"
	for _, m := range measures {
		head, rule = head+" "+m.name+" |", rule+"--:|"
	}
	fmt.Println(head)
	fmt.Println(rule)
	for _, name := range names {
		line := "| " + name + " |"
		for _, m := range measures {
			x := column(marks[name], m)
			low, high := interval(x)
			cell := fmt.Sprintf(m.format, median(x))
			if low != high {
				cell += fmt.Sprintf(" ["+m.format+", "+m.format+"]", low, high)
			}
			line += " " + cell + " |"
		}
		fmt.Println(line)
	}
}

func printPairs(ours, theirs []planted.Marks) {
	fmt.Println("| measure | ahead | equal | behind | mean difference [95 %] |")
	fmt.Println("|---|--:|--:|--:|--:|")
	for _, m := range measures {
		a, b := column(ours, m), column(theirs, m)
		ahead, equal, behind := 0, 0, 0
		d := make([]float64, len(a))
		for i := range a {
			d[i] = a[i] - b[i]
			win := d[i] > 0
			if m.lessWin {
				win = d[i] < 0
			}
			switch {
			case d[i] == 0:
				equal++
			case win:
				ahead++
			default:
				behind++
			}
		}
		low, high := resampled(d, mean)
		fmt.Printf("| %s | %d | %d | %d | "+m.format+" ["+m.format+", "+m.format+"] |\n", m.name, ahead, equal, behind, mean(d), low, high)
	}
}

func mean(x []float64) float64 {
	var s float64
	for _, v := range x {
		s += v
	}
	return s / float64(len(x))
}

func median(x []float64) float64 { return quantile(x, .5) }

// quantile interpolates between order statistics.
func quantile(x []float64, q float64) float64 {
	s := slices.Sorted(slices.Values(x))
	at := q * float64(len(s)-1)
	i := int(at)
	return s[i] + (at-float64(i))*(s[min(i+1, len(s)-1)]-s[i])
}

// interval is the 95 % percentile bootstrap of the median.
func interval(x []float64) (low, high float64) { return resampled(x, median) }

func resampled(x []float64, statistic func([]float64) float64) (low, high float64) {
	r := rand.New(rand.NewPCG(1, uint64(len(x))))
	const times = 2000
	all := make([]float64, times)
	sample := make([]float64, len(x))
	for n := range all {
		for i := range sample {
			sample[i] = x[r.IntN(len(x))]
		}
		all[n] = statistic(sample)
	}
	return quantile(all, .025), quantile(all, .975)
}
