package report

import (
	"fmt"
	"strings"

	"viperprobe.dev/viperprobe/internal/analysis"
)

// method says what was done with what, so that a reader can do it again.
func (in Input) method(r analysis.Result) []fact {
	containers := map[string]bool{}
	for _, s := range in.Recording.Series {
		containers[s.Container] = true
	}
	rows := 0
	for _, run := range in.Recording.Runs {
		rows += run.To - run.From
	}
	out := []fact{{"Recording", fmt.Sprintf("%s of %s, in %s: %s, a value every %s",
		plural(len(in.Recording.Series), "series", "series"), plural(len(containers), "container", "containers"),
		plural(len(in.Recording.Runs), "run", "runs"), duration(float64(rows)*in.Recording.Step), duration(in.Recording.Step))}}
	if !in.From.IsZero() {
		out = append(out, fact{"Recorded", in.From.UTC().Format("2006-01-02 15:04:05") + " to " + in.To.UTC().Format("2006-01-02 15:04:05") + " UTC"})
	}
	if in.Recording.SLO == nil {
		out = append(out, fact{"SLO", "none in the recording: nothing could be learnt from violations, nor judged by them"})
	} else {
		bad := 0
		for _, v := range in.Recording.SLO {
			if v {
				bad++
			}
		}
		out = append(out, fact{"SLO", fmt.Sprintf("violated in %s of the rows", percent(float64(bad)/float64(len(in.Recording.SLO))))})
	}
	out = append(out, fact{"Task", taskText(r.Task)}, fact{"Held out", in.heldOut(r)})
	costs := "as given, in " + in.costUnit(r)
	if !r.CostKnown {
		costs = fmt.Sprintf("not known for %s: a cost is the number of things to switch on", plural(len(r.Unknown), "thing", "things"))
	}
	if in.Options.Budget > 0 {
		costs += fmt.Sprintf("; at most %s", number(in.Options.Budget))
	}
	out = append(out, fact{"Costs", costs}, fact{"Seed", fmt.Sprint(in.Options.Seed)})
	if in.Command != "" {
		out = append(out, fact{"Command", in.Command})
	}
	if in.Version != "" {
		out = append(out, fact{"Made by", "viperprobe " + in.Version})
	}
	return out
}

func taskText(t analysis.Task) string {
	switch t {
	case analysis.Diagnosis:
		return "diagnosis: tell a violation that is there now"
	case analysis.Overload:
		return "overload: foretell a violation within the next 10 s, while there is none yet"
	case analysis.Placement:
		return "placement: tell a violation now or within a minute that the request rate does not explain"
	}
	return "autoscaling: foretell a violation within the next minute, at least 15 s ahead, while there is none yet"
}

func (in Input) heldOut(r analysis.Result) string {
	if len(in.Options.HoldOut) > 0 {
		return strings.Join(in.Options.HoldOut, ", ") + ": nothing was learnt from them"
	}
	var turns []string
	for _, f := range r.Folds {
		turns = append(turns, strings.Join(f.Held, " with "))
	}
	if len(turns) == 0 {
		return "nothing"
	}
	return "in turn, with the selection made anew without them: " + strings.Join(turns, "; ")
}
