package catalogue

import "viperprobe.dev/viperprobe/internal/metric"

func requestRows() []metric.Family {
	set := func(receive, send string) []string {
		return []string{"request_state", "request_probe", receive, send, "request_pass"}
	}
	rungs := [][]string{set("request_recv", "request_send"), set("request_tcp_recv", "request_tcp_send")}
	const unknown = " A request is a turn on a TCP connection, whatever the protocol and under TLS too: handshakes of TLS and databases are turns, pipelined requests that are read or answered together are one, interleaved streams (HTTP/2, gRPC) run into each other, and of a stream only its beginning is seen."
	row := func(f metric.Family) metric.Family {
		f.Class, f.Tier, f.Owner, f.Object, f.Rungs, f.Sampling = metric.Application, metric.Event, metric.OwnerSocket, "request", rungs, metric.Pairs
		f.Help += unknown
		f.Kernel = "5.12"
		return f
	}
	return []metric.Family{
		row(metric.Family{
			Name: "requests", Kind: metric.Counter, Unit: metric.One,
			Help:   "Requests that the target answered on connections it accepted, counted at the first send after a read.",
			Source: "sock_recv_length, sock_send_length; before 6.4 tcp_recvmsg, tcp_sendmsg",
		}),
		row(metric.Family{
			Name: "request_latency", Sum: "requests", Kind: metric.Histogram, Unit: metric.Seconds,
			Help:   "Time from the arrival of a request's first segment to the return of the first send of its answer; from the return of the read where nothing had arrived since the last one.",
			Source: "tcp_probe to sock_send_length",
		}),
		row(metric.Family{
			Name: "request_wait", Kind: metric.Histogram, Unit: metric.Seconds,
			Help:   "Time from the arrival of a request's first segment to the return of the first read: what it waited for the process.",
			Source: "tcp_probe to sock_recv_length",
		}),
		row(metric.Family{
			Name: "outbound_requests", Kind: metric.Counter, Unit: metric.One,
			Help:   "Requests that the target sent on connections it opened and that were answered, counted at the arrival of the answer's first segment.",
			Source: "sock_send_length, tcp_probe",
		}),
		row(metric.Family{
			Name: "outbound_latency", Sum: "outbound_requests", Kind: metric.Histogram, Unit: metric.Seconds,
			Help:   "Time from the return of a request's first send to the arrival of the answer's first segment: network and peer, without the target's own reading; where the answer came before the send returned, from the departure of the last segment.",
			Source: "sock_send_length to tcp_probe",
		}),
	}
}
