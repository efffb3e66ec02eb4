package analysis

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// costWeight is how much of a distance the dearest series loses against a free one where supervised selection wants
// one series of a cluster.
const costWeight = 0.2

// shapes clusters the series of every container, once a study.
func (s *study) shapes() ([]Shapes, error) {
	if s.clusters != nil {
		return s.clusters, nil
	}
	of := map[string][]int{}
	var names []string
	for k, i := range s.kept {
		c := s.rec.Series[i].Container
		if of[c] == nil {
			names = append(names, c)
		}
		of[c] = append(of[c], k)
	}
	// Containers side by side keep cores busier than the series of one.
	out, errs := make([]Shapes, len(names)), make([]error, len(names))
	workers, within := cores(s.opt.Workers), 1
	if len(names) < workers {
		workers, within = 1, workers
	}
	total := 0
	for _, positions := range of {
		total += s.runsOf(len(positions))
	}
	var lock sync.Mutex
	done := 0
	tell := func(runs int) {
		lock.Lock()
		defer lock.Unlock()
		done += runs
		s.progress("clustering", done, total)
	}
	parallel(workers, len(names), func(_, n int) {
		left := s.runsOf(len(of[names[n]]))
		out[n], errs[n] = s.shapesOf(names[n], of[names[n]], within, func() { left--; tell(1) })
		tell(left) // that were not needed
	})
	for n, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("cluster container %q: %w", names[n], err)
		}
	}
	s.clusters = out
	return out, nil
}

// runsOf is how many runs of k-Shape a container of n series takes at most.
func (s *study) runsOf(n int) int {
	starts := 2 + s.opt.Starts // and labels in turn, and by name
	if s.opt.K > 0 {
		return starts
	}
	return starts * max(1, min(s.opt.MostK, n-1)-1)
}

func (s *study) shapesOf(container string, positions []int, workers int, step func()) (Shapes, error) {
	o := s.opt.kshape()
	o.Workers, o.step = workers, step
	values := make([][]float64, len(positions))
	for j, k := range positions {
		values[j] = s.values[k]
		o.Names = append(o.Names, s.rec.Series[s.kept[k]].family())
	}
	sh := Shapes{Container: container, Silhouette: -1}
	var c Clustering
	var err error
	if s.opt.K > 0 {
		c, err = KShape(values, min(s.opt.K, len(values)), o)
	} else {
		c, sh.Choices, err = ChooseK(values, s.opt.MostK, o)
	}
	if err != nil {
		return sh, err
	}
	if sh.Silhouette, err = silhouetteOf(values, c, sh.Choices, workers); err != nil {
		return sh, err
	}
	sh.K = c.K
	representatives := c.Representatives(nil)
	for j, members := range c.Members() {
		cl := Cluster{Representative: s.kept[positions[representatives[j]]], Centroid: c.Centroids[j]}
		for _, m := range members {
			cl.Members = append(cl.Members, s.kept[positions[m]])
			cl.Distance = append(cl.Distance, clamp(c.Distance[m]))
			cl.Shift = append(cl.Shift, c.Shift[m])
		}
		sh.Clusters = append(sh.Clusters, cl)
	}
	return sh, nil
}

// silhouetteOf looks the silhouette up among the choices, or computes it where k was given.
func silhouetteOf(values [][]float64, c Clustering, choices []KChoice, workers int) (float64, error) {
	for _, v := range choices {
		if v.K == c.K {
			return v.Silhouette, nil
		}
	}
	d, err := Distances(values, workers)
	if err != nil {
		return 0, err
	}
	return Silhouette(d, c.Labels)
}

func pickKShape(s *study) (selection, error) {
	shapes, err := s.shapes()
	if err != nil {
		return selection{}, err
	}
	why := map[int]string{}
	var series []int
	for _, sh := range shapes {
		for _, c := range sh.Clusters {
			series = append(series, c.Representative)
			why[c.Representative] = fmt.Sprintf("It stands for %d series of one shape, of %d shapes in %s.", len(c.Members), sh.K, cmp.Or(sh.Container, "all"))
		}
	}
	out := selected(series, func(i int) string { return why[i] })
	out.shapes = shapes
	return out, nil
}

// summarise counts representatives' families over the containers of each service and pattern.
func summarise(r Recording, shapes []Shapes) (out []Summary) {
	for _, scope := range []string{"service", "pattern"} {
		names := func(s Series) string {
			if scope == "service" {
				return s.service()
			}
			return s.Pattern
		}
		containers, families := map[string]map[string]bool{}, map[string]map[string]int{}
		for _, sh := range shapes {
			seen := map[string]bool{}
			for _, c := range sh.Clusters {
				x := r.Series[c.Representative]
				name := names(x)
				if name == "" {
					continue
				}
				if containers[name] == nil {
					containers[name], families[name] = map[string]bool{}, map[string]int{}
				}
				containers[name][sh.Container] = true
				if !seen[x.family()] {
					seen[x.family()] = true
					families[name][x.family()]++
				}
			}
		}
		for _, name := range slices.Sorted(maps.Keys(containers)) {
			s := Summary{Scope: scope, Name: name, Containers: len(containers[name])}
			for _, f := range slices.Sorted(maps.Keys(families[name])) {
				s.Families = append(s.Families, FamilyCount{f, families[name][f]})
			}
			sortBy(s.Families, func(f FamilyCount) int { return -f.Containers })
			out = append(out, s)
		}
	}
	return out
}
