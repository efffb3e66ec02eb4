package analysis

import (
	"fmt"
	"slices"
)

// Options direct Run. The zero value is the k-Shape selection for autoscaling on all cores.
type Options struct {
	Algorithm  string   // one of Algorithms; "" means kshape
	Task       Task     // "" means autoscaling
	K          int      // clusters per container; 0 means by silhouette
	MostK      int      // the largest k that is tried; 0 means 7
	Count      int      // entries that correlation and mrmr take; 0 means 3
	Candidates int      // series that exhaustive and supervised search among; 0 means 16
	HoldOut    []string // names of runs that nothing may learn from; nil: every workload in turn
	Folds      int      // at most that many held-out turns; 0 means 5

	Costs      map[string]float64 // by cost key, per container, in any one unit; series without one are said, not guessed
	Budget     float64            // most that a selection may cost; 0 means no limit
	Bootstraps int                // resamples of runs for the stability of supervised; 0 means 50, negative none

	Seed     uint64
	Starts   int // random starts of k-Shape; 0 means 5
	MaxShift int // of k-Shape, in rows; 0 means no limit
	Workers  int // 0 means all cores

	// Progress is called from one goroutine at a time, with done rising to total; nil if nobody watches.
	Progress func(stage string, done, total int)
}

// A Task is what the critical set is for: it changes what is predicted and by which score.
type Task string

// The tasks.
const (
	// Autoscaling: a violation within the next minute, at least 15 s ahead (the HPA's period), while there is none yet.
	Autoscaling Task = "autoscaling"
	// Diagnosis: a violation now.
	Diagnosis Task = "diagnosis"
	// Overload: a violation within the next 10 s, while there is none yet: what sheds load must act at once.
	Overload Task = "overload"
	// Placement: a violation now or within a minute at a request rate that was sustained elsewhere without one; moving
	// the container would help where more replicas would not.
	Placement Task = "placement"
)

// Tasks lists every task.
func Tasks() []Task { return []Task{Autoscaling, Diagnosis, Overload, Placement} }

// horizon is how far ahead a task looks, and lead how long before the violation an alarm must start to be of use; both
// in seconds.
func (t Task) horizon() (ahead, lead float64) {
	switch t {
	case Diagnosis:
		return 0, -30 // it looks at what has begun
	case Overload:
		return 10, 1
	case Placement:
		return 60, 0
	default:
		return 60, 15
	}
}

func (o Options) check(r Recording) (Options, error) {
	fill := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	fill(&o.MostK, mostClusters)
	fill(&o.Count, 3)
	fill(&o.Candidates, 16)
	fill(&o.Folds, 5)
	fill(&o.Bootstraps, 50)
	fill(&o.Starts, randomStarts)
	if o.Algorithm == "" {
		o.Algorithm = "kshape"
	}
	if o.Task == "" {
		o.Task = Autoscaling
	}
	if !slices.Contains(Tasks(), o.Task) {
		return o, fmt.Errorf("task %q: use one of %v", o.Task, Tasks())
	}
	if o.K < 0 || o.MostK < 2 || o.Count < 1 || o.Candidates < 1 || o.Folds < 1 || o.Budget < 0 {
		return o, fmt.Errorf("k, count, candidates, folds and budget must be positive, and most k at least 2")
	}
	for key, c := range o.Costs {
		if !(c >= 0) {
			return o, fmt.Errorf("cost of %q is %g: it must not be negative", key, c)
		}
	}
	for _, name := range o.HoldOut {
		if !slices.ContainsFunc(r.Runs, func(s Section) bool { return s.Name == name }) {
			return o, fmt.Errorf("run %q to hold out is not in the recording", name)
		}
	}
	return o, nil
}

func (o Options) progress(stage string, done, total int) {
	if o.Progress != nil {
		o.Progress(stage, done, total)
	}
}

func (o Options) kshape() KShapeOptions {
	return KShapeOptions{Random: o.Starts, Seed: o.Seed, MaxShift: o.MaxShift, Workers: o.Workers}
}
