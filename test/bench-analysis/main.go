// Command bench-analysis measures the analysis: how many planted causes each algorithm finds (-planted), how long
// k-Shape takes as series, points and clusters grow (-growth), how that compares with tslearn (no flag; python.sh makes
// the environment first), and what one call of all algorithms takes on thousands of series (-whole). Every case runs in a process of its own, so that its peak of memory is its own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

type options struct {
	planted, growth bool
	seeds           int
	from            uint64
	algorithms      string
	python          string
	only            string
	rounds          int
	one             string
	whole           bool
	oneWhole        string
}

func main() {
	var o options
	flag.BoolVar(&o.planted, "planted", false, "print what each algorithm finds of planted causes")
	flag.IntVar(&o.seeds, "seeds", 50, "with -planted: recordings")
	flag.Uint64Var(&o.from, "from", 1000, "with -planted: the first seed; nothing was ever tuned on 1000 and beyond")
	flag.StringVar(&o.algorithms, "algorithms", "", "with -planted: these only, separated by commas")
	flag.BoolVar(&o.growth, "growth", false, "print how k-Shape grows with series, points and clusters")
	flag.BoolVar(&o.whole, "whole", false, "print what all algorithms take on many series, in one call")
	flag.StringVar(&o.oneWhole, "one-whole", "", "run one case of -whole and print it as JSON; for this program itself")
	flag.StringVar(&o.python, "python", ".cache/oracle/bin/python", "an interpreter that has tslearn")
	flag.StringVar(&o.only, "only", "", "one size of those compared with tslearn, such as 60x1200")
	flag.IntVar(&o.rounds, "rounds", 5, "runs of each of our cases; the median counts")
	flag.StringVar(&o.one, "one", "", "run one case SERIESxPOINTSxCLUSTERSxWORKERS and print it as JSON; for this program itself")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := o.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench-analysis:", err)
		os.Exit(1)
	}
}

func (o options) run(ctx context.Context) error {
	switch {
	case o.seeds < 2 || o.rounds < 1:
		return errors.New("-seeds must be at least 2, -rounds at least 1")
	case o.one != "":
		return one(o.one, o.rounds)
	case o.oneWhole != "":
		return oneWhole(o.oneWhole)
	case o.whole:
		return o.printWhole(ctx)
	case o.planted:
		return o.comparePlanted(ctx)
	case o.growth:
		return o.printGrowth(ctx)
	}
	return o.comparePeer(ctx)
}
