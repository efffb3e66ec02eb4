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
}

// A runConfig is everything that run was asked for, checked.
type runConfig struct {
	runOptions
	Plan     policy.Plan
	Listener net.Listener // closed by the caller
	Log      *slog.Logger
}

func newParts() parts {
	return parts{
		families: catalogue.Families(),
		run: func(context.Context, runConfig) error {
			return errors.New("run: this build has no engine")
		},
	}
}
