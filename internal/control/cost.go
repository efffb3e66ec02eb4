package control

import (
	"context"
	"time"

	"viperprobe.dev/viperprobe/internal/budget"
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
)

// costLimit bounds a measurement of costs.
const costLimit = 20 * time.Second

// Cost measures what measuring costs here, for a second or a little longer. Changes
// go on meanwhile.
func (c *Controller) Cost() (metric.Bill, error) {
	c.mu.Lock()
	engine := c.engine
	c.mu.Unlock()
	if engine == nil {
		return metric.Bill{}, ErrNotStarted
	}
	ctx, cancel := context.WithTimeout(context.Background(), costLimit)
	defer cancel()
	return engine.Cost(ctx)
}

type forecast struct {
	Files []policy.File `json:"files"`
	Add   string        `json:"add"`
}

// Forecast measures what measuring costs now, and what it would cost with documents in
// place of those of the same kind and name, or beside the others; or, where add names
// a target, with one more like it. Nothing is changed.
func (c *Controller) Forecast(files []policy.File, add string) (metric.Forecast, error) {
	if add != "" {
		return c.forecastTarget(add)
	}
	c.mu.Lock()
	documents, err := policy.Parse(policy.Supersede(c.files, files), c.families)
	engine, wishes, generation := c.engine, c.wishes, c.generation
	c.mu.Unlock()
	if err != nil {
		return metric.Forecast{}, &RefusedError{err}
	}
	if engine == nil {
		return metric.Forecast{}, ErrNotStarted
	}
	wishes.Documents = documents
	ctx, cancel := context.WithTimeout(context.Background(), costLimit)
	defer cancel()
	return engine.Forecast(ctx, policy.Make(wishes, generation, time.Now()))
}

func (c *Controller) forecastTarget(name string) (metric.Forecast, error) {
	found, err := c.Explain(name)
	if err != nil {
		return metric.Forecast{}, err
	}
	if len(found) != 1 {
		return metric.Forecast{}, refuse("%d targets are called %s, want one; `viperprobe top --once` lists them", len(found), name)
	}
	now, err := c.Cost()
	return metric.Forecast{Now: now, Then: budget.Another(now, found[0].Target.ID)}, err
}
