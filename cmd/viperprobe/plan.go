package main

import (
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
)

// plan makes the node's plan of the options. It is pure.
func (s *settings) plan(catalogue []*metric.Family) (policy.Plan, error) {
	families, err := policy.Resolve(s.Families, catalogue)
	if err != nil {
		return policy.Plan{}, err
	}
	plan := policy.Plan{Generation: 1, Interval: time.Duration(s.Interval)}
	plan.Rules = append(plan.Rules, policy.Rule{
		Origin: s.origin("families"),
		Select: policy.Selector{Cgroups: s.Cgroups},
		Wants:  wants(families, 1),
	})
	if len(s.ExcludeCgroups) > 0 {
		plan.Rules = append(plan.Rules, s.exclusion(families))
	}
	return plan, nil
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
