package analysis

import (
	"math"
	"slices"
)

// modelRows bounds the rows that the model of a selection is fitted on.
const modelRows = 4000

// A predictor is a selection's model with the probability from which on it gives alarm.
type predictor struct {
	positions []int
	model     Logistic
	alarm     float64
}

// fit makes the model of a set of series on the runs to learn from.
func (s *study) fit(positions []int) (predictor, error) {
	p := predictor{positions: positions}
	rows := s.usable(s.train)
	if stride := (len(rows) + modelRows - 1) / modelRows; stride > 1 {
		some := rows[:0]
		for i := 0; i < len(rows); i += stride {
			some = append(some, rows[i])
		}
		rows = some
	}
	m, err := fitLogistic(s.columns(positions, rows), outcome(rows), penalty, 1e-6)
	if err != nil {
		return p, err
	}
	p.model = m
	p.alarm = s.alarmLevel(p)
	return p, nil
}

// alarmLevel is the probability whose alarms do best (F2 of episodes, then of rows) on the runs that were learnt from;
// the highest on a tie, as nobody likes alarms.
func (s *study) alarmLevel(p predictor) float64 {
	probability := make([][]float64, len(s.train))
	var all []float64
	var y []bool
	for i, run := range s.train {
		rows := s.every([]int{run})
		probability[i] = p.model.Predict(s.columns(p.positions, rows))
		for j, r := range rows {
			if s.labels.usable[r.at] {
				all, y = append(all, probability[i][j]), append(y, r.label)
			}
		}
	}
	best, level := -1.0, 0.5
	sorted := slices.Sorted(slices.Values(all))
	for q := 0.99; q > 0.3; q -= 0.02 {
		at := sorted[int(q*float64(len(sorted)-1))]
		var e Events
		for i, run := range s.train {
			e.add(s.events(probability[i], run, at))
		}
		if f := e.fBeta() + rowFBeta(all, y, at)/1000; f > best+1e-12 {
			best, level = f, at
		}
	}
	return level
}

// rowFBeta is the F2 of single rows at a level.
func rowFBeta(score []float64, y []bool, level float64) float64 {
	p, r := precisionRecall(score, y, level, true)
	return fBeta(p, r)
}

func precisionRecall(score []float64, y []bool, level float64, above bool) (precision, recall float64) {
	var hit, said, all int
	for i, v := range score {
		on := v >= level
		if !above {
			on = v <= level
		}
		if y[i] {
			all++
		}
		if on {
			said++
			if y[i] {
				hit++
			}
		}
	}
	return ratio(hit, said), ratio(hit, all)
}

func (s *study) events(probability []float64, run int, level float64) Events {
	section := s.rec.Runs[run]
	alarm := make([]bool, len(probability))
	for i, p := range probability {
		alarm[i] = p >= level
	}
	_, lead := s.opt.Task.horizon()
	return CountEvents(alarm, s.rec.SLO[section.From:section.To], s.rec.Step, lead)
}

// A forecast is what a model said about runs that it had not seen, kept to score several turns together.
type forecast struct {
	probability []float64
	label       []bool
	events      Events
}

func (s *study) forecast(p predictor, held []int) (f forecast) {
	for _, run := range held {
		rows := s.every([]int{run})
		probability := p.model.Predict(s.columns(p.positions, rows))
		f.events.add(s.events(probability, run, p.alarm))
		for i, r := range rows {
			if s.labels.usable[r.at] {
				f.probability, f.label = append(f.probability, probability[i]), append(f.label, r.label)
			}
		}
	}
	return f
}

func (f forecast) score() Score {
	sc := Score{Events: f.events, Recall: f.events.Recall(), Precision: f.events.Precision(), FalsePerHour: f.events.FalsePerHour(),
		MedianLead: f.events.Lead(0.5), TenthLead: f.events.Lead(0.1), AP: math.NaN(), Brier: math.NaN()}
	positive := 0
	for _, v := range f.label {
		if v {
			positive++
		}
	}
	sc.Chance = ratio(positive, len(f.label))
	if ap, err := AveragePrecision(f.probability, f.label); err == nil {
		sc.AP = ap
	}
	if b, err := Brier(f.probability, f.label); err == nil {
		sc.Brier = b
	}
	return sc
}
