package analysis

import "slices"

const (
	// foresight is the longest time, in seconds, between an alarm and the violation that it is believed to announce.
	foresight = 300
	// sameAlarm is the gap, in seconds, below which two alarms are one, and two violations one episode.
	sameAlarm = 60
)

// Events are alarms against violation episodes. Those of several runs add up.
type Events struct {
	Episodes int       // violations that began while someone was watching
	Detected int       // those announced by an alarm that started 300 s to the least lead ahead
	Alarms   int       // alarms, less those that started inside an episode: they are late, not wrong
	True     int       // alarms after which an episode started within 300 s
	Late     int       // alarms that started inside an episode
	Hours    float64   // observed
	Leads    []float64 // seconds from the first alarm to each detected episode
}

// CountEvents compares alarms with violations in one run of rows that are step seconds apart. Alarms less than 60 s
// apart are one, violations likewise. An alarm that never ends announces nothing but its first 300 s. A negative
// leastLead lets an alarm start that long after.
func CountEvents(alarm, violated []bool, step, leastLead float64) Events {
	e := Events{Hours: float64(len(alarm)) * step / 3600}
	episodes := intervals(violated, step)
	alarms := intervals(alarm, step)
	for _, v := range episodes {
		if v.from == 0 {
			continue // it began before anyone could see it
		}
		e.Episodes++
		for _, a := range alarms {
			if lead := float64(v.from-a.from) * step; lead >= leastLead && lead <= foresight {
				e.Detected++
				e.Leads = append(e.Leads, lead)
				break
			}
		}
	}
	for _, a := range alarms {
		inside := slices.ContainsFunc(episodes, func(v span) bool { return a.from > v.from && a.from < v.to || v.from == 0 && a.from == 0 })
		announces := slices.ContainsFunc(episodes, func(v span) bool {
			lead := float64(v.from-a.from) * step
			return lead >= min(leastLead, 0) && lead <= foresight
		})
		switch {
		case announces:
			e.Alarms++
			e.True++
		case inside:
			e.Late++
		default:
			e.Alarms++
		}
	}
	return e
}

// A span is rows from (included) to (excluded).
type span struct{ from, to int }

// intervals are the runs of true, joined where less than sameAlarm apart.
func intervals(on []bool, step float64) (out []span) {
	for i, v := range on {
		if !v {
			continue
		}
		if n := len(out); n > 0 && (i == out[n-1].to || float64(i-out[n-1].to)*step < sameAlarm) {
			out[n-1].to = i + 1
			continue
		}
		out = append(out, span{i, i + 1})
	}
	return out
}

func (e *Events) add(o Events) {
	e.Episodes += o.Episodes
	e.Detected += o.Detected
	e.Alarms += o.Alarms
	e.True += o.True
	e.Late += o.Late
	e.Hours += o.Hours
	e.Leads = append(e.Leads, o.Leads...)
}

// Recall is the share of episodes that were announced; 0 without any.
func (e Events) Recall() float64 { return ratio(e.Detected, e.Episodes) }

// Precision is the share of alarms that announced something; 0 without any.
func (e Events) Precision() float64 { return ratio(e.True, e.Alarms) }

// FalsePerHour is the number of alarms per hour that announced nothing.
func (e Events) FalsePerHour() float64 {
	if e.Hours == 0 {
		return 0
	}
	return float64(e.Alarms-e.True) / e.Hours
}

// Lead is the quantile q of the lead times in seconds: 0.5 is the median. 0 if nothing was detected.
func (e Events) Lead(q float64) float64 { return quantile(e.Leads, q) }

// fBeta weighs recall twice as heavily as precision: a missed violation costs more than an alarm in vain.
func (e Events) fBeta() float64 { return fBeta(e.Precision(), e.Recall()) }

func fBeta(precision, recall float64) float64 {
	if precision+recall == 0 {
		return 0
	}
	return 5 * precision * recall / (4*precision + recall)
}

func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// quantile interpolates linearly between order statistics.
func quantile(x []float64, q float64) float64 {
	if len(x) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(x))
	at := q * float64(len(s)-1)
	i := min(int(at), len(s)-1)
	j := min(i+1, len(s)-1)
	return s[i] + (at-float64(i))*(s[j]-s[i])
}
