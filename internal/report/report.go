// Package report writes what analysis found as one HTML file that needs nothing else: text and tables in the markup,
// so that they can be read without scripts, and plots that the inlined Observable Plot draws from inlined data. The
// file asks no network for anything, and its content security policy would not let it.
package report

import (
	"bufio"
	"cmp"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"slices"
	"time"

	"viperprobe.dev/viperprobe/internal/analysis"
)

// Input is what a report is made of. Write reads it and does not modify it.
type Input struct {
	Title     string // what was analysed, for people
	Command   string // how the report is made again; "" leaves it out
	Version   string // of the program; "" leaves it out
	Recording analysis.Recording
	From, To  time.Time         // when it was recorded; zero is unknown
	Notes     []string          // of whoever made the recording, in whole sentences
	Options   analysis.Options  // that Results were made with
	Results   []analysis.Result // of one or more algorithms on Recording
	Failures  []Failure         // algorithms that gave no result
	Chosen    string            // the algorithm whose set the report is about; "" is supervised if it is there, else the first

	// CostUnit is what Options.Costs are in, such as "% of a core"; "" says just cost.
	CostUnit string
	// Unit gives the unit of a series: "s", "By", "1", each of them also per second ("s/s", "By/s", "1/s"), or any
	// other word, which is printed as it is. nil, or "", is a number without unit.
	Unit func(analysis.Series) string
}

// A Failure is an algorithm that could not be used on the recording, and why.
type Failure struct{ Algorithm, Reason string }

// ErrNoResults is what Write gives if no algorithm had a result.
var ErrNoResults = errors.New("no result to report")

//go:embed assets
var assets embed.FS

// Write writes the report. Equal inputs give equal bytes. The file holds at most 2,000 drawn series of 240 points each,
// and says what it left out. Errors are those of w, of a Chosen that is not among Results, or ErrNoResults.
func Write(w io.Writer, in Input) error {
	p, err := makeDocument(in)
	if err != nil {
		return err
	}
	t, err := template.New("page.html").Funcs(template.FuncMap{"slug": slug}).ParseFS(assets, "assets/*.html")
	if err != nil {
		return fmt.Errorf("read report template: %w", err)
	}
	out := bufio.NewWriterSize(w, 1<<16)
	if err := t.Execute(out, p); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// chosen finds the result that the report is about. To take the one with the best score would be to choose by the
// runs that were held out, and its score would no longer be one of runs unseen.
func (in Input) chosen() (int, error) {
	if len(in.Results) == 0 {
		return 0, ErrNoResults
	}
	name := cmp.Or(in.Chosen, "supervised")
	i := slices.IndexFunc(in.Results, func(r analysis.Result) bool { return r.Algorithm == name })
	if i < 0 && in.Chosen != "" {
		return 0, fmt.Errorf("report on algorithm %q: it is not among the results", in.Chosen)
	}
	return max(i, 0), nil
}

func (in Input) unit(series int) string {
	if in.Unit == nil {
		return ""
	}
	return in.Unit(in.Recording.Series[series])
}

func (in Input) costUnit(r analysis.Result) string {
	if !r.CostKnown {
		return "things to switch on"
	}
	return in.CostUnit
}

// asset gives an embedded file, which is part of the program: it is there.
func asset(name string) string {
	b, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// embedded is data as JSON that is safe inside a script element: encoding/json escapes <, > and &.
func embedded(data any) (template.JS, error) {
	b, err := json.Marshal(data)
	return template.JS(b), err
}
