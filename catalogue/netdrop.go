package catalogue

import "viperprobe.dev/viperprobe/internal/metric"

func netdropRows() []metric.Family {
	reasons := []metric.Label{{Name: "reason", Values: []string{
		"no_socket", "buffer", "tcp", "checksum", "filter", "route", "queue", "other", "unspecified"}}}
	const classes = " By class of the kernel's reason: nobody listens; no room in a buffer or queue of a socket; TCP had no use for it (duplicates and late acknowledgements too, which are no loss); checksum; a filter or policy; no route or neighbour, not for us; a queue of a device or CPU; other; not told or thrown away at close, of which older kernels have the more."
	free := [][]string{{"netdrop_free"}, {"netdrop_free_unknown"}}
	row := func(f metric.Family) metric.Family {
		if f.Kernel == "" {
			f.Kernel = "5.12"
		}
		f.Class, f.Tier, f.Kind, f.Unit, f.Object = metric.Network, metric.Event, metric.Counter, metric.One, "netdrop"
		return f
	}
	return []metric.Family{
		row(metric.Family{
			Name: "packet_drops", Kernel: "5.17", Labels: reasons, Owner: metric.OwnerSocket, Rungs: free, Sampling: metric.Events,
			Help:   "Packets of sockets of the target, in or out, that the kernel threw away." + classes + " Older kernels (6.1) seldom tell whose an arriving packet was: it is the node's then.",
			Source: "kfree_skb reason, receiving socket or sk_buff.sk",
		}),
		row(metric.Family{
			Name: "node_packet_drops", Kernel: "5.17", Labels: reasons, Owner: metric.OwnerNode, Rungs: free, Sampling: metric.Events,
			Help:   "Packets that the kernel threw away before it knew a socket for them, or that never had one." + classes,
			Source: "kfree_skb reason",
		}),
		row(metric.Family{
			Name: "tcp_resets", Sampling: metric.Rare, Owner: metric.OwnerSocket, Rungs: [][]string{{"netdrop_reset_sent", "netdrop_reset_received"}},
			Labels: []metric.Label{{Name: "direction", Values: []string{"sent", "received"}}},
			Help:   "TCP resets that sockets of the target sent or took in: a peer or the process gave a connection up, or a connect was refused. Resets that answer a port nobody listens on have no socket and are nobody's.",
			Source: "tcp_send_reset, tcp_receive_reset",
		}),
	}
}
