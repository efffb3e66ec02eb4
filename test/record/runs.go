package main

import "math"

// A run is a shape of load, as a share of the capacity, and of the neighbour, as a share of the CPU, over time from 0
// to 1.
type run struct {
	name      string
	load      func(t float64) float64
	neighbour func(t float64) float64
}

// runs are the workloads, one run of each. Some go beyond the capacity by load alone, some by the neighbour alone, one
// by both, two never.
var runs = []run{
	{"ramp", path(0, .4, .35, .4, .75, 1.3, .85, 1.3, .9, .5, 1, .5), none},
	{"calm", func(t float64) float64 { return .6 + .1*math.Sin(4*math.Pi*t) }, none},
	{"steps", path(0, .5, .4, .5, .41, .8, .65, .8, .66, 1.2, .85, 1.2, .86, .6, 1, .6), none},
	{"neighbour", path(0, .55, 1, .55), path(0, 0, .4, 0, .75, 1, .85, 1, .86, 0, 1, 0)},
	{"diurnal", func(t float64) float64 { return .75 - .45*math.Cos(3*math.Pi*t) }, none},
	{"neighbour-steps", path(0, .6, 1, .6), path(0, 0, .35, 0, .36, .4, .55, .4, .56, .8, .7, .8, .71, 0, 1, 0)},
	{"calm-neighbour", path(0, .4, 1, .4), path(0, .1, .5, .3, 1, .1)},
	{"bursts", path(0, .5, .4, .5, .5, 1.3, .55, 1.3, .56, .5, .7, .5, .8, 1.4, .85, 1.4, .86, .5, 1, .5), none},
	{"both", path(0, .4, .3, .4, .8, .95, 1, .6), path(0, 0, .3, 0, .7, .6, .8, .6, .81, 0, 1, 0)},
}

func none(float64) float64 { return 0 }

// path goes straight from point to point, given as time and value in turn.
func path(points ...float64) func(float64) float64 {
	return func(t float64) float64 {
		for i := 2; i < len(points); i += 2 {
			if t <= points[i] {
				at := (t - points[i-2]) / (points[i] - points[i-2])
				return points[i-1] + at*(points[i+1]-points[i-1])
			}
		}
		return points[len(points)-1]
	}
}

// tenths are the values of a shape for each tenth of a second.
func tenths(seconds int, shape func(float64) float64, scale float64) []float64 {
	out := make([]float64, 10*seconds)
	for i := range out {
		out[i] = scale * max(0, shape(float64(i)/float64(len(out))))
	}
	return out
}
