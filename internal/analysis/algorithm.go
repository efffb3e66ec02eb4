package analysis

import (
	"fmt"
	"strings"
)

// An Algorithm is one way to select critical metrics.
type Algorithm struct {
	Name     string
	Help     string // one sentence
	NeedsSLO bool
	pick     func(*study) (selection, error)
}

// A selection is what an algorithm picks on the runs of a study. Series are those of the recording.
type selection struct {
	series    []int
	why       map[int]string
	stability map[int]float64
	shapes    []Shapes
	edges     []Drives
	guiding   int // -1 if there is none
	trials    []trial
	chosen    trial
	notes     []string
}

func selected(series []int, why func(int) string) selection {
	s := selection{series: series, why: map[int]string{}, guiding: -1}
	for _, i := range series {
		s.why[i] = why(i)
	}
	return s
}

// Algorithms lists every algorithm, the paper's first.
func Algorithms() []Algorithm {
	return []Algorithm{
		{"kshape", "clusters the series of each container by shape and takes each cluster's representative (ViperProbe, CloudNet 2020)", false, pickKShape},
		{"paper", "run queue with sent bytes for frontends and proxies, with user faults for the rest: Table III of the paper as printed", false, pickPaper},
		{"expert", "utilisation, saturation, errors, rate and duration: what the USE and RED methods say", false, pickExpert},
		{"exhaustive", "tries all sets of up to three series for the best prediction, whatever they cost", true, pickExhaustive},
		{"sieve", "k-Shape's representatives, then Granger causality along the call graph; takes the one that occurs in most relations (Sieve, Middleware 2017)", false, pickSieve},
		{"correlation", "the series that correlate best with coming trouble, by rank", true, pickCorrelation},
		{"mrmr", "the series that tell most about coming trouble and least about each other (mRMR)", true, pickMRMR},
		{"supervised", "the cheapest set that predicts trouble as well as the best one does", true, pickSupervised},
		{"all", "every series that is not constant, full of gaps or a duplicate", false, pickAll},
		{"cpu-memory", "CPU time and memory, as a usual autoscaler sees them", false, pickCPUMemory},
		{"rps", "the request rate alone", false, pickRequests},
	}
}

func findAlgorithm(name string) (Algorithm, error) {
	var names []string
	for _, a := range Algorithms() {
		if a.Name == name {
			return a, nil
		}
		names = append(names, a.Name)
	}
	return Algorithm{}, fmt.Errorf("%w %q: use one of %s", ErrAlgorithm, name, strings.Join(names, ", "))
}
