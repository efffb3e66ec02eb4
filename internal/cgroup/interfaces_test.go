package cgroup

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/internal/kerneltest"
)

var netFamilies = []string{"net_received_bytes", "net_received_packets", "net_sent_bytes", "net_sent_packets", "net_dropped_packets", "net_errors"}

// Two containers of a pod share a network namespace: its counts are the older
// one's, exactly, and the younger's when that one has gone.
func TestInterfacesOfAPod(t *testing.T) {
	kerneltest.Exact(t, netFamilies...)
	h := find(t, "/")
	older, younger, outside := makeCgroup(t, h), makeCgroup(t, h), makeCgroup(t, h)
	run := newSpace(t)
	var first *workload
	run(func() error { first = start(t, h, older); start(t, h, younger); return nil })
	start(t, h, outside)
	b, a, none := open(t, h, younger, families(netFamilies...)), open(t, h, older, families(netFamilies...)), open(t, h, outside, families(netFamilies...))
	run(func() error { return frames("eth0", 10, 100) })
	read(t, b)
	old := read(t, a)
	run(func() error { return errors.Join(frames("eth0", 70, 1000), frames("veth0", 5, 60)) })
	if got := read(t, b); len(got) != 0 {
		t.Errorf("the younger has %v", got)
	}
	if got := read(t, none); len(got) != 0 {
		t.Errorf("a target in the machine's namespace has %v", got)
	}
	got := read(t, a)
	for key := range got {
		got[key] -= old[key]
	}
	// Nobody takes such a frame: the kernel drops it behind the device, or from 6.4 on counts it there.
	for key := range got {
		if strings.HasPrefix(key, "net_dropped_packets") && strings.HasSuffix(key, "in") {
			delete(got, key)
		}
	}
	want := map[string]uint64{}
	for _, device := range []struct {
		name    string
		in, out uint64
		inBytes uint64
		outByte uint64
	}{{"eth0", 5, 70, 5 * 60, 70 * 1000}, {"veth0", 70, 5, 70 * 1000, 5 * 60}} {
		want["net_received_packets "+device.name], want["net_received_bytes "+device.name] = device.in, device.inBytes
		want["net_sent_packets "+device.name], want["net_sent_bytes "+device.name] = device.out, device.outByte
		want["net_errors "+device.name+" in"], want["net_errors "+device.name+" out"] = 0, 0
		want["net_dropped_packets "+device.name+" out"] = 0
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	first.end()
	poll(t, "the younger's turn", func() bool {
		none, _ := a.Read(nil)
		return len(none) == 0 && read(t, b)["net_sent_packets eth0"] == 80
	})
}

// A process that ends is replaced by another of the target, in a cgroup inside it
// too; a descriptor keeps nothing alive.
func TestInterfacesFollowTheTargetsProcesses(t *testing.T) {
	h := find(t, "/")
	at := makeCgroup(t, h)
	makeGroups(t, h, at+"/inner")
	run := newSpace(t)
	var first *workload
	run(func() error { first = start(t, h, at); start(t, h, at+"/inner"); return nil })
	run(func() error { return frames("eth0", 3, 100) })
	f := open(t, h, at, families("net_sent_packets"))
	for range rareEvery {
		read(t, f)
	}
	first.end()
	if got := read(t, f)["net_sent_packets eth0"]; got != 3 {
		t.Errorf("after one process ended %d packets, want 3", got)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if n := len(h.spaces.members); n != 0 {
		t.Errorf("%d namespaces are known, nobody is in one", n)
	}
}

func netDev(lines ...string) string {
	return "Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n" +
		strings.Join(lines, "\n") + "\n"
}

const podDevices = "    lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n tunl0: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n  eth0: 1 2 3 4 5 6 7 8 11 12 13 14 15 16 17 18"

// What a pod's file says, by device: without loopback and what never moved anything.
func TestReadInterfaces(t *testing.T) {
	kerneltest.Exact(t, netFamilies...)
	root := unpack(t, "v2")
	h := find(t, root)
	extend(t, root, "-- sys/fs/cgroup/system.slice/redis.service/cgroup.procs --\n77\n-- proc/77/ns/net --\n"+
		"-- proc/77/net/dev --\n"+netDev(podDevices)+"-- proc/1/net/dev --\n"+netDev(podDevices))
	want := map[string]uint64{
		"net_received_bytes eth0": 1, "net_received_packets eth0": 2, "net_errors eth0 in": 3, "net_dropped_packets eth0 in": 4,
		"net_sent_bytes eth0": 11, "net_sent_packets eth0": 12, "net_errors eth0 out": 13, "net_dropped_packets eth0 out": 14,
	}
	if diff := cmp.Diff(want, read(t, open(t, h, "/system.slice/redis.service", families(netFamilies...)))); diff != "" {
		t.Error(diff)
	}
	node, err := h.OpenNode(families(netFamilies...))
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	if diff := cmp.Diff(want, read(t, node)); diff != "" {
		t.Errorf("the node: %s", diff)
	}
}

// Of the node's devices only cards count, and it is looked up now and then which
// they are.
func TestCardsOfTheNode(t *testing.T) {
	root := unpack(t, "v2")
	extend(t, root, "-- sys/class/net/eth0/device/ --\n-- proc/1/net/dev --\n"+netDev(podDevices, "veth1: 5 5 0 0 0 0 0 0 5 5 0 0 0 0 0 0"))
	node, err := find(t, root).OpenNode(families("net_sent_packets"))
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	if diff := cmp.Diff(map[string]uint64{"net_sent_packets eth0": 12}, read(t, node)); diff != "" {
		t.Error(diff)
	}
	extend(t, root, "-- sys/class/net/veth1/device/ --\n")
	for range rareEvery {
		read(t, node)
	}
	if got := read(t, node); len(got) != 2 {
		t.Errorf("a new card is not counted: %v", got)
	}
}

// Devices beyond the bound are summed.
func TestInterfacesAreBounded(t *testing.T) {
	root := unpack(t, "v2")
	var lines []string
	for i := range maxInterfaces + 3 {
		lines = append(lines, fmt.Sprintf("  e%d: %d 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0", i, 1000+i))
	}
	extend(t, root, "-- proc/1/net/dev --\n"+netDev(lines...))
	node, err := find(t, root).OpenNode(families("net_received_bytes"))
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	got := read(t, node)
	if len(got) != maxInterfaces+1 || got["net_received_bytes other"] != 1016+1017+1018 || got["net_received_bytes e15"] != 1015 {
		t.Errorf("got %v", got)
	}
	for i := range 5 * maxInterfaces {
		node.device(fmt.Appendf(nil, "veth%d", i))
	}
	if n := len(node.devices); n > 4*maxInterfaces+1 {
		t.Errorf("%d names are kept", n)
	}
}

// Without the right to look at the namespaces of others nothing is made up, and
// the reason is told.
func TestInterfacesWithoutRights(t *testing.T) {
	root := unpack(t, "v2")
	if err := os.RemoveAll(root + "/proc/1/ns"); err != nil {
		t.Fatal(err)
	}
	extend(t, root, "-- sys/fs/cgroup/system.slice/redis.service/cgroup.procs --\n77\n-- proc/77/ns/net --\n-- proc/77/net/dev --\n"+netDev(podDevices))
	h := find(t, root)
	if got := read(t, open(t, h, "/system.slice/redis.service", families(netFamilies...))); len(got) != 0 {
		t.Errorf("got %v", got)
	}
	if got := h.Check(families("net_errors"))["net_errors"]; !strings.Contains(got, "proc/1/ns/net") || !strings.Contains(got, "CAP_SYS_PTRACE") {
		t.Errorf("reason %q", got)
	}
}
