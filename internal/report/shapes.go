package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"viperprobe.dev/viperprobe/internal/analysis"
)

const (
	drawnSeries  = 2000 // in all overlays together
	drawnMembers = 40   // in one: more are a blot
	listedSeries = 5000 // in the tables of members

	unfolded = 18 // containers whose silhouettes are shown at once
)

type shapesSection struct {
	Algorithms []string // that made and use these clusters
	Containers []containerShapes
	Ks         []int // columns of the silhouette table
	Clusters   int
	Series     int
	Left       []string // what was left out, in sentences
	Fold       bool     // too many containers to show all silhouettes at once
	Summaries  []summaryRow
}

type containerShapes struct {
	Name       string
	K          int
	Silhouette string
	ByK        []choiceCell
	Plot       int // index into plots.Silhouette, or -1 where there was nothing to choose
	Clusters   []clusterFigure
	Series     int
}

type choiceCell struct {
	Text   string
	Chosen bool
}

type clusterFigure struct {
	Number         int
	Representative string
	Family         string
	Count          int
	Members        []memberRow
	More           int // members that are not listed
	Drawn          int
	Plot           int
}

type memberRow struct {
	Name, Distance, Shift string
	Representative        bool
}

type summaryRow struct {
	Scope, Name string
	Containers  int
	Families    []analysis.FamilyCount
}

type silhouettePlot struct {
	Container string       `json:"container"`
	K         int          `json:"k"`
	Choices   [][2]float64 `json:"choices"`
}

// shapePlot is the curves of a cluster, packed; the representative apart.
type shapePlot struct {
	Low            float64  `json:"low"`
	High           float64  `json:"high"`
	Points         int      `json:"points"`
	Minutes        float64  `json:"minutes"`
	Representative string   `json:"representative"`
	Members        []string `json:"members"`
}

// shapesSection shows the clusters of the first algorithm that made some; others of the same recording share them.
func (in Input) shapesSection(d *plots) (shapesSection, error) {
	var s shapesSection
	var containers []analysis.Shapes
	for _, r := range in.Results {
		if len(r.Containers) == 0 {
			continue
		}
		if containers == nil {
			containers = r.Containers
			for _, sum := range r.Summaries {
				s.Summaries = append(s.Summaries, summaryRow{sum.Scope, sum.Name, sum.Containers, sum.Families})
			}
		}
		s.Algorithms = append(s.Algorithms, r.Algorithm)
	}
	widest := 0
	for _, c := range containers {
		for _, ch := range c.Choices {
			widest = max(widest, ch.K)
		}
		s.Clusters += len(c.Clusters)
	}
	for k := 2; k <= widest; k++ {
		s.Ks = append(s.Ks, k)
	}
	for _, c := range containers {
		out := containerShapes{Name: cmp.Or(c.Container, "all series"), K: c.K, Silhouette: fmt.Sprintf("%.2f", c.Silhouette), Plot: -1}
		out.choices(c, s.Ks, d)
		for n, cl := range c.Clusters {
			fig, err := in.clusterFigure(n+1, cl, &s, d)
			if err != nil {
				return s, err
			}
			out.Series += fig.Count
			out.Clusters = append(out.Clusters, fig)
		}
		s.Containers = append(s.Containers, out)
	}
	at := 0.0
	for _, run := range d.Runs {
		if !run.Held {
			d.Learnt = append(d.Learnt, roundTo(at*in.Recording.Step/60, 5))
			at += float64(run.To - run.From)
		}
	}
	s.Fold = len(s.Containers) > unfolded
	s.leftOut()
	return s, nil
}

func (out *containerShapes) choices(c analysis.Shapes, ks []int, d *plots) {
	plot := silhouettePlot{Container: out.Name, K: c.K}
	for _, k := range ks {
		cell := choiceCell{Text: "–", Chosen: k == c.K}
		for _, ch := range c.Choices {
			if ch.K == k {
				cell.Text = fmt.Sprintf("%.2f", ch.Silhouette)
				plot.Choices = append(plot.Choices, [2]float64{float64(k), roundTo(ch.Silhouette, 4)})
			}
		}
		out.ByK = append(out.ByK, cell)
	}
	if len(plot.Choices) > 0 {
		out.Plot = len(d.Silhouette)
		d.Silhouette = append(d.Silhouette, plot)
	}
}

