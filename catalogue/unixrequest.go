package catalogue

import "viperprobe.dev/viperprobe/internal/metric"

func unixRequestRows() []metric.Family {
	const unknown = " A request is a turn on a connection of type stream or seqpacket, whatever the protocol: the side that connected sends, the accepted side reads and sends. Handshakes are turns, pipelined requests that are read or answered together are one, of a stream only its beginning is seen; pairs (socketpair) have no server and are not in it, nor what splice moves."
	row := func(f metric.Family) metric.Family {
		f.Class, f.Tier, f.Owner, f.Object, f.Sampling = metric.Application, metric.Event, metric.OwnerTask, "unixrequest", metric.Pairs
		f.Rungs = [][]string{{"unixrequest_send", "unixrequest_recv"}, {"unixrequest_stream_sent", "unixrequest_stream_received",
			"unixrequest_seqpacket_sent", "unixrequest_seqpacket_received"}}
		f.Help += unknown
		f.OnDemand = true // the tracepoints fire for each send and receive of TCP too
		f.Kernel = "5.16"
		return f
	}
	sides := []metric.Label{{Name: "side", Values: []string{"server", "client"}}}
	return []metric.Family{
		row(metric.Family{
			Name: "unix_requests", Kind: metric.Counter, Unit: metric.One, Labels: sides,
			Help:   "Requests over AF_UNIX connections that tasks of the target answered (server), or had answered (client), counted at the first send after a read.",
			Source: "sock_recv_length, sock_send_length; before 6.4 the ends of unix_stream_recvmsg, unix_stream_sendmsg and of their like for seqpacket",
		}),
		row(metric.Family{
			Name: "unix_request_latency", Sum: "unix_requests", Kind: metric.Histogram, Unit: metric.Seconds, Labels: sides,
			Help:   "Time from the return of a request's first send to the return of the first send of its answer, the same for both sides; from the return of the read where that came before the client's send returned, or where nothing was sent since the last read.",
			Source: "sock_send_length to sock_send_length",
		}),
		row(metric.Family{
			Name: "unix_request_wait", Kind: metric.Histogram, Unit: metric.Seconds,
			Help:   "Time from the return of a request's first send to the return of the server's first read: what it waited for the server; none where the read came first.",
			Source: "sock_send_length to sock_recv_length",
		}),
	}
}
