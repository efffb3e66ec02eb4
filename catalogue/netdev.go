package catalogue

import "viperprobe.dev/viperprobe/internal/metric"

// networkFiles are what network devices count, which is all that tells of packets
// that reach no socket.
func networkFiles() []metric.Family {
	const whose = " Devices count for a network namespace, not for a container: it counts for the oldest target in it that wants it, so that sums over a pod are right; what is in the machine's own namespace counts for the node, cards with hardware only. Without loopback; from the first look on, at most a window after the target's start; devices beyond 16 of a namespace are summed as other."
	device := metric.Label{Name: "device"}
	direction := metric.Label{Name: "direction", Values: []string{"in", "out"}}
	rows := []metric.Family{
		{
			Name: "net_received_bytes", Unit: metric.Bytes, Labels: []metric.Label{device},
			Help:   "Bytes that network devices of the target's pod received, headers included.",
			Source: "/proc/PID/net/dev; node: /proc/1/net/dev; cAdvisor: container_network_receive_bytes_total",
		},
		{
			Name: "net_sent_bytes", Unit: metric.Bytes, Labels: []metric.Label{device},
			Help:   "Bytes that network devices of the target's pod sent, headers included.",
			Source: "/proc/PID/net/dev; node: /proc/1/net/dev; cAdvisor: container_network_transmit_bytes_total",
		},
		{
			Name: "net_received_packets", Unit: metric.One, Labels: []metric.Label{device},
			Help:   "Packets that network devices of the target's pod received; merged ones count as the device counts them.",
			Source: "/proc/PID/net/dev; node: /proc/1/net/dev; cAdvisor: container_network_receive_packets_total",
		},
		{
			Name: "net_sent_packets", Unit: metric.One, Labels: []metric.Label{device},
			Help:   "Packets that network devices of the target's pod sent; a large one that the device cuts counts as the device counts it.",
			Source: "/proc/PID/net/dev; node: /proc/1/net/dev; cAdvisor: container_network_transmit_packets_total",
		},
		{
			Name: "net_dropped_packets", Unit: metric.One, Labels: []metric.Label{device, direction},
			Help:   "Packets that network devices of the target's pod dropped for want of room, or that nobody there wanted.",
			Source: "/proc/PID/net/dev; node: /proc/1/net/dev; cAdvisor: container_network_receive_packets_dropped_total, container_network_transmit_packets_dropped_total",
		},
		{
			Name: "net_errors", Unit: metric.One, Labels: []metric.Label{device, direction},
			Help:   "Packets that network devices of the target's pod took for broken or could not send.",
			Source: "/proc/PID/net/dev; node: /proc/1/net/dev; cAdvisor: container_network_receive_errors_total, container_network_transmit_errors_total",
		},
	}
	for i := range rows {
		rows[i].Class, rows[i].Owner = metric.Network, metric.OwnerNetwork
		rows[i].Help += whose
	}
	return rows
}
