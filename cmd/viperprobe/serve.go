package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"viperprobe.dev/viperprobe/internal/agent"
	"viperprobe.dev/viperprobe/internal/cgroup"
	"viperprobe.dev/viperprobe/internal/control"
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
	"viperprobe.dev/viperprobe/internal/store"
	"viperprobe.dev/viperprobe/internal/web"
)

// serve is agent, store and server in one process. It returns when ctx ends and
// everything is drained and stored, or when one of them fails.
func (s *settings) serve(ctx context.Context, p parts, c *control.Controller, listener net.Listener, log *slog.Logger) (err error) {
	var users web.Users
	if s.BasicAuthFile != "" {
		if users, err = web.ReadUsers(s.BasicAuthFile); err != nil {
			return usage(err)
		}
	}
	host, err := ready()
	if err != nil {
		return err
	}
	samples, err := store.Open(store.Options{
		Dir: s.Store, MaxBytes: int64(s.RetentionSize), MaxAge: time.Duration(s.RetentionTime), MaxSeries: int(s.MaxSeries), Log: log,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, samples.Close()) }()
	if err := c.Record(filepath.Join(s.Store, "changes.jsonl")); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	socket, err := s.socket(log)
	if err != nil {
		return err
	}
	recent := store.NewRecent(store.RecentOptions{})
	e, err := p.engine(p, engineConfig{Sinks: []agent.Sink{recent, samples}, Governed: c.Governed, Log: log, Notice: func(n agent.Notice) { c.Note(n.Action, n.What+": "+n.Why) }})
	if err != nil {
		return errors.Join(err, closeSocket(socket))
	}
	handler := s.handler(p, e, c, recent, samples, users, log)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	measured, served, controlled := make(chan error, 1), make(chan error, 1), make(chan error, 1)
	go func() { measured <- e.Run(ctx); stop() }()
	go func() {
		served <- web.Serve(ctx, web.Server{Handler: handler, Listener: listener, Cert: s.TLSCert, Key: s.TLSKey, Log: log})
		stop()
	}()
	go func() { controlled <- control.Run(ctx, c, socket, log); stop() }()
	if refused := c.Start(judged{e, p.families}); refused != nil && ctx.Err() == nil {
		log.Warn("plan not in force in full", "err", refused)
	}
	stopDemo, err := s.demo(host, log)
	if err != nil {
		stop()
		return errors.Join(err, <-measured, <-served, <-controlled)
	}
	defer func() { err = errors.Join(err, stopDemo()) }()
	log.Info("serving", "address", listener.Addr().String(), "store", s.Store, "interval", c.Plan().Interval)
	return errors.Join(<-measured, <-served, <-controlled)
}

// handler serves what is measured over HTTP.
func (s *settings) handler(p parts, e engine, c *control.Controller, recent *store.Recent, samples *store.Store, users web.Users, log *slog.Logger) http.Handler {
	return web.Handler(web.Options{
		Recent: recent, Store: &samples.Reader, Families: p.families, Version: readBuild().Version, Interval: time.Duration(s.Interval),
		Documents: map[string]web.Document{
			"families": {What: "the catalogue", Make: func() any { return describe(p.families) }},
			"status": {What: "which families are measured here, and which do not work", Make: func() any {
				d := status(p, e, c.Plan())
				d.Policies = c.Status()
				return d
			}},
			"probes":  {What: "application probes in files, and why some are not attached", Make: func() any { return append([]policy.AppStatus{}, e.AppProbes()...) }},
			"changes": {What: "what was changed while it runs, by whom, and why", Make: func() any { return c.Changes() }},
		},
		Own:   func() []web.Own { return storeMetrics(samples.Stats()) },
		Users: users, Pprof: s.Pprof, Log: log,
	})
}

// controller has the wishes of the flags and of the policies. The error is that of
// what a person wrote.
func (s *settings) controller(p parts, log *slog.Logger) (*control.Controller, error) {
	w, err := s.wishes(p.families)
	if err != nil {
		return nil, err
	}
	return control.New(control.Options{Wishes: w, Paths: s.Policies, Families: p.families, Log: log})
}

// socket is nil when there is to be none: nobody asked for one, and it cannot be had.
func (s *settings) socket(log *slog.Logger) (net.Listener, error) {
	if s.Control == "none" {
		return nil, nil
	}
	l, err := control.Listen(s.Control)
	if err != nil && !s.isDefaultControl() {
		return nil, fmt.Errorf("%w; choose another path with --control", err)
	}
	if err != nil {
		log.Warn("no live control; choose a socket with --control", "err", err)
		return nil, nil
	}
	return l, nil
}

func closeSocket(l net.Listener) error {
	if l == nil {
		return nil
	}
	return l.Close()
}

// demo starts the workload if it is wanted; what it gives stops it.
func (s *settings) demo(host *cgroup.Host, log *slog.Logger) (stop func() error, err error) {
	wanted, err := wantsDemo(s.Demo.String(), host)
	if err != nil || !wanted {
		return func() error { return nil }, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start demo: %w", err)
	}
	d := &demo{program: program, prefix: "viperprobe-demo"}
	if err := d.startIn(host); err != nil {
		return nil, err
	}
	log.Info("demo started", "cgroups", "/"+d.prefix+"-*")
	return d.stop, nil
}

func storeMetrics(s store.Stats) []web.Own {
	counter := func(name, help string, v uint64) web.Own {
		return web.Own{Name: "viperprobe_store_" + name + "_total", Help: help, Kind: metric.Counter, Value: float64(v)}
	}
	return []web.Own{
		counter("batches", "Batches that were stored.", s.Batches),
		counter("duplicate_batches", "Batches that were there already.", s.Duplicates),
		counter("failed_batches", "Batches that could not be written.", s.Failed),
		counter("samples", "Samples that were stored.", s.Samples),
		counter("dropped_samples", "Samples that were refused: too old, or out of order.", s.Dropped),
		counter("other_samples", "Samples that a cap summed into other.", s.Other),
		{Name: "viperprobe_store_series", Help: "Live series.", Kind: metric.Gauge, Value: float64(s.Series)},
		{Name: "viperprobe_store_bytes", Help: "Size on disk.", Kind: metric.Gauge, Value: float64(s.Bytes)},
	}
}
