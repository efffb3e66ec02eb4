package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"viperprobe.dev/viperprobe/internal/analysis"
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/tui"
)

// print writes what was found, and gives exit code 3 where an algorithm failed.
func (a *analyzer) print(c *cobra.Command, x *analyzed, families []*metric.Family) error {
	var err error
	switch a.output.value {
	case "json":
		err = x.printJSON(c.OutOrStdout())
	case "yaml":
		err = a.printCriticalDocument(c.OutOrStdout(), x, families)
	default:
		err = x.printTable(c.OutOrStdout())
	}
	if err == nil && a.html != "" {
		err = a.writeHTML(x, families)
	}
	if err == nil && a.critical != "" {
		err = a.writeCritical(x, families)
	}
	var faults []error
	for _, f := range x.failed {
		faults = append(faults, fmt.Errorf("%s: %w", f.name, f.err))
	}
	if err == nil && len(faults) > 0 {
		return &exitError{exitPartial, errors.Join(faults...)}
	}
	return err
}

func (x *analyzed) printJSON(w io.Writer) error {
	if x.single {
		return writeJSON(w, x.encodeResult(x.results[0]))
	}
	all := []jsonAnalysis{}
	for _, r := range x.results {
		all = append(all, x.encodeResult(r))
	}
	return writeJSON(w, all)
}

// best is the result whose set is recommended: the supervised one if it is there, else
// the first, which is that of the paper's algorithm.
func (x *analyzed) best() analysis.Result {
	for _, r := range x.results {
		if r.Algorithm == "supervised" {
			return r
		}
	}
	return x.results[0]
}

func (x *analyzed) printTable(w io.Writer) error {
	fmt.Fprintln(w, x.summary())
	if !x.single {
		fmt.Fprintln(w)
		if err := x.printSideBySide(w); err != nil {
			return err
		}
	}
	r := x.best()
	if err := x.printCritical(w, r); err != nil {
		return err
	}
	if x.single {
		if err := x.printClusters(w, r); err != nil {
			return err
		}
		if err := printSummaries(w, r); err != nil {
			return err
		}
	}
	return x.printRest(w, r)
}

// summary says in one line what was read.
func (x *analyzed) summary() string {
	r := x.recording
	containers := map[string]bool{}
	for _, s := range r.Series {
		containers[s.Container] = true
	}
	text := fmt.Sprintf("%s: %d series of %s, %d rows of %g s", x.source, len(r.Series), plural(len(containers), "container"), len(r.Times), r.Step)
	if len(r.Runs) > 0 {
		text += ", " + plural(len(r.Runs), "run")
	}
	if r.SLO == nil {
		return text + ", no SLO"
	}
	bad := 0
	for _, v := range r.SLO {
		if v {
			bad++
		}
	}
	return text + fmt.Sprintf(", SLO violated in %.1f %% of the rows", 100*float64(bad)/float64(len(r.SLO)))
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return strconv.Itoa(n) + " " + word + "s"
}

// printSideBySide compares the algorithms on the runs that each had not seen.
func (x *analyzed) printSideBySide(w io.Writer) error {
	t := newTable(w, "ALGORITHM", "SERIES", "COST", "RECALL", "PRECISION", "FALSE/H", "LEAD", "AP")
	for _, r := range x.results {
		cells := []string{r.Algorithm, strconv.Itoa(len(r.Critical)), rounded(math.Round(r.Cost*1000) / 1000)}
		if s := r.Score; s != nil {
			recall, precision, lead := share(s.Recall), share(s.Precision), fmt.Sprintf("%.0f s", math.Round(s.MedianLead)+0)
			if s.Events.Episodes == 0 {
				recall = ""
			}
			if s.Events.Alarms == 0 {
				precision = ""
			}
			if s.Events.Detected == 0 {
				lead = ""
			}
			cells = append(cells, recall, precision, fmt.Sprintf("%.1f", s.FalsePerHour), lead, fmt.Sprintf("%.2f", s.AP))
		} else {
			cells = append(cells, "", "", "", "", "")
		}
		t.row(cells...)
	}
	if err := t.flush(); err != nil {
		return err
	}
	for _, r := range x.results {
		if r.Score != nil {
			s := r.Score
			_, err := fmt.Fprintf(w, "\nOn runs held out: %s in %v; average precision by chance %.2f.\n", plural(s.Events.Episodes, "violation"),
				time.Duration(s.Events.Hours*float64(time.Hour)).Round(time.Second), s.Chance)
			return err
		}
	}
	return nil
}

func share(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) }

// printCritical lists a selection with its reasons.
func (x *analyzed) printCritical(w io.Writer, r analysis.Result) error {
	fmt.Fprintf(w, "\nCritical by %s, for %s:\n", r.Algorithm, r.Task)
	if len(r.Critical) == 0 {
		fmt.Fprintln(w, "  nothing")
	}
	for _, c := range r.Critical {
		fmt.Fprintf(w, "  %s\n", tui.Printable(c.Name))
		if _, err := io.WriteString(w, wrap(tui.Printable(c.Why), "      ", 96)); err != nil {
			return err
		}
	}
	return nil
}

func (x *analyzed) printClusters(w io.Writer, r analysis.Result) error {
	for _, s := range r.Containers {
		name := s.Container
		if name == "" {
			name = "the recording"
		}
		silhouette := ""
		if s.Silhouette > -1 {
			silhouette = fmt.Sprintf(", silhouette %.2f", s.Silhouette)
		}
		fmt.Fprintf(w, "\nClusters of %s: k = %d%s\n", tui.Printable(name), s.K, silhouette)
		for i, c := range s.Clusters {
			fmt.Fprintf(w, "  %d  %s\n", i+1, tui.Printable(x.name(c.Representative)))
			var others []string
			for _, m := range c.Members {
				if m != c.Representative {
					others = append(others, tui.Printable(x.name(m)))
				}
			}
			if _, err := io.WriteString(w, wrap(strings.Join(others, ", "), "     ", 96)); err != nil {
				return err
			}
		}
	}
	return nil
}

func printSummaries(w io.Writer, r analysis.Result) error {
	for i, s := range r.Summaries {
		if i == 0 {
			fmt.Fprintln(w, "\nRepresentatives' families, summed up:")
		}
		var families []string
		for _, f := range s.Families {
			families = append(families, fmt.Sprintf("%s %d", f.Family, f.Containers))
		}
		if _, err := fmt.Fprintf(w, "  %s %s (%s): %s\n", s.Scope, tui.Printable(s.Name), plural(s.Containers, "container"), tui.Printable(strings.Join(families, ", "))); err != nil {
			return err
		}
	}
	return nil
}

// printRest says what was thrown out, and what else to know.
func (x *analyzed) printRest(w io.Writer, r analysis.Result) error {
	reasons := map[string]int{}
	for _, d := range r.Dropped {
		reasons[d.Reason]++
	}
	if len(r.Dropped) > 0 {
		var parts []string
		for _, reason := range []string{"constant", "gaps", analysis.Duplicate} {
			if reasons[reason] > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", reasons[reason], map[string]string{"constant": "constant", "gaps": "with gaps", analysis.Duplicate: "duplicates"}[reason]))
			}
		}
		fmt.Fprintf(w, "\nThrown out before: %s.\n", strings.Join(parts, ", "))
	}
	for _, note := range append(append([]string{}, x.recording.Notes...), r.Notes...) {
		if _, err := io.WriteString(w, "\n"+wrap(tui.Printable("Note: "+note), "", 100)); err != nil {
			return err
		}
	}
	return nil
}
