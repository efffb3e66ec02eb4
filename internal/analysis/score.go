package analysis

import (
	"fmt"
	"slices"
)

// AveragePrecision is the area under the precision-recall curve as a sum over its steps: the mean precision at each
// positive, equal scores taken together. 0.1 is what chance gets where a tenth is positive. The error wraps ErrLength,
// ErrNaN or ErrOneClass.
func AveragePrecision(score []float64, y []bool) (float64, error) {
	if len(score) != len(y) {
		return 0, fmt.Errorf("%d scores for %d labels: %w", len(score), len(y), ErrLength)
	}
	if at := firstNaN(score); at >= 0 {
		return 0, fmt.Errorf("score %d: %w", at, ErrNaN)
	}
	target, err := indicator(y)
	if err != nil {
		return 0, err
	}
	order := ascending(score)
	slices.Reverse(order)
	var hits, area float64
	for i := 0; i < len(order); {
		j, before := i, hits
		for j < len(order) && score[order[j]] == score[order[i]] {
			hits += target[order[j]]
			j++
		}
		area += (hits - before) * hits / float64(j)
		i = j
	}
	return area / sum(target), nil
}

// Brier is the mean squared difference of probability and outcome: 0 is perfect, and the variance of y is what a
// constant guess gets.
func Brier(probability []float64, y []bool) (float64, error) {
	if len(probability) != len(y) {
		return 0, fmt.Errorf("%d probabilities for %d labels: %w", len(probability), len(y), ErrLength)
	}
	if len(y) == 0 {
		return 0, ErrTooShort
	}
	var s float64
	for i, p := range probability {
		if y[i] {
			p = 1 - p
		}
		s += p * p
	}
	return s / float64(len(y)), nil
}
