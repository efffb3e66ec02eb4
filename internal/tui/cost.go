package tui

import (
	"fmt"
	"strings"

	"viperprobe.dev/viperprobe/internal/metric"
)

// The families by which an agent tells its own cost, on the target of the node.
const (
	costCPU     = "agent_cpu_time"       // counter, seconds
	costMemory  = "agent_resident_bytes" // gauge
	costMaps    = "agent_kernel_bytes"   // gauge
	costSamples = "agent_samples"        // counter
	costDrops   = "agent_dropped"        // counter
)

// cost is the line about ourselves; what a batch does not tell is left out.
func cost(b *metric.Batch) string {
	totals := map[string]float64{}
	for i := range b.Groups {
		if b.Groups[i].Target.Kind != metric.Node {
			continue
		}
		for _, s := range b.Groups[i].Samples {
			totals[s.Family.Name] += float64(s.Value) / s.Family.Scale()
		}
	}
	seconds := b.End.Sub(b.Start).Seconds()
	if seconds <= 0 {
		return ""
	}
	var parts []string
	add := func(name, format string, show func(float64) string) {
		if x, ok := totals[name]; ok {
			parts = append(parts, fmt.Sprintf(format, show(x)))
		}
	}
	add(costCPU, "%s%% CPU", func(x float64) string { return digits(x / seconds * 100) })
	add(costMemory, "%sB RSS", ShortBytes)
	add(costMaps, "%sB maps", ShortBytes)
	if _, told := totals[costSamples]; !told {
		totals[costSamples] = float64(b.Samples())
	}
	add(costSamples, "%s samples/s", func(x float64) string { return Short(x / seconds) })
	add(costDrops, "%s dropped", Short)
	return strings.Join(parts, "  ")
}
