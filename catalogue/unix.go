package catalogue

import "viperprobe.dev/viperprobe/internal/metric"

func unixRows() []metric.Family {
	row := func(f metric.Family) metric.Family {
		f.Class, f.Tier, f.Kind, f.Owner, f.Object = metric.Network, metric.Event, metric.Counter, metric.OwnerTask, "unix"
		f.Labels = []metric.Label{{Name: "direction", Values: []string{"in", "out"}}}
		f.Rungs = [][]string{{"unix_send", "unix_recv"}, {"unix_stream_sent", "unix_stream_received",
			"unix_dgram_sent", "unix_dgram_received", "unix_seqpacket_sent", "unix_seqpacket_received"}}
		f.Sampling = metric.Events
		f.OnDemand = true // the tracepoints fire for each send and receive of TCP too
		f.Source = "sock_send_length, sock_recv_length; before 6.4 the ends of unix_stream_sendmsg, unix_dgram_sendmsg and of their like that receive"
		f.Kernel = "5.12"
		return f
	}
	return []metric.Family{
		row(metric.Family{
			Name: "unix_bytes", Unit: metric.Bytes,
			Help: "Bytes that tasks of the target sent over AF_UNIX sockets, or read from them; what was only peeked at is not in it, nor what splice moved.",
		}),
		row(metric.Family{
			Name: "unix_messages", Unit: metric.One,
			Help: "Calls that sent something over AF_UNIX sockets for the target, or read something from them; each datagram is one.",
		}),
	}
}
