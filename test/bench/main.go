// Command bench measures what ViperProbe costs, beside others in the same run, and
// prints tables for docs/performance.md. `make bench` runs it as root; its figures
// mean something on a quiet machine only.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"

	"viperprobe.dev/viperprobe/internal/cgroup"
	"viperprobe.dev/viperprobe/test/rig"
)

// A bench is the options, and where it runs.
type bench struct {
	agent, viperprobe string
	rounds            int
	seconds           int
	servers           []string // of the loads
	classes           bool
	load              float64 // seconds of each
	envoy             string
	picture           string
	peers             peerFlags
	host              *cgroup.Host
}

func main() {
	if role := os.Getenv(roleEnv); role != "" {
		os.Exit(play(role))
	}
	b := &bench{}
	only := flag.String("only", "storm,tiers,hooks", "sections to run; there are loads and tools, too")
	servers := flag.String("servers", "nginx,redis,postgresql,envoy", "servers of the section loads; envoy is put in front of nginx")
	flag.BoolVar(&b.classes, "classes", false, "each class of families in the section loads, too")
	flag.Float64Var(&b.load, "load", 0.7, "seconds of each load")
	flag.StringVar(&b.picture, "picture", "", "write a picture (SVG) of the section loads here")
	flag.StringVar(&b.envoy, "envoy", "", "Envoy's program")
	flag.StringVar(&b.agent, "agent", "bin/viperprobe-agent", "the agent's program")
	flag.StringVar(&b.viperprobe, "viperprobe", "bin/viperprobe", "viperprobe's program")
	flag.IntVar(&b.rounds, "rounds", 7, "rounds of each comparison, in turn")
	flag.IntVar(&b.seconds, "seconds", 10, "how long the tiers are measured in each round; peers are scraped every 5")
	flag.Var(&b.peers, "peer", "compare tiers and loads with this program too: name=command, or name=URL@command if it is to be scraped; may be repeated")
	flag.Parse()
	b.servers = strings.Split(*servers, ",")
	if err := b.run(strings.Split(*only, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "bench: FAILED:", err)
		os.Exit(1)
	}
}

func (b *bench) run(sections []string) error {
	host, unlock, err := rig.Begin()
	if err != nil {
		return err
	}
	b.host = host
	defer func() { unlock() }()
	machine, err := rig.Machine()
	if err != nil {
		return err
	}
	fmt.Printf("%s, medians of %d rounds in turn, spread in brackets.\n", machine, b.rounds)
	for _, s := range []struct {
		name string
		run  func() error
	}{{"storm", b.storm}, {"tiers", b.tiers}, {"tools", b.tools}, {"loads", b.loads}, {"hooks", func() error {
		unlock() // the benchmarks of package probe take the lock themselves
		unlock = func() {}
		return b.hooks()
	}}} {
		if slices.Contains(sections, s.name) {
			if err := s.run(); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	return nil
}
