package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"text/tabwriter"
)

// A row sets one number of ours beside another's. within is how far they may be
// apart, for the stated cause; 0 means equal.
type row struct {
	what         string
	ours, theirs float64
	oracle       string
	within       float64
	cause        string
}

func (r row) holds() bool { return math.Abs(r.ours-r.theirs) <= r.within }

type report struct{ rows []row }

func (r *report) add(x row) { r.rows = append(r.rows, x) }

// print writes the table and fails for what is not explained.
func (r *report) print() error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprintln(w, "| what\t| ours\t| oracle\t| its value\t| difference\t| verdict\t|")
	fmt.Fprintln(w, "|---\t|---\t|---\t|---\t|---\t|---\t|")
	var faults []error
	for _, x := range r.rows {
		verdict := "equal"
		switch {
		case !x.holds():
			verdict = fmt.Sprintf("NOT EXPLAINED (at most %.6g)", x.within)
			faults = append(faults, fmt.Errorf("%s: ours %.9g, %s %.9g, at most %.6g apart", x.what, x.ours, x.oracle, x.theirs, x.within))
		case x.ours != x.theirs:
			verdict = "explained: " + x.cause
		}
		percent := 0.0
		if x.theirs != 0 {
			percent = 100 * (x.ours/x.theirs - 1)
		}
		fmt.Fprintf(w, "| %s\t| %.9g\t| %s\t| %.9g\t| %+.3f %%\t| %s\t|\n", x.what, x.ours, x.oracle, x.theirs, percent, verdict)
	}
	return errors.Join(append(faults, w.Flush())...)
}
