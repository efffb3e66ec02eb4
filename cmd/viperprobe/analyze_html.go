package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"viperprobe.dev/viperprobe/internal/analysis"
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/report"
)

// writeHTML writes the report to the file of --html, which is not touched before all of it is made.
func (a *analyzer) writeHTML(x *analyzed, families []*metric.Family) error {
	in := report.Input{
		Title: filepath.Base(x.source), Command: commandLine(os.Args), Version: readBuild().Version,
		Recording: x.recording.Recording, Notes: x.recording.Notes, Results: x.results, Chosen: x.best().Algorithm,
		Options: x.options, CostUnit: x.costUnit, Unit: unitsOf(families),
	}
	if t := x.recording.Times; len(t) > 0 && t[0] > 1e8 {
		in.From, in.To = unixTime(t[0]), unixTime(t[len(t)-1]+x.recording.Step)
	}
	for _, f := range x.failed {
		in.Failures = append(in.Failures, report.Failure{Algorithm: f.name, Reason: f.err.Error()})
	}
	var page bytes.Buffer
	if err := report.Write(&page, in); err != nil {
		return err
	}
	if err := os.WriteFile(a.html, page.Bytes(), 0o644); err != nil { // in place: it may be a device or a link
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// unixTime is a time of seconds; recordings that count from their own start have none of a clock.
func unixTime(seconds float64) time.Time { return time.UnixMilli(int64(1000 * seconds)) }

// commandLine is what a person would type again, in words that a shell keeps whole.
func commandLine(args []string) string {
	words := []string{"viperprobe"}
	for _, w := range args[1:] {
		if strings.ContainsAny(w, " \t\n'\"$`\\*?[]{}()<>|&;#~!") || w == "" {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		words = append(words, w)
	}
	return strings.Join(words, " ")
}

// unitsOf gives the unit of a recorded series: that of its family, or what the name of
// an unknown one says in the way of Prometheus; a rate is that per second.
func unitsOf(families []*metric.Family) func(analysis.Series) string {
	known := map[string]*metric.Family{}
	for _, f := range families {
		known[f.Name] = f
	}
	return func(s analysis.Series) string {
		unit, counts := "1", s.Statistic == "count"
		if f := known[s.Family]; f != nil {
			unit = string(f.Unit)
			counts = counts || f.Kind == metric.Histogram && s.Statistic == "rate"
		} else {
			name := strings.TrimSuffix(s.Family, "_total")
			for suffix, u := range map[string]string{"_seconds": "s", "_bytes": "By"} {
				if strings.HasSuffix(name, suffix) {
					unit = u
				}
			}
		}
		if counts {
			unit = "1"
		}
		if s.Statistic == "rate" {
			unit += "/s"
		}
		return unit
	}
}
