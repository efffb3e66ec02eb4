package policy

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"viperprobe.dev/viperprobe/internal/metric"
)

// rank is how specific a selector is, for slices.Compare: one number per key, the
// narrowest key first. A key that is not used has 0, one with a wildcard 1, one of
// plain names 2. Of cgroups the deeper path is the narrower, of labels those that are more.
// Kinds come last.
func (s *Selector) rank() []int {
	var out []int
	for _, key := range s.globs(&metric.Target{}) {
		if key.key == "cgroups" {
			out = append(out, s.rankLabels())
		}
		n := 0
		switch {
		case len(key.globs) == 0:
		case key.key == "cgroups":
			n = depth(key.globs)
		case slices.ContainsFunc(key.globs, wild):
			n = 1
		default:
			n = 2
		}
		out = append(out, n)
	}
	return append(out, min(len(s.Kinds), 1))
}

func (s *Selector) rankLabels() int {
	n := 0
	for _, g := range s.Labels {
		if n += 2; wild(g) {
			n--
		}
	}
	return n
}

func wild(g string) bool { return strings.ContainsAny(g, `*?[\`) }

// depth is how many names of a path are given before its first wildcard, and one
// more; of several paths the shallowest counts.
func depth(globs []string) int {
	least := 0
	for _, g := range globs {
		n := 1
		for name := range strings.SplitSeq(strings.Trim(g, "/"), "/") {
			if wild(name) {
				break
			}
			n++
		}
		if least == 0 || n < least {
			least = n
		}
	}
	return least
}

// compare orders policies: the least specific first, and by name where two are alike.
func compare(a, b *ProbePolicy) int {
	return cmp.Or(slices.Compare(a.Selector.rank(), b.Selector.rank()), strings.Compare(a.Name, b.Name))
}

// meet reports whether two selectors may match one target. It may say so although no
// target is matched by both: sets of letters ([ab]) are taken for any letter.
func (s *Selector) meet(o *Selector) bool {
	if len(s.Kinds) > 0 && len(o.Kinds) > 0 && !slices.ContainsFunc(s.Kinds, func(k metric.TargetKind) bool { return slices.Contains(o.Kinds, k) }) {
		return false
	}
	for label, g := range s.Labels {
		if h, both := o.Labels[label]; both && !globsMeet(g, h) {
			return false
		}
	}
	theirs := o.globs(&metric.Target{})
	for i, key := range s.globs(&metric.Target{}) {
		if len(key.globs) == 0 || len(theirs[i].globs) == 0 {
			continue
		}
		if !slices.ContainsFunc(key.globs, func(g string) bool {
			return slices.ContainsFunc(theirs[i].globs, func(h string) bool { return globsMeet(g, h) })
		}) {
			return false
		}
	}
	return true
}

// and is what both select, as far as lists of globs can say it: of a key that both have,
// the globs of o that may match what s matches. some is false when nothing can.
func (s Selector) and(o *Selector) (both Selector, some bool) {
	both, some = s, true
	meet := func(into *[]string, narrow []string) {
		wide := *into
		if *into = narrow; len(narrow) == 0 {
			*into = wide
			return
		}
		if len(wide) > 0 {
			*into = slices.DeleteFunc(slices.Clone(narrow), func(g string) bool {
				return !slices.ContainsFunc(wide, func(h string) bool { return globsMeet(g, h) })
			})
			some = some && len(*into) > 0
		}
	}
	meet(&both.Cgroups, o.Cgroups)
	meet(&both.Namespaces, o.Namespaces)
	meet(&both.Pods, o.Pods)
	meet(&both.Containers, o.Containers)
	meet(&both.Workloads, o.Workloads)
	meet(&both.Patterns, o.Patterns)
	meet(&both.Targets, o.Targets)
	both.Labels = maps.Clone(s.Labels)
	for label, g := range o.Labels {
		if h, ok := s.Labels[label]; ok && !globsMeet(g, h) {
			some = false
		}
		if both.Labels == nil {
			both.Labels = map[string]string{}
		}
		both.Labels[label] = g
	}
	if len(s.Kinds) > 0 && len(o.Kinds) > 0 {
		both.Kinds = slices.DeleteFunc(slices.Clone(o.Kinds), func(k metric.TargetKind) bool { return !slices.Contains(s.Kinds, k) })
		some = some && len(both.Kinds) > 0
	} else if len(s.Kinds) == 0 {
		both.Kinds = o.Kinds
	}
	return both, some
}

// globsMeet reports whether some text may match both globs. A star is taken to match
// slashes as well.
func globsMeet(g, h string) bool {
	a, b := tokens(g), tokens(h)
	// can[j]: a[i:] and b[j:] can match one text.
	can := make([]bool, len(b)+1)
	for i := len(a); i >= 0; i-- {
		next := slices.Clone(can) // for a[i+1:]
		for j := len(b); j >= 0; j-- {
			switch {
			case i == len(a) && j == len(b):
				can[j] = true
			case i < len(a) && a[i] == '*':
				can[j] = next[j] || j < len(b) && can[j+1]
			case j < len(b) && b[j] == '*':
				can[j] = can[j+1] || i < len(a) && next[j]
			default:
				can[j] = i < len(a) && j < len(b) && (a[i] == b[j] || a[i] == '?' || b[j] == '?') && next[j+1]
			}
		}
	}
	return can[0]
}

// tokens are a glob's letters, with ? for sets and * for the tree of "/**".
func tokens(g string) []rune {
	stem, tree := cutTree(g)
	var out []rune
	letters := []rune(stem)
	for i := 0; i < len(letters); i++ {
		switch letters[i] {
		case '[':
			for i++; i < len(letters) && letters[i] != ']'; i++ {
				if letters[i] == '\\' {
					i++
				}
			}
			out = append(out, '?')
		case '\\':
			i++
			if i < len(letters) && !strings.ContainsRune("*?", letters[i]) {
				out = append(out, letters[i])
			} else {
				out = append(out, '?') // the letter itself would read as a wildcard
			}
		default:
			out = append(out, letters[i])
		}
	}
	if tree {
		out = append(out, '*')
	}
	return out
}
