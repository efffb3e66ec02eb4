package analysis

// A Result is what one algorithm made of a recording. Lists are in a fixed order; indices of series are those of the
// recording.
type Result struct {
	Algorithm  string
	Task       Task
	Containers []Shapes   // clusters of each container, of the algorithms that cluster
	Summaries  []Summary  // representatives' families, by service and by pattern
	Critical   []Critical // the selection, the most telling first
	Cost       float64    // of the selection, in the unit of Options.Costs, or in things to switch on if CostKnown is false
	CostKnown  bool       // every series that could be selected has a cost; else costs count what must be switched on
	Unknown    []string   // cost keys that Options.Costs lacks
	Dropped    []Drop     // what was thrown out before, and why
	Edges      []Drives   // who drives whom between services, of sieve
	Guiding    string     // sieve: the series that occurs most often in Edges
	Front      []Point    // cheapest selection for each prediction, of the algorithms that search
	Score      *Score     // on held-out runs, all together; nil without an SLO or a run to hold out
	Folds      []Fold     // the same, one by one
	Notes      []string   // what a reader must know, in whole sentences
}

// Shapes are the clusters of one container.
type Shapes struct {
	Container  string
	K          int
	Silhouette float64 // of the choice; -1 if there is only one cluster
	Choices    []KChoice
	Clusters   []Cluster
}

// A Cluster is series of one shape.
type Cluster struct {
	Members        []int
	Distance       []float64 // SBD of each member to the centroid
	Shift          []int     // rows that each member moves right to lie on the centroid
	Representative int
	Centroid       []float64 // z-normalised, one value for each learnt row
}

// A Summary counts, over the containers of a service or pattern, whose representatives are of which family.
type Summary struct {
	Scope      string // "service" or "pattern"
	Name       string
	Containers int
	Families   []FamilyCount // the most frequent first
}

// A FamilyCount is a family and in how many containers it represents a cluster.
type FamilyCount struct {
	Family     string
	Containers int
}

// A Critical entry is one series to collect, and when it says trouble.
type Critical struct {
	Series    int
	Name      string
	Family    string
	Statistic string
	Label     string
	Container string
	Service   string
	Pattern   string
	Window    float64 // seconds that Threshold is a mean over
	Threshold float64 // in the series' unit; NaN without an SLO, or where no threshold tells anything
	Above     bool    // trouble is above the threshold, not below
	Precision float64 // of the threshold alone, by row, on the learnt runs
	Recall    float64
	Stability float64 // share of resampled sets of runs that choose it; 0 if not asked
	Why       string  // a sentence
}

// A Drop is a series that was thrown out before selection.
type Drop struct {
	Series int
	Name   string
	Reason string // "constant", "gaps" or Duplicate
	Detail string // a sentence
	Like   int    // of a duplicate: the series that was kept in its place
}

// Duplicate is the reason of a series that says what another of its container says.
const Duplicate = "duplicate"

// Drives says that the past of one service's series helps to predict another's.
type Drives struct {
	Cause, Effect               int
	CauseService, EffectService string
	F, P, Q                     float64 // Q is P after Benjamini-Hochberg over all tests of the recording
}

// A Point is one selection on the front of cost against prediction.
type Point struct {
	Series []int
	Cost   float64
	AP     float64 // average precision in cross-validation over the learnt runs
	Error  float64 // standard error of AP over folds
	Lead   float64 // median lead time in seconds, on the runs that were learnt from
	Chosen bool
}

// A Score is what a selection's model does on runs that it has not seen.
type Score struct {
	AP           float64 // average precision by row
	Chance       float64 // what AP would be by chance: the share of positive rows
	Brier        float64
	Recall       float64 // of violation episodes
	Precision    float64 // of alarms
	FalsePerHour float64
	MedianLead   float64 // seconds
	TenthLead    float64 // seconds: nine of ten detected episodes were announced earlier
	Events       Events
}

// A Fold is one turn of holding runs out: what was selected without them, and how it does on them.
type Fold struct {
	Held   []string // names of runs
	Series []int
	Score  Score
}
