package probe

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"viperprobe.dev/viperprobe/internal/kerneltest"
)

// Two disks at once: of each what the disk itself counts, and in sum what the families
// without a device count.
func TestBlockDevicesAreToldApart(t *testing.T) {
	needLoop(t)
	s := want(t, slices.Concat(blockNames, deviceNames)...)
	kerneltest.Exact(t, deviceNames...)
	disks := [2]disk{testDisk(t), smallLoop(t)}
	tg, w, _ := blockTarget(t, s, deviceNames...)
	other, idle, _ := blockTarget(t, s, deviceNames...)
	idle.do("hello")
	was := [2]diskStat{disks[0].stat(t), disks[1].stat(t)}
	old := tg.mark()
	for i, d := range disks {
		w.do("disk write %s %d 4096", d.path, 30+i)
		w.do("disk read %s %d 65536", d.path, 20+i)
	}
	w.do("disk flush %s 3", disks[0].path)
	is := [2]diskStat{disks[0].stat(t), disks[1].stat(t)}
	m := tg.mark().since(old)
	for i, d := range disks {
		for op, n := range map[string]uint64{"write": uint64(30 + i), "read": uint64(20 + i)} {
			for _, name := range deviceNames {
				m.same(t, name+"/"+d.name+"/"+op+"/count", n)
			}
		}
		m.same(t, "block_device_size/"+d.name+"/write/sum", is[i].Written-was[i].Written)
		m.same(t, "block_device_size/"+d.name+"/read/sum", is[i].Read-was[i].Read)
	}
	for i, name := range deviceNames {
		for _, op := range []string{"read", "write"} {
			for _, what := range []string{"/count", "/sum"} {
				m.same(t, blockNames[i]+"/"+op+what, m[name+"/"+disks[0].name+"/"+op+what]+m[name+"/"+disks[1].name+"/"+op+what])
			}
		}
	}
	for name, n := range other.mark() {
		if n != 0 {
			t.Errorf("the idle target has %s = %d", name, n)
		}
	}
	lossless(t, s)
}

// What has no number left is other.
func TestBlockDevicesAreBounded(t *testing.T) {
	needLoop(t)
	s := want(t, slices.Concat(blockNames, deviceNames)...)
	coll := s.objects["block"].coll
	var given uint32
	for ; given < 15; given++ {
		var name [32]byte
		copy(name[:], fmt.Sprintf("full%d", given))
		if err := coll.Maps["block_devices"].Put(name, given+1); err != nil {
			t.Fatal(err)
		}
	}
	if err := coll.Variables["vp_devices"].Set(given); err != nil {
		t.Fatal(err)
	}
	d := smallLoop(t)
	tg, w, _ := blockTarget(t, s, deviceNames...)
	old := tg.mark()
	a := w.do("disk write %s 128 65536", d.path) // half of it goes wrong
	d.settle(t)
	m := tg.mark().since(old)
	m.same(t, "block_device_latency/other/write/count", 128)
	m.same(t, "block_device_errors/other", uint64(a["errors"]))
	lossless(t, s)
}

// Devices that come when the families are on, one after the other.
func TestBlockDevicesGetTheirNames(t *testing.T) {
	needLoop(t)
	s := want(t, slices.Concat(blockNames, deviceNames)...)
	tg, w, _ := blockTarget(t, s, deviceNames...)
	for range 3 {
		d := smallLoop(t)
		old := tg.mark()
		w.do("disk write %s 5 4096", d.path)
		d.settle(t)
		tg.mark().since(old).same(t, "block_device_latency/"+d.name+"/write/count", 5)
	}
	if err := errors.Join(s.Want(nil), s.Want(find(t, s, deviceNames...))); err != nil {
		t.Fatal(err)
	}
	d := smallLoop(t)
	old := tg.mark()
	w.do("disk read %s 5 4096", d.path)
	d.settle(t)
	tg.mark().since(old).same(t, "block_device_latency/"+d.name+"/read/count", 5)
}
