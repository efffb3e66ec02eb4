package catalogue

import "viperprobe.dev/viperprobe/internal/metric"

// flowRows are of the hook group socket, whose folds they are made of.
func flowRows() []metric.Family {
	labels := []metric.Label{{Name: "client"}, {Name: "server"}}
	row := func(f metric.Family) metric.Family {
		f.Class, f.Tier, f.Owner, f.Object, f.Labels, f.OnDemand, f.Kernel = metric.Network, metric.Event, metric.OwnerSocket, "socket", labels, true, "5.12"
		f.Rungs = [][]string{tracked()}
		if f.Kind == "" {
			f.Kind = metric.Counter
		}
		return f
	}
	return []metric.Family{
		row(metric.Family{
			Name: "flow_sent_bytes", Cell: "sent", Unit: metric.Bytes,
			Help:   "Payload bytes that TCP sockets of the target sent, by who opened the connection (client) and to whom (server, with its port); the other end by its target's name, or by its address (docs/flows.md). The flows of a target add up to tcp_sent_bytes, but for what it says to itself, which is told by the client's end.",
			Source: "tcp_sock.bytes_sent - bytes_retrans",
		}),
		row(metric.Family{
			Name: "flow_received_bytes", Cell: "received", Unit: metric.Bytes,
			Help:   "Payload bytes that TCP sockets of the target received, by client and server.",
			Source: "tcp_sock.bytes_received, less the FIN",
		}),
		row(metric.Family{
			Name: "flow_retransmits", Cell: "retransmits", Unit: metric.One,
			Help:   "TCP segments that the target sent again, by client and server.",
			Source: "tcp_sock.total_retrans",
		}),
		row(metric.Family{
			Name: "flow_connects", Cell: "connects", Unit: metric.One,
			Help:   "Connections that the target opened or that were opened to it, by client and server, told at the end of the window in which they were.",
			Source: "inet_sock_set_state: to ESTABLISHED",
		}),
		row(metric.Family{
			Name: "flow_connect_failures", Cell: "failures", Unit: metric.One,
			Help:   "Connections that the target tried to open and that were refused, timed out or given up, by client and server.",
			Source: "inet_sock_set_state: SYN_SENT to CLOSE",
		}),
		row(metric.Family{
			Name: "flow_connect_time", Cell: "connect_time", Unit: metric.Seconds,
			Help:   "Time from connect to the established connection, in sum over the connections that the target opened: divided by their flow_connects, the mean.",
			Source: "inet_sock_set_state: SYN_SENT to ESTABLISHED",
		}),
		row(metric.Family{
			Name: "flow_connections", Cell: "connections", Kind: metric.Gauge, Unit: metric.One,
			Help:   "Connections of the target that are open at its end, by client and server.",
			Source: "sock.skc_state",
		}),
		row(metric.Family{
			Name: "flow_srtt", Cell: "srtt", Over: "established", Kind: metric.Gauge, Unit: metric.Seconds,
			Help:   "Smoothed round-trip time, mean over the target's open connections, by client and server.",
			Source: "tcp_sock.srtt_us",
		}),
	}
}
