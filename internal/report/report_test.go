package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/internal/analysis"
)

// text writes a report into memory.
func text(t *testing.T, in Input) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, in); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestEqualInputsGiveEqualBytes(t *testing.T) {
	for name, input := range map[string]func() Input{"one input": fixture, "the same analysis made again": shapesAlone} {
		first := text(t, input())
		if second := text(t, input()); first != second {
			t.Errorf("two reports of %s differ", name)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	if err := Write(&bytes.Buffer{}, Input{}); !errors.Is(err, ErrNoResults) {
		t.Errorf("no result: %v", err)
	}
	in := fixture()
	in.Chosen = "astrology"
	if err := Write(&bytes.Buffer{}, in); err == nil || !strings.Contains(err.Error(), `"astrology"`) {
		t.Errorf("unknown algorithm: %v", err)
	}
	if err := Write(full{}, fixture()); !errors.Is(err, errFull) {
		t.Errorf("a full disk: %v", err)
	}
}

var errFull = errors.New("no space left")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestChosen(t *testing.T) {
	in := fixture()
	for want, name := range map[string]string{"supervised": "", "sieve": "sieve"} {
		in.Chosen = name
		if i, err := in.chosen(); err != nil || in.Results[i].Algorithm != want {
			t.Errorf("chosen %q: result %d, %v; want that of %s", name, i, err, want)
		}
	}
	in.Chosen, in.Results = "", in.Results[:3]
	if i, err := in.chosen(); err != nil || i != 0 {
		t.Errorf("without supervised: result %d, %v; want the first", i, err)
	}
}

// Without an SLO there is nothing to judge by, and no call graph nothing to draw: the report says so.
func TestShapesAlone(t *testing.T) {
	got := text(t, shapesAlone())
	for _, want := range []string{"Nothing was held out", "nothing to judge algorithms by", "No algorithm looked for causes", "searches sets by cost",
		"<strong>supervised</strong>: recording has no SLO", "none in the recording"} {
		if !strings.Contains(got, want) {
			t.Errorf("the report does not say %q", want)
		}
	}
	if strings.Contains(got, "NaN") != strings.Contains(asset("plots.js")+asset("draw.js")+asset("d3.min.js")+asset("plot.umd.min.js"), "NaN") {
		t.Error("the report prints NaN")
	}
}

// Every figure of the comparison is the result's own.
func TestComparisonIsTheResults(t *testing.T) {
	in := fixture()
	var d plots
	s := in.compareSection(0, &d)
	if len(s.Rows) != len(in.Results) || len(d.Compare) != len(in.Results) {
		t.Fatalf("%d rows and %d plotted of %d results", len(s.Rows), len(d.Compare), len(in.Results))
	}
	for _, r := range in.Results {
		for i, row := range s.Rows {
			if row.Algorithm != r.Algorithm {
				continue
			}
			e := r.Score.Events
			got := []string{row.AP, row.Episodes, row.Alarms, row.Size, row.Cost}
			want := []string{fmt.Sprintf("%.3f", r.Score.AP), fmt.Sprintf("%d of %d", e.Detected, e.Episodes), fmt.Sprintf("%d of %d", e.True, e.Alarms), fmt.Sprint(len(r.Critical)), number(r.Cost)}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", r.Algorithm, diff)
			}
			if p := d.Compare[i]; p.Algorithm != r.Algorithm || *p.Recall != roundTo(r.Score.Recall, 5) {
				t.Errorf("%s: plotted as %+v", r.Algorithm, p)
			}
		}
	}
}

// A report of 2,500 series in clusters of 50: what is drawn and listed is bounded, and the report says what is not there.
func TestBounds(t *testing.T) {
	in := many(50, 50)
	got := text(t, in)
	if most := 3 << 20; len(got) > most {
		t.Errorf("%d bytes, at most %d are wanted", len(got), most)
	}
	_, data, _ := strings.Cut(got, `<script type="application/json" id="data">`)
	data, _, _ = strings.Cut(data, "</script>")
	var d plots
	if err := json.Unmarshal([]byte(data), &d); err != nil {
		t.Fatal(err)
	}
	drawn := 0
	for _, s := range d.Shapes {
		drawn += 1 + len(s.Members)
		if len(s.Members) >= drawnMembers || s.Points > shapePoints {
			t.Errorf("a cluster draws %d members of %d points", len(s.Members), s.Points)
		}
	}
	if drawn != drawnSeries || len(d.Chosen) != drawnChosen {
		t.Errorf("%d series are drawn in clusters and %d as chosen, want %d and %d", drawn, len(d.Chosen), drawnSeries, drawnChosen)
	}
	for _, want := range []string{"2,000 of 2,500 series are drawn", "The first 24 of 50 are drawn", "500 more are not listed"} {
		if !strings.Contains(got, want) {
			t.Errorf("the report does not say %q", want)
		}
	}
}

// many is a report of containers with so many series each, all of one shape, and 1,500 that were thrown out.
func many(containers, each int) Input {
	const rows = 600
	in := Input{Title: "many", Recording: analysis.Recording{Step: 1}}
	r := analysis.Result{Algorithm: "kshape"}
	for c := range containers {
		sh := analysis.Shapes{Container: fmt.Sprint("container-", c), K: 2, Silhouette: .5, Choices: []analysis.KChoice{{K: 2, Silhouette: .5}, {K: 3, Silhouette: .4}}}
		cl := analysis.Cluster{Representative: c*each + 7, Centroid: make([]float64, rows)}
		for n := range each {
			x := make([]float64, rows)
			for i := range x {
				x[i] = float64((i*(n+3))%97) + float64(i%(c+2))
			}
			s := analysis.Series{Name: fmt.Sprintf("container-%d/family_%d", c, n), Family: fmt.Sprint("family_", n), Container: sh.Container, Values: x}
			cl.Members, cl.Distance, cl.Shift = append(cl.Members, len(in.Recording.Series)), append(cl.Distance, .1), append(cl.Shift, n%5)
			in.Recording.Series = append(in.Recording.Series, s)
		}
		sh.Clusters = []analysis.Cluster{cl}
		r.Containers = append(r.Containers, sh)
		r.Critical = append(r.Critical, analysis.Critical{Series: cl.Representative, Name: in.Recording.Series[cl.Representative].Name, Threshold: math.NaN(), Why: "It stands for many."})
	}
	for i := range 1500 {
		r.Dropped = append(r.Dropped, analysis.Drop{Series: 0, Name: fmt.Sprint("constant_", i), Reason: "constant", Detail: "It is 0 throughout."})
	}
	in.Results = []analysis.Result{r}
	return in
}

// The committed libraries are those that vendor.sh fetches.
func TestVendored(t *testing.T) {
	sums, err := os.ReadFile("vendor.sha256")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for line := range strings.Lines(string(sums)) {
		want, file, _ := strings.Cut(strings.TrimSpace(line), "  ")
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s has SHA-256 %x, vendor.sha256 says %s: run internal/report/vendor.sh", file, sum, want)
		}
		checked++
	}
	if checked != 6 {
		t.Errorf("vendor.sha256 names %d files, want three libraries and their licences", checked)
	}
	for file, version := range map[string]string{"d3.min.js": "v7.9.0 ", "plot.umd.min.js": "v0.6.17 "} {
		if head := asset(file)[:100]; !strings.Contains(head, version) {
			t.Errorf("%s is not %s: %s", file, version, head)
		}
	}
}

