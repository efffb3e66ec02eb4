package catalogue

import "viperprobe.dev/viperprobe/internal/metric"

// tracked are the programs that follow TCP sockets.
func tracked() []string {
	return []string{"socket_state", "socket_state_again", "socket_destroy", "socket_tick", "socket_pass"}
}

func socketRows() []metric.Family {
	row := func(f metric.Family) metric.Family {
		f.Class, f.Owner, f.Object = metric.Network, metric.OwnerSocket, "socket"
		if f.Kind == "" {
			f.Kind = metric.Counter
		}
		if f.Tier == "" {
			f.Tier = metric.Snapshot
		}
		if f.Rungs == nil {
			f.Rungs = [][]string{tracked()}
		}
		f.Kernel = "5.12"
		return f
	}
	return []metric.Family{
		row(metric.Family{
			Name: "tcp_sent_bytes", Unit: metric.Bytes, Aliases: []string{"sentbytes"},
			Help:   "Payload bytes that TCP sockets of the target sent, each once however often it was sent again.",
			Source: "tcp_sock.bytes_sent - bytes_retrans; paper: sentbytes",
		}),
		row(metric.Family{
			Name: "tcp_received_bytes", Unit: metric.Bytes,
			Help:   "Payload bytes that TCP sockets of the target received in order, read by the process or not yet.",
			Source: "tcp_sock.bytes_received, less the FIN",
		}),
		row(metric.Family{
			Name: "tcp_acked_bytes", Unit: metric.Bytes,
			Help:   "Payload bytes sent by the target that its peers acknowledged.",
			Source: "tcp_sock.bytes_acked, less SYN and FIN",
		}),
		row(metric.Family{
			Name: "tcp_segments", Unit: metric.One,
			Labels: []metric.Label{{Name: "direction", Values: []string{"in", "out"}}},
			Help:   "TCP segments of the target's connections, those without payload too.",
			Source: "tcp_sock.segs_in, segs_out",
		}),
		row(metric.Family{
			Name: "tcp_retransmits", Unit: metric.One, Aliases: []string{"retransmits"},
			Help:   "TCP segments that the target sent again, SYNs among them.",
			Source: "tcp_sock.total_retrans; thesis: retransmits",
		}),
		row(metric.Family{
			Name: "tcp_srtt", Kind: metric.Gauge, Unit: metric.Seconds, Cell: "srtt", Over: "established",
			Help:   "Smoothed round-trip time, mean over the target's established connections; smoothed by the kernel, so no distribution can be had of it.",
			Source: "tcp_sock.srtt_us",
		}),
		row(metric.Family{
			Name: "tcp_connections", Kind: metric.Gauge, Unit: metric.One,
			Labels: []metric.Label{{Name: "state", Values: []string{"established", "opening", "closing", "close_wait", "listen"}}},
			Help:   "TCP sockets of the target by state; time-wait belongs to nobody and is not counted.",
			Source: "sock.skc_state",
		}),
		row(metric.Family{
			Name: "tcp_send_queue_bytes", Kind: metric.Gauge, Unit: metric.Bytes,
			Help:   "Bytes that the target wrote and its peers have not acknowledged.",
			Source: "tcp_sock.write_seq - snd_una",
		}),
		row(metric.Family{
			Name: "tcp_receive_queue_bytes", Kind: metric.Gauge, Unit: metric.Bytes,
			Help:   "Bytes that arrived for the target and were not read yet.",
			Source: "tcp_sock.rcv_nxt - copied_seq",
		}),
		row(metric.Family{
			Name: "tcp_listen_backlog", Kind: metric.Gauge, Unit: metric.One,
			Help:   "Connections that wait in the target's accept queues.",
			Source: "sock.sk_ack_backlog of listeners",
		}),
		row(metric.Family{
			Name: "tcp_listen_backlog_limit", Kind: metric.Gauge, Unit: metric.One,
			Help:   "Room of the target's accept queues, in sum.",
			Source: "sock.sk_max_ack_backlog of listeners",
		}),
		row(metric.Family{
			Name: "tcp_listen_drops", Unit: metric.One,
			Help:   "Connections that the target's listeners turned away, each try of a peer once: the accept queue was full (nearly always), memory was short, or a filter said so. Of an MPTCP listener that is older than we, from the second window on.",
			Source: "sock.sk_drops of listeners; in sum over a network namespace TcpExt ListenDrops",
		}),
		row(metric.Family{
			Name: "tcp_send_busy_time", Unit: metric.Seconds,
			Help:   "Time in which the target's connections had something to send that was not acknowledged yet, in sum over connections, in timer ticks of the kernel.",
			Source: "tcp_sock.chrono_stat, TCP_INFO tcpi_busy_time",
		}),
		row(metric.Family{
			Name: "tcp_send_limited_time", Unit: metric.Seconds,
			Labels: []metric.Label{{Name: "by", Values: []string{"receive_window", "send_buffer"}}},
			Help:   "The part of tcp_send_busy_time in which nothing could be sent because the peer had no room (its window was full: it reads too slowly), or because the target's own send buffer was too small.",
			Source: "tcp_sock.chrono_stat, TCP_INFO tcpi_rwnd_limited, tcpi_sndbuf_limited",
		}),
		row(metric.Family{
			Name: "tcp_accepts", Tier: metric.Event, Unit: metric.One,
			Help:   "Connections that were established by a peer of the target, accepted by the process or not yet.",
			Source: "inet_sock_set_state: SYN_RECV to ESTABLISHED",
		}),
		row(metric.Family{
			Name: "tcp_connects", Tier: metric.Event, Unit: metric.One,
			Help:   "Connections that the target established.",
			Source: "inet_sock_set_state: SYN_SENT to ESTABLISHED",
		}),
		row(metric.Family{
			Name: "tcp_connect_failures", Tier: metric.Event, Unit: metric.One,
			Help:   "Connections that the target tried to open and that were refused, timed out or given up.",
			Source: "inet_sock_set_state: SYN_SENT to CLOSE",
		}),
		row(metric.Family{
			Name: "tcp_closes", Tier: metric.Event, Unit: metric.One,
			Help:   "Established connections of the target that ended, however they did.",
			Source: "inet_sock_set_state to CLOSE",
		}),
		row(metric.Family{
			Name: "tcp_connect_latency", Sum: "tcp_connects", Tier: metric.Event, Kind: metric.Histogram, Unit: metric.Seconds,
			Help:   "Time from the target's connect to the established connection: the handshake, retries included.",
			Source: "inet_sock_set_state: SYN_SENT to ESTABLISHED",
		}),
		row(metric.Family{
			Name: "tcp_lifetime", Tier: metric.Event, Kind: metric.Histogram, Unit: metric.Seconds,
			Help:   "Time from the handshake of a connection of the target to its end; those that were established before we looked are not in it.",
			Source: "inet_sock_set_state: ESTABLISHED to CLOSE",
		}),
		row(metric.Family{
			Name: "tcp_rtt", Tier: metric.Event, Kind: metric.Histogram, Unit: metric.Seconds,
			Help:   "Round-trip times of the target's connections: of each to which something came, the latest that the kernel has timed, once a window and at its end; the smoothed one where it has timed none but the handshake.",
			Source: "tcp_sock.rack.rtt_us, srtt_us, at each pass over sockets and at CLOSE",
		}),
		row(metric.Family{
			Name: "udp_drops", Tier: metric.Event, Unit: metric.One, Rungs: [][]string{{"socket_udp_drop"}},
			Help:   "Datagrams that arrived for a socket of the target and were dropped: its queue was full, or memory was short.",
			Source: "udp_fail_queue_rcv_skb",
		}),
	}
}
