package catalogue

import "viperprobe.dev/viperprobe/internal/metric"

func protocolRows() []metric.Family {
	// In the order of the enums in protocol.h.
	labels := []metric.Label{
		{Name: "protocol", Values: []string{"http", "http2", "grpc", "redis", "postgresql", "tls"}},
		{Name: "class", Values: []string{"ok", "redirect", "client_error", "server_error", "error", "unknown"}},
	}
	row := func(f metric.Family) metric.Family {
		f.Class, f.Tier, f.Owner, f.Object, f.Labels = metric.Application, metric.Event, metric.OwnerSocket, "protocol", labels
		f.Rungs = [][]string{{"protocol_send", "protocol_receive", "protocol_pass"}}
		f.Sampling = metric.Pairs
		f.OnDemand = true // each packet of each socket passes the programs, and attaching them takes CAP_NET_ADMIN
		f.Kernel = "5.17"
		f.Source = "cgroup_skb: heads of payloads (RFC 9112, 9113, 7541, 8446; RESP; PostgreSQL's protocol 3)"
		f.Help += " HTTP, gRPC, Redis and PostgreSQL by the class of their status; under TLS turns without a class; what is seen and what is not: docs/protocols.md."
		return f
	}
	return []metric.Family{
		row(metric.Family{
			Name: "protocol_requests", Kind: metric.Counter, Unit: metric.One,
			Help: "Requests that the target answered, by protocol.",
		}),
		row(metric.Family{
			Name: "protocol_latency", Sum: "protocol_requests", Kind: metric.Histogram, Unit: metric.Seconds,
			Help: "Time from the arrival of a request's first segment to the departure of the segment that tells how it ended.",
		}),
		row(metric.Family{
			Name: "outbound_protocol_requests", Kind: metric.Counter, Unit: metric.One,
			Help: "Requests that the target sent to others and that were answered, by protocol.",
		}),
		row(metric.Family{
			Name: "outbound_protocol_latency", Sum: "outbound_protocol_requests", Kind: metric.Histogram, Unit: metric.Seconds,
			Help: "Time from the departure of a request's first segment to the arrival of the segment that tells how it ended.",
		}),
	}
}
