package analysis

import "strings"

// A familySet names families the way sources do: ours, the paper's, cAdvisor's, the kernel's. A series is in it if its
// family, less prefixes and units, is one of them or begins with one of them and an underscore.
type familySet []string

var (
	// The two columns of the paper's Table III.
	runQueue   = familySet{"runq", "runq_latency", "runq_delay", "run_delay", "runqlat"}
	userFaults = familySet{"userfaults", "user_faults", "pgfault", "page_faults", "memory_failures", "faults_minor", "minor_faults"}
	sentBytes  = familySet{"sentbytes", "sent_bytes", "tcp_sent", "network_transmit_bytes", "network_sent", "tx_bytes", "net_sent"}

	cpuUsage     = familySet{"cputime", "cpu_usage", "cpu", "usage_usec", "cpu_time", "process_cpu"}
	memoryUsage  = familySet{"memory_working_set", "memory_usage", "memory_current", "memory_rss", "memory", "process_resident_memory"}
	requestRate  = familySet{"requests", "request_rate", "rps", "http_requests", "request_count", "qps"}
	requestTime  = familySet{"request_latency", "request_duration", "http_request_duration", "latency", "response_time"}
	saturation   = familySet{"cpu_pressure", "memory_pressure", "io_pressure", "psi", "cpu_throttled", "throttled", "listen_backlog", "request_wait"}
	failures     = familySet{"retransmits", "tcp_retransmits", "tcp_retrans", "errors", "request_errors", "http_errors", "oom"}
	proxyPattern = []string{"envoy", "proxy", "frontend", "front-end", "gateway", "istio", "linkerd", "ingress", "haproxy", "nginx"}
)

func (f familySet) has(s Series) bool {
	name := strings.ToLower(s.family())
	for _, prefix := range []string{"viperprobe_", "container_", "node_"} {
		name = strings.TrimPrefix(name, prefix)
	}
	for _, want := range f {
		if rest, ok := strings.CutPrefix(name, want); ok && (rest == "" || rest[0] == '_') {
			return true
		}
	}
	return false
}

// isProxy tells whether the paper would give a series' container the metrics of frontend and proxies.
func isProxy(s Series) bool {
	for _, word := range []string{s.Pattern, s.service(), s.Container} {
		for _, p := range proxyPattern {
			if strings.Contains(strings.ToLower(word), p) {
				return true
			}
		}
	}
	return false
}
