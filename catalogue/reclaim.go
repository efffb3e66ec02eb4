package catalogue

import "viperprobe.dev/viperprobe/internal/metric"

func reclaimRows() []metric.Family {
	kinds := []metric.Label{{Name: "kind", Values: []string{"direct", "memcg"}}}
	ends := []string{"reclaim_direct_end", "reclaim_memcg_end"}
	row := func(f metric.Family) metric.Family {
		f.Class, f.Tier, f.Owner, f.Object = metric.Memory, metric.Event, metric.OwnerTask, "reclaim"
		f.Kernel = "5.12"
		return f
	}
	return []metric.Family{
		row(metric.Family{
			Name: "reclaim_latency", Sampling: metric.Pairs, Kind: metric.Histogram, Unit: metric.Seconds, Labels: kinds,
			Rungs:  [][]string{append([]string{"reclaim_direct_begin", "reclaim_memcg_begin"}, ends...)},
			Help:   "How long tasks of the target were held up each time that they had to free memory themselves: the machine had none left (direct), or a memory cgroup was at its limit, over memory.high or told to by memory.reclaim (memcg). It is the time of who reclaims, whoever's pages those are; kswapd and kernel threads that reclaim for a cgroup are not in it.",
			Source: "mm_vmscan_direct_reclaim_begin, mm_vmscan_memcg_reclaim_begin to their end",
		}),
		row(metric.Family{
			Name: "reclaimed_pages", Sampling: metric.Rare, Kind: metric.Counter, Unit: metric.One, Labels: kinds, Rungs: [][]string{ends},
			Help:   "Pages that tasks of the target freed while they were held up (see reclaim_latency), pages of slabs among them, whoever's they were.",
			Source: "mm_vmscan_direct_reclaim_end, mm_vmscan_memcg_reclaim_end nr_reclaimed",
		}),
		row(metric.Family{
			Name: "writeback_stall", Sampling: metric.Rare, Kind: metric.Histogram, Unit: metric.Seconds,
			Rungs:  [][]string{{"reclaim_pause_12"}, {"reclaim_pause"}},
			Help:   "Pauses that the kernel imposed on tasks of the target because too many pages were dirty, each as long as the kernel asked for, in whole timer ticks; the wait for a CPU after it is not in it, a fatal signal cuts it short.",
			Source: "balance_dirty_pages pause, where it is more than 0",
		}),
	}
}
