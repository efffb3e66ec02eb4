// Package analysis finds, among the recorded series of many containers, the few that matter: it clusters series by
// shape (k-Shape), tests who drives whom (Granger), selects the cheapest series that predict violations of the SLO,
// and judges every selection on runs that it has not seen.
//
// The package is pure: slices in, structs out, no I/O and no clock. Every result depends on the input, the options
// and the seed alone, whatever the number of cores. Functions do not modify their arguments unless they say so, and
// are safe for concurrent use. Run is the one entry for whole recordings; the rest are its parts.
package analysis

import "errors"

// Errors that callers can tell apart with errors.Is; the text around them says where.
var (
	ErrNaN       = errors.New("value is not a finite number")
	ErrLength    = errors.New("series differ in length")
	ErrConstant  = errors.New("series is constant")
	ErrTooShort  = errors.New("too few points")
	ErrOneClass  = errors.New("labels are all the same")
	ErrNoSeries  = errors.New("no series")
	ErrNoSLO     = errors.New("recording has no SLO")
	ErrAlgorithm = errors.New("unknown algorithm")
)
