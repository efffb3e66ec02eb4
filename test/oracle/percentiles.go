package main

import (
	"fmt"
	"math"
	"strconv"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/test/rig"
)

// latency compares the times of a server's requests, and its waits.
func (i *interval) latency(r *report, server string) error {
	group := i.stage.groups[server]
	id, err := inode(group.V2)
	if err != nil {
		return err
	}
	port := strconv.Itoa(i.stage.ports[server])
	requests := i.trace.hist("@request", port)
	r.add(row{server + " request_latency (count)", i.ours(server, "request_latency"), float64(requests.Count), "bpftrace, same ends",
		5 + float64(requests.Count)/500, "the kernel runs no program of bpftrace's inside another's"})
	quantiles(r, server+" request_latency", i.hist(server, "request_latency"), requests, "bpftrace, same ends")
	i.waits(r, server, id)
	return nil
}

// crowd compares the waits of threads that had to wait: so long that it does not
// matter that others read their clocks later.
func (i *interval) crowd(r *report) error {
	id, err := inode(i.stage.groups["crowd"].V2)
	if err != nil {
		return err
	}
	i.waits(r, "crowd", id)
	ours := i.hist("crowd", "runq_latency")
	quantiles(r, "crowd runq_latency", ours, i.trace.hist("@runq", id), "bpftrace, wakeup to switch")
	octaves(r, "crowd runq_latency", ours, i.tools["runqlat"].of(i.stage.pids["crowd"]), "runqlat -P")
	return nil
}

// waits compares waits for a CPU between the same ends, and how many runqlat saw of
// the process.
func (i *interval) waits(r *report, group, id string) {
	ours, what := i.hist(group, "runq_latency"), group+" runq_latency"
	quantiles(r, what, ours, i.trace.hist("@account", id), "bpftrace, same ends")
	n := float64(i.tools["runqlat"].of(i.stage.pids[group]).Count)
	r.add(row{what + " (count)", float64(ours.Count), n, "runqlat -P", 5 + n/50, "it was attached longer, and misses who wakes while it wrote its map"})
}

// ranks is how far the rank of a percentile may be off, where the two did not see
// the same events and a distribution has two humps.
const ranks = 0.03

// quantiles compares by buckets of schema 2: one apart at most.
func quantiles(r *report, what string, ours, theirs *rig.Hist, oracle string) {
	for _, q := range []float64{0.5, 0.9} {
		at := theirs.Bound(q)
		r.add(row{fmt.Sprintf("%s p%.0f (bucket)", what, q*100), schema(ours.Bound(q)), near(schema(ours.Bound(q)), theirs, q, schema),
			oracle + ": " + seconds(at), 1, "the neighbouring bucket: two clocks, read at different places"})
	}
}

// near is the bucket of theirs that q falls into, or the one closest to ours of
// those that it may fall into.
func near(mine float64, theirs *rig.Hist, q float64, bucket func(float64) float64) float64 {
	return min(max(mine, bucket(theirs.Bound(q-ranks))), bucket(theirs.Bound(q+ranks)))
}

// octaves compares by the buckets of libbpf-tools, whole powers of two of
// microseconds: one apart at most.
func octaves(r *report, what string, ours, theirs *rig.Hist, oracle string) {
	for _, q := range []float64{0.5, 0.9} {
		mine := octave(ours.Bound(q))
		r.add(row{fmt.Sprintf("%s p%.0f (power of 2)", what, q*100), mine, near(mine, theirs, q, octave),
			fmt.Sprintf("%s: at most %s", oracle, seconds(theirs.Bound(q))), 1, "the neighbouring bucket: two clocks, read at different places"})
	}
}

// octave is the power of two of microseconds that bounds a time in seconds.
func octave(s float64) float64 { return max(1, math.Ceil(math.Log2(s*1e6)-1e-6)) }

func seconds(s float64) string { return fmt.Sprintf("%.1f us", s*1e6) }

// schema is the index of the schema-2 bucket that a time in seconds falls into; all
// below the first bucket are in it.
func schema(s float64) float64 {
	least := metric.Bound(metric.Seconds, 0)
	return math.Ceil(math.Log2(math.Max(s, least))*4 - 1e-6)
}
