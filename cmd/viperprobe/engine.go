package main

import (
	"context"
	"errors"
	"log/slog"
	"net"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
)

// parts are what the commands need of the packages below. Tests bring their own.
type parts struct {
	families []*metric.Family
	run      func(context.Context, runConfig) error // returns when ctx ends and everything is stored
	engine   func(engineConfig) (engine, error)     // loads nothing until Run
}

// An engine measures what its plan wants and publishes one batch per window.
type engine interface {
	Apply(policy.Plan) error
	Run(context.Context) error // nil when ctx ends
}

// A sink takes the batches of an engine.
type sink interface {
	Publish(context.Context, *metric.Batch) error
}

type engineConfig struct {
	Sink     sink
	ProbeDir string
	Log      *slog.Logger
}

// A runConfig is everything that run was asked for, checked.
type runConfig struct {
	runOptions
	Plan     policy.Plan
	Listener net.Listener // closed by the caller
	Log      *slog.Logger
}

var errNoEngine = errors.New("this build has no engine")

func newParts() parts {
	return parts{
		families: catalogue.Families(),
		run: func(context.Context, runConfig) error {
			return errNoEngine
		},
		engine: func(engineConfig) (engine, error) { return nil, errNoEngine },
	}
}
