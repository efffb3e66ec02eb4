package control

import (
	"context"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
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
