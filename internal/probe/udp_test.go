package probe

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/kerneltest"
)

var udpNames = []string{"udp_bytes", "udp_datagrams"}

// udpActions: "echo FAMILY N BYTES" sends N datagrams to itself and reads each, after
// a look at it; family 46 is an IPv6 socket with an IPv4 address.
func udpActions() map[string]action {
	return map[string]action{"echo": func(_ *job, args []string) (answer, error) {
		domain, at, family := unix.AF_INET, unix.Sockaddr(localhost(4, 0)), number(args, 0)
		if family != 4 {
			domain, at = unix.AF_INET6, localhost(6, 0)
		}
		if family == 46 {
			at = &unix.SockaddrInet6{Addr: [16]byte{10: 0xff, 11: 0xff, 12: 127, 15: 1}}
		}
		fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		defer unix.Close(fd)
		if err := unix.Bind(fd, at); err != nil {
			return nil, err
		}
		to, err := unix.Getsockname(fd)
		if err != nil {
			return nil, err
		}
		a, b := answer{}, make([]byte, 1<<16)
		for range number(args, 1) {
			if err := unix.Sendto(fd, payload[:number(args, 2)], 0, to); err != nil {
				return nil, err
			}
			for _, flags := range []int{unix.MSG_PEEK, 0} {
				n, _, err := unix.Recvfrom(fd, b, flags)
				if err != nil {
					return nil, err
				}
				if flags == 0 {
					a["datagrams"]++
					a["bytes"] += int64(n)
				}
			}
		}
		_, _, err = unix.Recvfrom(fd, b, unix.MSG_DONTWAIT)
		if err != unix.EAGAIN {
			return nil, fmt.Errorf("read where nothing was: %v", err)
		}
		return a, nil
	}}
}

func TestUDPBytes(t *testing.T) {
	for _, rung := range []int{0, 1} {
		t.Run(fmt.Sprintf("rung%d", rung), func(t *testing.T) {
			s := ladderSet(t, "udp", rung, "6.1.", udpNames...)
			if s == nil {
				return
			}
			g, og := newGroup(t, nil), newGroup(t, nil)
			kerneltest.Exact(t, udpNames...)
			tg, other := newTarget(t, s, udpNames, g), newTarget(t, s, udpNames, og)
			w, idle := startWorker(t, workerOptions{Cgroup: g}), startWorker(t, workerOptions{Cgroup: og})
			tcp := idle.do("listen l 4 4")["port"]
			w.do("connect c 4 %d", tcp) // is none of it
			w.do("send c 1000")
			for _, family := range []int{4, 6, 46} {
				for _, bytes := range []int{1234, 0} {
					old := tg.mark()
					a := w.do("echo %d 100 %d", family, bytes)
					m := tg.mark().since(old)
					if a["datagrams"] != 100 || a["bytes"] != int64(100*bytes) {
						t.Fatalf("worker: %v", a)
					}
					for _, direction := range []string{"in", "out"} {
						m.same(t, "udp_bytes/"+direction, uint64(a["bytes"]))
						m.same(t, "udp_datagrams/"+direction, 100)
					}
				}
			}
			// From one to the other: what is read counts, when it is read.
			old := tg.mark()
			w.do("datagrams 51 200 %d", idle.do("udp u 1000000")["port"])
			tg.mark().since(old).same(t, "udp_datagrams/out", 51)
			other.mark().same(t, "udp_datagrams/in", 0)
			if n := idle.do("count u")["datagrams"]; n != 51 {
				t.Fatalf("%d datagrams arrived of 51", n)
			}
			o := other.mark()
			o.same(t, "udp_datagrams/in", 51)
			o.same(t, "udp_bytes/in", 51*200)
			o.same(t, "udp_bytes/out", 0)
			lossless(t, s)
		})
	}
}
