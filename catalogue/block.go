package catalogue

import "viperprobe.dev/viperprobe/internal/metric"

func blockRows() []metric.Family {
	operations := []metric.Label{{Name: "operation", Values: []string{"read", "write", "flush", "discard", "other"}}}
	device := metric.Label{Name: "device", Found: 15}
	devices := []metric.Label{device, {Name: "operation", Values: []string{"read", "write", "other"}}}
	const which = " Whole disks by name, the first 15 that requests came to while it was measured; the rest is other."
	row := func(f metric.Family) metric.Family {
		f.Class, f.Tier, f.Owner, f.Object = metric.Disk, metric.Event, metric.OwnerBio, "block"
		if f.Labels == nil {
			f.Labels = operations
		}
		f.Rungs = [][]string{{"block_issue", "block_complete", "block_requeue"}}
		f.Sampling = metric.Pairs
		if f.Kind == "" {
			f.Kind = metric.Counter
		}
		f.Kernel = "5.12"
		return f
	}
	return []metric.Family{
		row(metric.Family{
			Name: "block_latency", Sum: "block_requests", Kind: metric.Histogram, Unit: metric.Seconds,
			Help:   "How long block devices had requests of the target, from issue to the last completion; time in the scheduler's queue is not in it. The owner is the cgroup that the first bio is charged to: with the io controller off it is an ancestor's, flushes and what is charged to the root are the node's, write-back on cgroup v1 too.",
			Source: "block_rq_issue to block_rq_complete, our own stamps",
		}),
		row(metric.Family{
			Name: "block_queue_latency", Kind: metric.Histogram, Unit: metric.Seconds,
			Help:   "How long requests of the target were with the kernel before a block device had them: plugging and the IO scheduler; a wait for a free request comes before it, and since 6.9 requests of one plug begin together. Queues without statistics (queue/iostats 0) have none. With block_latency it is the time that /proc/diskstats sums up.",
			Source: "request.start_time_ns to block_rq_issue",
		}),
		row(metric.Family{
			Name: "block_size", Kind: metric.Histogram, Unit: metric.Bytes,
			Help:   "Bytes of each request of the target when the device got it, after merging; flushes have none.",
			Source: "request.__data_len at block_rq_issue",
		}),
		row(metric.Family{
			Name: "block_bytes", Unit: metric.Bytes,
			Help:   "Bytes of the target's requests that block devices completed without error; a request of merged bios belongs to the first.",
			Source: "block_rq_complete nr_bytes",
		}),
		row(metric.Family{
			Name: "block_requests", Unit: metric.One,
			Help:   "Requests of the target that block devices completed, after merging; on stacked devices that queue (loop) each level counts.",
			Source: "block_rq_complete, last part",
		}),
		row(metric.Family{
			Name: "block_errors", Unit: metric.One,
			Help:   "Requests of the target that block devices failed, each failed part counted.",
			Source: "block_rq_complete error",
		}),
		row(metric.Family{
			Name: "block_device_errors", Unit: metric.One, Labels: []metric.Label{device},
			Help:   "Requests of the target that a block device failed, each failed part counted: block_errors by device." + which,
			Source: "block_rq_complete error, request_queue.disk",
		}),
		row(metric.Family{
			Name: "block_device_latency", Sum: "block_requests", Kind: metric.Histogram, Unit: metric.Seconds, Labels: devices, OnDemand: true,
			Help:   "How long a block device had requests of the target: block_latency by device." + which,
			Source: "block_rq_issue to block_rq_complete, request_queue.disk",
		}),
		row(metric.Family{
			Name: "block_device_queue_latency", Kind: metric.Histogram, Unit: metric.Seconds, Labels: devices, OnDemand: true,
			Help:   "How long requests of the target were with the kernel before a block device had them: block_queue_latency by device." + which,
			Source: "request.start_time_ns to block_rq_issue, request_queue.disk",
		}),
		row(metric.Family{
			Name: "block_device_size", Kind: metric.Histogram, Unit: metric.Bytes, Labels: devices, OnDemand: true,
			Help:   "Bytes of each request of the target to a block device: block_size by device." + which,
			Source: "request.__data_len at block_rq_issue, request_queue.disk",
		}),
	}
}
