package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"viperprobe.dev/viperprobe/internal/metric"
)

// An UnknownError is a name that no family, class or set has.
type UnknownError struct{ Name, Nearest string }

func (e *UnknownError) Error() string {
	if e.Nearest == "" {
		return fmt.Sprintf("unknown family %q; `viperprobe metrics` lists them", e.Name)
	}
	return fmt.Sprintf("unknown family %q, did you mean %q?", e.Name, e.Nearest)
}

// Resolve turns what a person wrote (families, aliases, classes, tiers, beginnings as in
// "flow_*", "all", and "default": all but those that are on demand) into families, in
// catalogue order, each once. All unknown names are reported together, as UnknownErrors.
func Resolve(names []string, catalogue []*metric.Family) ([]*metric.Family, error) {
	chosen := map[*metric.Family]bool{}
	var faults []error
	for _, name := range names {
		found := false
		for _, f := range catalogue {
			if begins(name, f) || name == "all" || name == "default" && !f.OnDemand || f.Is(name) || name == string(f.Class) || name == string(f.Tier) {
				chosen[f], found = true, true
			}
		}
		if !found {
			faults = append(faults, &UnknownError{name, Nearest(name, vocabulary(catalogue))})
		}
	}
	out := slices.DeleteFunc(slices.Clone(catalogue), func(f *metric.Family) bool { return !chosen[f] })
	return out, errors.Join(faults...)
}

// begins reports whether name is the beginning of a family's and "*".
func begins(name string, f *metric.Family) bool {
	beginning, ok := strings.CutSuffix(name, "*")
	return ok && beginning != "" && strings.HasPrefix(f.Name, beginning)
}

func vocabulary(catalogue []*metric.Family) []string {
	words := []string{"all", "default"}
	for _, c := range metric.Classes {
		words = append(words, string(c))
	}
	for _, f := range catalogue {
		words = append(append(words, f.Name, string(f.Tier)), f.Aliases...)
	}
	return words
}

// Nearest is the word closest to name, or "" when none is close enough to be a
// slip of the fingers (a third of the letters).
func Nearest(name string, words []string) string {
	best, least := "", len(name)/3+1
	for _, w := range words {
		if d := distance(name, w); d < least || (d == least && best == "") {
			best, least = w, d
		}
	}
	return best
}

// distance counts the insertions, deletions, substitutions and swaps of
// neighbours between a and b (optimal string alignment).
func distance(a, b string) int {
	var before, last []int
	for j := 0; j <= len(b); j++ {
		last = append(last, j)
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
