package catalogue

import "viperprobe.dev/viperprobe/internal/metric"

func udpRows() []metric.Family {
	row := func(f metric.Family) metric.Family {
		f.Class, f.Tier, f.Kind, f.Owner, f.Object = metric.Network, metric.Event, metric.Counter, metric.OwnerSocket, "udp"
		f.Labels = []metric.Label{{Name: "direction", Values: []string{"in", "out"}}}
		f.Rungs = [][]string{{"udp_send", "udp_recv"}, {"udp_sent", "udp_sent6", "udp_received", "udp_received6"}}
		f.Sampling = metric.Events
		f.OnDemand = true // the tracepoints fire for each send and receive of TCP too
		f.Source = "sock_send_length, sock_recv_length; before 6.4 the ends of udp_sendmsg, udp_recvmsg and their IPv6 kin"
		f.Kernel = "5.12"
		return f
	}
	return []metric.Family{
		row(metric.Family{
			Name: "udp_bytes", Unit: metric.Bytes,
			Help: "Payload bytes that UDP sockets of the target sent, or that were read from them; what arrived and was not read is not in it, what was only peeked at neither; QUIC is in it.",
		}),
		row(metric.Family{
			Name: "udp_datagrams", Unit: metric.One,
			Help: "Calls that sent or read a datagram over UDP sockets of the target; with segmentation offload (GSO, GRO) one call moves several datagrams and counts once.",
		}),
	}
}
