package analysis

import (
	"fmt"
	"maps"
	"slices"
)

// byFamily picks the series of some families that passed the filter, and those that stand for the ones that were
// dropped as duplicates.
func byFamily(s *study, wanted string, want func(Series) (string, bool)) (selection, error) {
	why := map[int]string{}
	for _, i := range s.kept {
		if reason, ok := want(s.rec.Series[i]); ok {
			why[i] = reason
		}
	}
	for _, d := range s.dropped {
		if reason, ok := want(s.rec.Series[d.Series]); ok && d.Reason == Duplicate && why[d.Like] == "" {
			why[d.Like] = "It runs as " + d.Name + " does. " + reason
		}
	}
	series := slices.Sorted(maps.Keys(why))
	if len(series) == 0 {
		return selection{}, fmt.Errorf("no series of %s is left after the filter: record some, or give the series' family", wanted)
	}
	return selected(series, func(i int) string { return why[i] }), nil
}

func pickPaper(s *study) (selection, error) {
	return byFamily(s, "runq, userfaults or sentbytes", func(x Series) (string, bool) {
		switch {
		case runQueue.has(x):
			return "The paper's Table III has the run queue for every container.", true
		case isProxy(x):
			return "The paper's Table III has sent bytes for frontends and proxies.", sentBytes.has(x)
		}
		return "The paper's Table III has user faults for services and stores.", userFaults.has(x)
	})
}

func pickExpert(s *study) (selection, error) {
	kinds := []struct {
		name string
		set  familySet
	}{{"Utilisation", cpuUsage}, {"Utilisation", memoryUsage}, {"Saturation", runQueue}, {"Saturation", saturation},
		{"Errors", failures}, {"Rate", requestRate}, {"Duration", requestTime}}
	return byFamily(s, "CPU, memory, run queue, pressure, errors, requests or latency", func(x Series) (string, bool) {
		for _, k := range kinds {
			if k.set.has(x) {
				return k.name + ", which the USE and RED methods ask for.", true
			}
		}
		return "", false
	})
}

func pickAll(s *study) (selection, error) {
	return byFamily(s, "any family", func(Series) (string, bool) { return "Everything is taken.", true })
}

func pickCPUMemory(s *study) (selection, error) {
	return byFamily(s, "CPU or memory", func(x Series) (string, bool) {
		return "CPU and memory are what a usual autoscaler sees.", cpuUsage.has(x) || memoryUsage.has(x)
	})
}

func pickRequests(s *study) (selection, error) {
	return byFamily(s, "a request rate", func(x Series) (string, bool) {
		return "Requests are all that is looked at.", requestRate.has(x)
	})
}
