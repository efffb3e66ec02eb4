package main

import (
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
)

// wishes is what the options ask for. It is pure.
func (s *settings) wishes(catalogue []*metric.Family) (policy.Wishes, error) {
	families, err := policy.Resolve(s.Families, catalogue)
	if err != nil {
		return policy.Wishes{}, err
	}
	w := policy.Wishes{Interval: time.Duration(s.Interval), Base: []policy.Rule{{
		Origin: s.origin("families"),
		Select: policy.Selector{Cgroups: s.Cgroups},
		Wants:  wants(families, 1),
	}}}
	if len(s.ExcludeCgroups) > 0 {
		w.Final = append(w.Final, s.exclusion(catalogue))
	}
	return w, nil
}

// plan makes the node's plan of the options alone.
func (s *settings) plan(catalogue []*metric.Family) (policy.Plan, error) {
	w, err := s.wishes(catalogue)
	return policy.Make(w, 1, time.Time{}), err
}

// exclusion switches families off where --exclude-cgroup says so. The node and
// the remainder match every glob; they are not meant.
func (s *settings) exclusion(families []*metric.Family) policy.Rule {
	return policy.Rule{
		Origin: s.origin("exclude-cgroup"),
		Select: policy.Selector{
			Kinds:   []metric.TargetKind{metric.Container, metric.Service, metric.Plain},
			Cgroups: s.ExcludeCgroups,
		},
		Wants: wants(families, 0),
	}
}

func wants(families []*metric.Family, ratio float64) []policy.Want {
	out := make([]policy.Want, len(families))
	for i, f := range families {
		out[i] = policy.Want{Family: f.Name, Ratio: ratio}
	}
	return out
}
