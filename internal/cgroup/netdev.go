package cgroup

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"

	"viperprobe.dev/viperprobe/internal/metric"
)

// maxInterfaces bounds the devices of one namespace that are told apart, and with
// them the values of the device label. The others are summed as "other".
const maxInterfaces = 16

// Columns of /proc/net/dev behind a device's name.
const (
	receiveBytes, receivePackets, receiveErrors, receiveDrops = 0, 1, 2, 3
	sendBytes, sendPackets, sendErrors, sendDrops             = 8, 9, 10, 11
	deviceColumns                                             = 12 // the rest is of no use
)

// parseInterfaces reads /proc/net/dev, leaving out loopback, devices that never
// moved anything (the kernel makes some in each namespace), and of the node those
// without hardware: bridges and the host's ends of pods' devices count again what
// passed through a card.
func parseInterfaces(text []byte, o *opened, f *Files, dst []metric.Reading) ([]metric.Reading, error) {
	if f.at == "" && f.tick%rareEvery == f.phase {
		f.cards = f.host.cards()
	}
	var fault error
	var rest [deviceColumns]uint64
	devices, others := 0, false
	_, text = cut(text, '\n') // two lines of headings
	_, text = cut(text, '\n')
	for len(text) > 0 {
		var line []byte
		line, text = cut(text, '\n')
		name, numbers := cut(line, ':')
		name = bytes.TrimSpace(name)
		var c [deviceColumns]uint64
		if columns(numbers, c[:]) < deviceColumns || len(name) == 0 {
			fault = o.garbled(nil, line)
			continue
		}
		switch {
		case string(name) == "lo" || c[receivePackets]+c[sendPackets]+c[receiveDrops]+c[sendDrops]+c[receiveErrors]+c[sendErrors] == 0:
		case len(f.cards) > 0 && !f.cards[string(name)]:
		case devices == maxInterfaces:
			others = true
			for i := range c {
				rest[i] += c[i]
			}
		default:
			devices++
			dst, fault = f.putDevice(o, f.device(name), &c, dst, fault)
		}
	}
	if others {
		dst, fault = f.putDevice(o, "other", &rest, dst, fault)
	}
	return dst, fault
}

func (f *Files) putDevice(o *opened, name string, c *[deviceColumns]uint64, dst []metric.Reading, fault error) ([]metric.Reading, error) {
	dst, err := f.putKeyed(o, name, dst, func(key string) uint64 { return c[interfaceColumn(key)] })
	if err != nil {
		fault = err
	}
	return dst, fault
}

func interfaceColumn(key string) int {
	switch key {
	case "rbytes":
		return receiveBytes
	case "rpackets":
		return receivePackets
	case "rerrors":
		return receiveErrors
	case "rdrops":
		return receiveDrops
	case "tbytes":
		return sendBytes
	case "tpackets":
		return sendPackets
	case "terrors":
		return sendErrors
	}
	return sendDrops
}

// device is the name as a string that is made once; devices that come and go make
// the names begin anew.
func (f *Files) device(name []byte) string {
	if known, ok := f.devices[string(name)]; ok {
		return known
	}
	if f.devices == nil || len(f.devices) > 4*maxInterfaces {
		f.devices = map[string]string{}
	}
	known := string(name)
	f.devices[known] = known
	return known
}

// cards are the network devices with hardware behind them. A machine that has none
// (a container that plays one) counts all its devices.
func (h *Host) cards() map[string]bool {
	links, _ := filepath.Glob(h.at("sys/class/net/*/device"))
	cards := map[string]bool{}
	for _, link := range links {
		cards[filepath.Base(filepath.Dir(link))] = true
	}
	return cards
}

// maxNested bounds the cgroups inside a target that are searched for a process.
const maxNested = 32

// member is the PID of a process of the cgroup at a v2 path or, where it has none
// itself, of a cgroup inside it; "" where there is none.
func (h *Host) member(at string) string {
	dirs := []string{h.V2 + at}
	for n := 0; n < len(dirs) && n < maxNested; n++ {
		head, err := readHead(filepath.Join(dirs[n], "cgroup.procs"), 16)
		if pid, _, _ := strings.Cut(string(head), "\n"); err == nil && pid != "" && pid != "0" {
			return pid
		}
		entries, err := os.ReadDir(dirs[n])
		if err != nil {
			continue
		}
		for _, e := range entries {
			if e.IsDir() {
				dirs = append(dirs, filepath.Join(dirs[n], e.Name()))
			}
		}
	}
	return ""
}
