// Command bench-sampling measures what sampling saves and what its estimates are
// worth: by windows of the whole hook, and by 1 event in n behind the gate. `make
// bench-sampling` runs it as root; its figures mean something on a quiet machine only.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"viperprobe.dev/viperprobe/test/rig"
)

// A bench is the options, and what was found.
type bench struct {
	rounds, repeats int
	limit           time.Duration
	picture         string
	families        []string // those asked about
	ratios          []float64
	subject         *subject
	lines           []line
	redis           []response
}

func main() {
	if role := os.Getenv(roleEnv); role != "" {
		if err := play(role); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", role, err)
			os.Exit(1)
		}
		return
	}
	b := &bench{}
	only := flag.String("only", "cost,redis,estimates", "sections to run")
	flag.IntVar(&b.rounds, "rounds", 3, "rounds of each comparison, in turn")
	flag.IntVar(&b.repeats, "repeats", 50, "estimates of each family")
	flag.DurationVar(&b.limit, "limit", 500*time.Millisecond, "how long each load runs; periods of windows are 100 ms")
	ratios := flag.String("ratios", "0.5,0.25,0.1,0.05,0.01", "ratios of the sections cost and redis")
	flag.StringVar(&b.picture, "picture", "", "write a picture (SVG) of costs and response here")
	families := flag.String("families", "", "families of the sections cost and estimates, where not all, with commas between them")
	flag.Parse()
	b.families = strings.FieldsFunc(*families, func(r rune) bool { return r == ',' })
	for word := range strings.SplitSeq(*ratios, ",") {
		ratio, err := strconv.ParseFloat(word, 64)
		if err != nil || ratio <= 0 || ratio >= 1 {
			fmt.Fprintf(os.Stderr, "bench-sampling: ratio %q: want numbers between 0 and 1\n", word)
			os.Exit(2)
		}
		b.ratios = append(b.ratios, ratio)
	}
	if err := b.run(strings.Split(*only, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "bench-sampling: FAILED:", err)
		os.Exit(1)
	}
}

func (b *bench) run(sections []string) (err error) {
	host, unlock, err := rig.Begin()
	if err != nil {
		return err
	}
	defer unlock()
	b.subject, err = newSubject(host)
	if b.subject != nil {
		defer func() { err = errors.Join(err, b.subject.close()) }()
	}
	if err != nil {
		return err
	}
	machine, err := rig.Machine()
	if err != nil {
		return err
	}
	fmt.Printf("%s, medians of %d rounds in turn, loads of %v.\n", machine, b.rounds, b.limit)
	for _, s := range []struct {
		name string
		run  func() error
	}{{"cost", b.cost}, {"redis", b.response}, {"estimates", b.estimates}} {
		if slices.Contains(sections, s.name) {
			if err := s.run(); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	if b.picture == "" {
		return nil
	}
	return os.WriteFile(b.picture, b.draw(), 0o644)
}
