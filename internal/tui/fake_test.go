package tui

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
)

var show = flag.Bool("show", false, "show the table with made-up batches on this terminal instead of testing")

func TestMain(m *testing.M) {
	flag.Parse()
	if !*show {
		os.Exit(m.Run())
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	batches := make(chan *metric.Batch)
	go func() {
		for seq := uint64(1); ; seq++ {
			batches <- fakeBatch(seq, time.Now(), 24)
			time.Sleep(time.Second)
		}
	}()
	if err := Run(ctx, Options{Batches: batches, Catalogue: fakeFamilies, Families: fakeFamilies[:8]}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var fakeFamilies = []*metric.Family{
	{Name: "cpu_usage", Class: metric.CPU, Tier: metric.File, Kind: metric.Counter, Unit: metric.Seconds, Help: "CPU time of the target."},
	{Name: "runq_latency", Class: metric.CPU, Tier: metric.Event, Kind: metric.Histogram, Unit: metric.Seconds, Help: "Waits for a CPU."},
	{Name: "memory_working_set_bytes", Class: metric.Memory, Tier: metric.File, Kind: metric.Gauge, Unit: metric.Bytes, Help: "Memory that cannot be taken back."},
	{Name: "tcp_sent_bytes", Class: metric.Network, Tier: metric.Snapshot, Kind: metric.Counter, Unit: metric.Bytes, Help: "Payload sent."},
	{Name: "tcp_received_bytes", Class: metric.Network, Tier: metric.Snapshot, Kind: metric.Counter, Unit: metric.Bytes},
	{Name: "context_switches", Class: metric.CPU, Tier: metric.Snapshot, Kind: metric.Counter, Unit: metric.One, Labels: []metric.Label{{Name: "kind"}}},
	{Name: "request_latency", Class: metric.Network, Tier: metric.Event, Kind: metric.Histogram, Unit: metric.Seconds},
	{Name: "threads", Class: metric.Process, Tier: metric.Snapshot, Kind: metric.Gauge, Unit: metric.One},
	{Name: "block_latency", Class: metric.Disk, Tier: metric.Event, Kind: metric.Histogram, Unit: metric.Seconds},
}

func family(name string) *metric.Family {
	for _, f := range fakeFamilies {
		if f.Name == name {
			return f
		}
	}
	kind, unit := metric.Gauge, metric.Bytes
	switch name {
	case costCPU:
		kind, unit = metric.Counter, metric.Seconds
	case costSamples, costDrops:
		kind, unit = metric.Counter, metric.One
	}
	return &metric.Family{Name: name, Kind: kind, Unit: unit}
}

// sample is one value: of a histogram, n observations in bucket value.
func sample(name string, value, n uint64) metric.Sample {
	s := metric.Sample{Family: family(name), Value: value, Ratio: 1}
	if s.Family.Kind == metric.Histogram {
		s.Value = 0
		s.Hist = &metric.Hist{Sum: n * 1000, First: int(value), Counts: []uint64{n}}
	}
	return s
}

// fakeBatch is one second of pods, a service, the node and the remainder.
func fakeBatch(seq uint64, end time.Time, pods int) *metric.Batch {
	random := rand.New(rand.NewPCG(1, seq))
	b := &metric.Batch{Node: "demo-1", Epoch: 1, Seq: seq, Start: end.Add(-time.Second), End: end, Interval: time.Second}
	names := []string{"redis", "envoy", "postgresql", "checkout-service", "nginx", "kafka"}
	for i := range pods {
		name := names[i%len(names)]
		size := uint64(100 / (i + 1))
		t := &metric.Target{
			ID: metric.TargetID(fmt.Sprintf("%016x", i)), Kind: metric.Container, Node: "demo-1", Namespace: []string{"shop", "infra"}[i%2],
			Pod: fmt.Sprintf("%s-7d9f8b6c5-x%02d", name, i), Container: name, Workload: name, Cgroup: fmt.Sprintf("/kubepods/burstable/pod%d/%d", i, i),
		}
		g := metric.Group{Target: t, Samples: []metric.Sample{
			sample("cpu_usage", size*1e7+random.Uint64N(1e7), 0),
			sample("memory_working_set_bytes", size*20e6+random.Uint64N(30e6), 0),
			sample("tcp_sent_bytes", size*random.Uint64N(1e5), 0), sample("tcp_received_bytes", size*random.Uint64N(2e5), 0),
			sample("context_switches", size*random.Uint64N(200), 0), sample("threads", 1+random.Uint64N(40), 0),
		}}
		for _, name := range []string{"runq_latency", "request_latency"} {
			counts := make([]uint64, 60)
			for range 5 + size {
				counts[10+int(random.NormFloat64()*6+20)%50]++
			}
			h := metric.NewHist(size*1e6, counts)
			g.Samples = append(g.Samples, metric.Sample{Family: family(name), Hist: &h, Ratio: 1})
		}
		b.Groups = append(b.Groups, g)
	}
	service := &metric.Target{ID: "5e", Kind: metric.Service, Node: "demo-1", Container: "ssh.service", Cgroup: "/system.slice/ssh.service"}
	node := &metric.Target{ID: "0d", Kind: metric.Node, Node: "demo-1", Cgroup: "/"}
	rest := &metric.Target{ID: "0e", Kind: metric.Remainder, Node: "demo-1", Cgroup: "/"}
	b.Groups = append(b.Groups,
		metric.Group{Target: service, Samples: []metric.Sample{sample("cpu_usage", 3e6, 0), sample("threads", 2, 0)}},
		metric.Group{Target: node, Samples: []metric.Sample{
			sample("cpu_usage", 15e8, 0), sample(costCPU, 21e5, 0), sample(costMemory, 44e6, 0), sample(costMaps, 8e6, 0), sample(costDrops, 0, 0),
		}},
		metric.Group{Target: rest, Samples: []metric.Sample{sample("cpu_usage", 2e7, 0)}})
	return b
}
