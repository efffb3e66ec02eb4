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
	costs := "as given"
	if unit := in.costUnit(r); unit != "" {
		costs += ", in " + unit
	}
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

const (
	fewEpisodes = 10   // violations of which a share is luck as much as skill: 9 of 10 may be 5 of 9 in the long run
	noSkill     = 0.05 // average precision above chance that is none
	unstable    = 0.5  // share of resampled runs below which a choice is the runs' and not the service's
)

// doubts are what the figures of a set do not say by themselves.
func (in Input) doubts(r analysis.Result) (out []string) {
	if s := r.Score; s != nil {
		if n := s.Events.Episodes; n < fewEpisodes {
			out = append(out, fmt.Sprintf("Recall, precision and lead time come from %s on held-out runs: so few can be luck. Record more runs.", plural(n, "violation", "violations")))
		}
		if s.AP < s.Chance+noSkill {
			out = append(out, fmt.Sprintf("The average precision of %.2f is hardly above the %.2f of chance: row by row, the set does not tell when trouble comes.", s.AP, s.Chance))
		}
	}
	var seldom []string
	for _, c := range r.Critical {
		if c.Stability > 0 && c.Stability < unstable {
			seldom = append(seldom, fmt.Sprintf("%s (%s)", c.Name, percent(c.Stability)))
		}
	}
	if seldom != nil {
		out = append(out, fmt.Sprintf("%d of the %s would not be chosen from half of the resampled sets of runs, so that other runs may choose others: %s.",
			len(seldom), plural(len(r.Critical), "series", "series"), strings.Join(seldom, ", ")))
	}
	return out
}
