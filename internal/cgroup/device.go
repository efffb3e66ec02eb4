package cgroup

import (
	"os"
	"path"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/metric"
)

// maxDevices bounds the device names that are kept, and with them the values of
// the device label. Further devices are called "other".
const maxDevices = 1024

// devices names block devices by number. Names are looked up once.
type devices struct {
	mu      sync.Mutex
	known   map[uint64]device
	dropped uint64
}

type device struct {
	name string
	part bool // a partition: its disk counts for it
}

// DevicesDropped counts look-ups of block devices beyond the 1,024 that are told
// apart.
func (h *Host) DevicesDropped() uint64 {
	h.disks.mu.Lock()
	defer h.disks.mu.Unlock()
	return h.disks.dropped
}

func (h *Host) device(major, minor uint32) device {
	d, key := &h.disks, unix.Mkdev(major, minor)
	d.mu.Lock()
	defer d.mu.Unlock()
	if known, ok := d.known[key]; ok {
		return known
	}
	if len(d.known) >= maxDevices {
		d.dropped++
		return device{name: "other"}
	}
	found := device{name: strconv.Itoa(int(major)) + ":" + strconv.Itoa(int(minor))}
	link := h.at("sys/dev/block/" + found.name)
	if to, err := os.Readlink(link); err == nil {
		found.name = path.Base(to)
		_, err := os.Stat(link + "/partition")
		found.part = err == nil
	}
	if d.known == nil {
		d.known = map[uint64]device{}
	}
	d.known[key] = found
	return found
}

// numbers reads "major:minor".
func numbers(b []byte) (major, minor uint32, ok bool) {
	left, right := cut(b, ':')
	a, ok := number(left)
	i, also := number(right)
	return uint32(a), uint32(i), ok && also && a < 1<<32 && i < 1<<32
}

// parseIO reads io.stat: "254:0 rbytes=1 wbytes=2 rios=3 ...".
func parseIO(text []byte, o *opened, f *Files, dst []metric.Reading) ([]metric.Reading, error) {
	var fault error
	for len(text) > 0 {
		var line []byte
		line, text = cut(text, '\n')
		name, rest := word(line)
		if len(name) == 0 {
			continue
		}
		major, minor, ok := numbers(name)
		if !ok {
			fault = o.garbled(name, rest)
			continue
		}
		for disk := ""; len(rest) > 0; {
			var pair []byte
			pair, rest = word(rest)
			key, value := cut(pair, '=')
			i := o.find(key)
			if i < 0 {
				continue
			}
			if disk == "" {
				disk = f.host.device(major, minor).name
			}
			v, ok := number(value)
			if !ok {
				fault = o.garbled(key, value)
				continue
			}
			dst, fault = f.put(o, i, disk, v, dst, fault)
		}
	}
	return dst, fault
}

// parseIOv1 reads blkio's "254:0 Read 12"; lines without a device are sums.
func parseIOv1(text []byte, o *opened, f *Files, dst []metric.Reading) ([]metric.Reading, error) {
	var fault error
	for len(text) > 0 {
		var line []byte
		line, text = cut(text, '\n')
		name, rest := word(line)
		major, minor, ok := numbers(name)
		if !ok {
			continue
		}
		key, value := word(rest)
		i := o.find(key)
		if i < 0 {
			continue
		}
		v, ok := number(value)
		if !ok {
			fault = o.garbled(key, value)
			continue
		}
		dst, fault = f.put(o, i, f.host.device(major, minor).name, v, dst, fault)
	}
	return dst, fault
}
