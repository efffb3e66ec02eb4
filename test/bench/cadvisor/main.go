// Command cadvisor is cAdvisor as its users run it, to compare with: raw cgroups, the
// metrics that upstream's program has on by default, housekeeping each second (seldom in
// a container where nothing happens, down to once a minute, as upstream has it), and
// Prometheus text on -listen. It is a module of its own, so that the product's list of
// modules has nothing of it.
package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/google/cadvisor/lib/cache/memory"
	"github.com/google/cadvisor/lib/container"
	"github.com/google/cadvisor/lib/manager"
	"github.com/google/cadvisor/lib/metrics"
	info "github.com/google/cadvisor/lib/model"
	"github.com/google/cadvisor/lib/utils/sysfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/utils/clock"
)

// offByDefault is what upstream's -disable_metrics says when nobody gives it.
var offByDefault = []container.MetricKind{
	container.MemoryNumaMetrics, container.NetworkTcpUsageMetrics, container.NetworkUdpUsageMetrics,
	container.NetworkAdvancedTcpUsageMetrics, container.ProcessSchedulerMetrics, container.ProcessMetrics,
	container.HugetlbUsageMetrics, container.ReferencedMemoryMetrics, container.CPUTopologyMetrics,
	container.ResctrlMetrics, container.CPUSetMetrics,
}

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "where to serve /metrics")
	flag.Parse()
	if err := run(*listen); err != nil {
		fmt.Fprintln(os.Stderr, "cadvisor:", err)
		os.Exit(1)
	}
}

func run(listen string) error {
	off := container.MetricSet{}
	for _, kind := range offByDefault {
		off[kind] = struct{}{}
	}
	on := container.AllMetrics.Difference(off)
	m, err := manager.New(memory.New(2*time.Minute, nil), sysfs.NewRealSysFs(), manager.HousekeepingConfigFlags, on, []string{""}, nil, "", 0)
	if err != nil {
		return err
	}
	if err := m.Start(); err != nil {
		return err
	}
	http.HandleFunc("/metrics", func(w http.ResponseWriter, r *http.Request) {
		// Upstream, too, makes a registry for each request, whose options the collector keeps.
		registry := prometheus.NewRegistry()
		registry.MustRegister(
			metrics.NewPrometheusCollector(m, metrics.DefaultContainerLabels, on, clock.RealClock{}, info.RequestOptions{IdType: "name", Count: 1, Recursive: true}),
			metrics.NewPrometheusMachineCollector(m, on))
		promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, r)
	})
	return http.ListenAndServe(listen, nil)
}
