package catalogue

import "viperprobe.dev/viperprobe/internal/metric"

func dnsRows() []metric.Family {
	row := func(f metric.Family) metric.Family {
		f.Class, f.Tier, f.Owner, f.Object = metric.Network, metric.Event, metric.OwnerSocket, "dns"
		f.Rungs = [][]string{{"dns_send", "dns_receive", "dns_tick"}}
		f.Sampling = metric.Pairs
		f.OnDemand = true // each packet of each socket passes the programs, and attaching them takes CAP_NET_ADMIN
		f.Kernel = "5.12"
		f.Help += " As a client over UDP or TCP to port 53, DNS over TLS or HTTPS is not seen; over TCP only messages that are a segment each."
		return f
	}
	return []metric.Family{
		row(metric.Family{
			Name: "dns_latency", Kind: metric.Histogram, Unit: metric.Seconds, Aliases: []string{"dnslatency"},
			Help:   "Time from a DNS query of the target to its answer, errors among them; a query that is sent again began with its first.",
			Source: "cgroup_skb egress to ingress, by socket and query number; thesis: dnslatency",
		}),
		row(metric.Family{
			Name: "dns_failures", Kind: metric.Counter, Unit: metric.One,
			Labels: []metric.Label{{Name: "kind", Values: []string{"formerr", "servfail", "nxdomain", "notimp", "refused", "other", "timeout"}}},
			Help:   "DNS queries of the target that were answered with an error, by its code, and those without an answer for 5 s.",
			Source: "RCODE of the answer (RFC 1035); timeout: iter/bpf_map_elem over queries without one",
		}),
	}
}