func (in Input) clusterFigure(number int, c analysis.Cluster, s *shapesSection, d *plots) (clusterFigure, error) {
	r := in.Recording.Series[c.Representative]
	fig := clusterFigure{Number: number, Representative: r.Name, Family: cmp.Or(r.Family, r.Name), Count: len(c.Members), Plot: len(d.Shapes)}
	for n, i := range c.Members {
		if s.Series++; s.Series > listedSeries {
			fig.More++
			continue
		}
		fig.Members = append(fig.Members, memberRow{in.Recording.Series[i].Name, fmt.Sprintf("%.3f", c.Distance[n]), rows(c.Shift[n]), i == c.Representative})
	}
	drawn := 0
	for _, p := range d.Shapes {
		drawn += 1 + len(p.Members)
	}
	plot, err := in.shapePlot(c, max(1, min(drawnMembers, drawnSeries-drawn)))
	if err != nil {
		return fig, err
	}
	fig.Drawn = 1 + len(plot.Members)
	d.Shapes = append(d.Shapes, plot)
	return fig, nil
}

// shapePlot lays the curves of at most room members over each other, each moved by its shift as k-Shape did. Where
// there are more, every so many-th is drawn, so that near and far ones are.
func (in Input) shapePlot(c analysis.Cluster, room int) (shapePlot, error) {
	var members [][]float64
	var representative []float64
	for _, n := range sample(c, room) {
		x, err := analysis.Curve(in.Recording, in.Options.HoldOut, c.Members[n])
		if err != nil {
			return shapePlot{}, fmt.Errorf("draw series %q: %w", in.Recording.Series[c.Members[n]].Name, err)
		}
		x = shape(moved(x, c.Shift[n]), shapePoints)
		if c.Members[n] == c.Representative {
			representative = x
		} else {
			members = append(members, x)
		}
	}
	low, high := bounds(append(members, representative)...)
	p := shapePlot{Low: roundTo(low, 4), High: roundTo(high, 4), Points: len(representative), Minutes: roundTo(float64(len(c.Centroid))*in.Recording.Step/60, 4),
		Representative: pack(representative, low, high), Members: []string{}}
	for _, x := range members {
		p.Members = append(p.Members, pack(x, low, high))
	}
	return p, nil
}

// sample gives the positions of at most room members, spread evenly over their order, the representative among them.
func sample(c analysis.Cluster, room int) []int {
	n := len(c.Members)
	room = min(room, n)
	out := make([]int, room)
	for j := range out {
		out[j] = j * n / room
	}
	representative := slices.Index(c.Members, c.Representative)
	if !slices.Contains(out, representative) {
		out[representative*room/n] = representative
	}
	return out
}

// moved is x moved right by shift rows, with nothing where it does not reach.
func moved(x []float64, shift int) []float64 {
	out := make([]float64, len(x))
	for i := range out {
		if j := i - shift; j >= 0 && j < len(x) {
			out[i] = x[j]
		} else {
			out[i] = math.NaN()
		}
	}
	return out
}

func rows(shift int) string {
	if shift > 0 {
		return "+" + number(float64(shift))
	}
	return number(float64(shift))
}

func (s *shapesSection) leftOut() {
	drawn := 0
	listed := 0
	for _, c := range s.Containers {
		for _, f := range c.Clusters {
			drawn += f.Drawn
			listed += len(f.Members)
		}
	}
	if drawn < s.Series {
		s.Left = append(s.Left, fmt.Sprintf("%s of %s series are drawn: at most %d of a cluster, spread evenly, and about %s in all; every representative is.",
			thousands(int64(drawn)), thousands(int64(s.Series)), drawnMembers, thousands(drawnSeries)))
	}
	if listed < s.Series {
		s.Left = append(s.Left, fmt.Sprintf("%s of %s members are listed by name.", thousands(int64(listed)), thousands(int64(s.Series))))
	}
}
