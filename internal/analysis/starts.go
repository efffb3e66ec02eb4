package analysis

import (
	"math/rand/v2"
	"strings"
)

// randomStarts is how many random starts KShape adds by default: the best of 5 to 10 by inertia is clearly better than
// the mean on the UCR sets, and more hardly help.
const randomStarts = 5

// defaultStarts are labels i mod k, labels by similar names, and random labels; every cluster has a member in each.
func defaultStarts(n, k int, o KShapeOptions) []Start {
	cyclic := make([]int, n)
	for i := range cyclic {
		cyclic[i] = i % k
	}
	starts := []Start{{Labels: cyclic}}
	if len(o.Names) == n {
		starts = append(starts, Start{Labels: labelsByName(o.Names, k)})
	}
	random := o.Random
	if random <= 0 {
		random = randomStarts
	}
	r := rand.New(rand.NewPCG(o.Seed, uint64(k)))
	for range random {
		labels := make([]int, n)
		for i, p := range r.Perm(n) {
			labels[p] = r.IntN(k)
			if i < k {
				labels[p] = i
			}
		}
		starts = append(starts, Start{Labels: labels})
	}
	return starts
}

// labelsByName cuts a single-linkage tree over the Jaro distance of names into k clusters, as Sieve (Middleware 2017)
// means to: numbered by first member.
func labelsByName(names []string, k int) []int {
	plain := strings.NewReplacer("GET", "", "POST", "", "total", "", "http-requests", "", "-", "", "_", "")
	short := make([]string, len(names))
	for i, s := range names {
		short[i] = plain.Replace(s)
	}
	parent := singleLinkage(len(names), k, func(i, j int) float64 { return 1 - jaro(short[i], short[j]) })
	number := map[int]int{}
	labels := make([]int, len(names))
	for i, p := range parent {
		if _, ok := number[p]; !ok {
			number[p] = len(number)
		}
		labels[i] = number[p]
	}
	return labels
}

// singleLinkage merges the nearest until k clusters are left and gives each item the number of its cluster: a minimum
// spanning tree (Prim) without its k-1 longest edges.
func singleLinkage(n, k int, distance func(i, j int) float64) []int {
	near := make([]int, n)
	length := make([]float64, n)
	for i := 1; i < n; i++ {
		length[i] = distance(i, 0)
	}
	type edge struct {
		a, b   int
		length float64
	}
	inside := make([]bool, n)
	inside[0] = true
	var tree []edge
	for range n - 1 {
		next := -1
		for i := range n {
			if !inside[i] && (next < 0 || length[i] < length[next]) {
				next = i
			}
		}
		inside[next] = true
		tree = append(tree, edge{next, near[next], length[next]})
		for i := range n {
			if d := distance(i, next); !inside[i] && d < length[i] {
				near[i], length[i] = next, d
			}
		}
	}
	sortBy(tree, func(e edge) float64 { return e.length })
	group := make([]int, n)
	for i := range group {
		group[i] = i
	}
	for _, e := range tree[:n-k] {
		from, to := group[e.a], group[e.b]
		for i := range group {
			if group[i] == from {
				group[i] = to
			}
		}
	}
	return group
}

// jaro is the similarity of two names, 1 for equal ones and 0 for those without a common letter in reach.
func jaro(a, b string) float64 {
	if len(a) == 0 || len(b) == 0 {
		return 0
	}
	window := max(max(len(a), len(b))/2-1, 0)
	usedA, usedB := make([]bool, len(a)), make([]bool, len(b))
	matches := 0
	for i := range a {
		for j := max(0, i-window); j < min(len(b), i+window+1); j++ {
			if !usedB[j] && a[i] == b[j] {
				usedA[i], usedB[j] = true, true
				matches++
				break
			}
		}
	}
	if matches == 0 {
		return 0
	}
	swapped, j := 0, 0
	for i := range len(a) {
		if usedA[i] {
			for !usedB[j] {
				j++
			}
			if a[i] != b[j] {
				swapped++
			}
			j++
		}
	}
	m := float64(matches)
	return (m/float64(len(a)) + m/float64(len(b)) + (m-float64(swapped)/2)/m) / 3
}
