package main

import (
	"slices"

	"viperprobe.dev/viperprobe/internal/control"
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
)

// A statusDocument is what /api/status says.
type statusDocument struct {
	Build    build          `json:"build"`
	BPF      string         `json:"bpf"` // why none of its families works, "" if some do
	Families []familyStatus `json:"families"`
	Policies control.Status `json:"policies"` // those in force, and why others are not
}

type familyStatus struct {
	finding
	Wanted bool `json:"wanted"` // by the plan, on some target
}

// status is all families, which of them the plan wants, and which work. Those of BPF
// are known once their hook group was loaded, at the first want.
func status(p parts, e engine, plan policy.Plan) statusDocument {
	d := statusDocument{Build: readBuild()}
	all, none := judge(p.families, e)
	if none != nil {
		d.BPF = none.Error()
	}
	for _, f := range all {
		d.Families = append(d.Families, familyStatus{finding: f, Wanted: wanted(f.Family, p.families, plan)})
	}
	return d
}

// wanted reports whether some rule of plan switches the family on. What the agent
// tells of itself needs no plan.
func wanted(name string, families []*metric.Family, plan policy.Plan) bool {
	if slices.ContainsFunc(families, func(f *metric.Family) bool { return f.Name == name && f.Tier == metric.Self }) {
		return true
	}
	for _, r := range plan.Rules {
		if slices.ContainsFunc(r.Wants, func(w policy.Want) bool { return w.Family == name && w.Ratio > 0 }) {
			return true
		}
	}
	return false
}
