package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// hooks prints what the benchmarks of package probe measure: the time of a run of
// each program, as the kernel has it, beside an empty one on the same hook in the
// same load. It needs Go and the sources.
func (b *bench) hooks() error {
	cmd := exec.Command("go", "test", "-run", "^$", "-bench", ".", "-skip", "^Benchmark(Tick|Pass|RedisThroughput|Prices)$", "-benchtime", "1x", "./internal/probe")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("go test ./internal/probe: %w: %s", err, out)
	}
	fmt.Printf("\n## Time of a run of each program (BPF_ENABLE_STATS, its own two clock readings included)\n\n")
	fmt.Printf("| load, gate | program | ns | empty program | over it | runs per event |\n|---|---|---|---|---|---|\n")
	metrics := regexp.MustCompile(`([0-9.e+]+) (\S+)`)
	for line := range strings.Lines(string(out)) {
		name, ok := strings.CutPrefix(line, "Benchmark")
		if !ok {
			continue
		}
		name = strings.Fields(name)[0]
		values := map[string]float64{}
		for _, m := range metrics.FindAllStringSubmatch(line, -1) {
			if v, err := strconv.ParseFloat(m[1], 64); err == nil {
				values[m[2]] = v
			}
		}
		for _, key := range slices.Sorted(maps.Keys(values)) {
			empty := values[key]
			program, ok := strings.CutSuffix(key, "-empty-ns")
			if !ok {
				continue
			}
			runs := ""
			for k, v := range values {
				if event, ok := strings.CutPrefix(k, program+"-runs/"); ok {
					runs = fmt.Sprintf("%.2f / %s", v, event)
				}
			}
			fmt.Printf("| %s | %s | %.0f | %.0f | %+.0f | %s |\n", name, program, values[program+"-ns"], empty, values[program+"-ns"]-empty, runs)
		}
	}
	return nil
}