// Scripts stand in the page as they are: none may end its element.
func TestScriptsStayInTheirElements(t *testing.T) {
	for _, name := range []string{"d3.min.js", "plot.umd.min.js", "draw.js", "plots.js", "page.js"} {
		for _, bad := range []string{"</script", "<!--"} {
			if strings.Contains(strings.ToLower(asset(name)), bad) {
				t.Errorf("%s contains %s", name, bad)
			}
		}
	}
}

// Figures that can be luck are said to be.
func TestDoubts(t *testing.T) {
	sure := analysis.Result{Critical: []analysis.Critical{{Name: "a", Stability: .9}}, Score: &analysis.Score{AP: .8, Chance: .1, Events: analysis.Events{Episodes: 30}}}
	if got := (Input{}).doubts(sure); got != nil {
		t.Errorf("a good set is doubted: %q", got)
	}
	unsure := analysis.Result{Critical: []analysis.Critical{{Name: "a", Stability: .04}}, Score: &analysis.Score{AP: .61, Chance: .6, Events: analysis.Events{Episodes: 1}}}
	got := strings.Join((Input{}).doubts(unsure), "\n")
	for _, want := range []string{"come from 1 violation on", "0.61 is hardly above the 0.60", "1 of the 1 series would not be chosen", "a (4\u00a0%)"} {
		if !strings.Contains(got, want) {
			t.Errorf("a bad set: %q is not said in %q", want, got)
		}
	}
}
