package cgroup

import (
	"encoding/binary"
	"os"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// newSpace makes a network namespace with two devices that are the ends of one
// cable, eth0 and another, and hands out what runs a function in it. It lives
// until the test has ended and no process is in it.
func newSpace(t testing.TB) (run func(func() error)) {
	t.Helper()
	work, result := make(chan func() error), make(chan error)
	var serve func()
	serve = func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its namespace
		if unix.Gettid() == os.Getpid() {
			go serve() // the first thread is what /proc tells of the process
			return
		}
		for f := range work {
			result <- f()
		}
		close(result)
	}
	go serve()
	run = func(f func() error) {
		t.Helper()
		work <- f
		if err := <-result; err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { close(work); <-result })
	run(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		for _, of := range []string{"all", "default"} { // IPv6 says hello
			err := os.WriteFile("/proc/sys/net/ipv6/conf/"+of+"/disable_ipv6", []byte("1"), 0)
			if err != nil && !os.IsNotExist(err) {
				return err
			}
		}
		return cable("eth0")
	})
	return run
}

// attribute is one attribute of a netlink message.
func attribute(kind uint16, value []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	b = append(binary.NativeEndian.AppendUint16(b, kind), value...)
	return append(b, make([]byte, (4-len(b)%4)%4)...)
}

// cable makes a pair of devices, the first with this name, and switches both on.
func cable(name string) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	body := append(make([]byte, unix.SizeofIfInfomsg), attribute(unix.IFLA_IFNAME, append([]byte(name), 0))...)
	body = append(body, attribute(unix.IFLA_LINKINFO, attribute(unix.IFLA_INFO_KIND, []byte("veth")))...)
	head := unix.NlMsghdr{Len: uint32(unix.SizeofNlMsghdr + len(body)), Type: unix.RTM_NEWLINK,
		Flags: unix.NLM_F_REQUEST | unix.NLM_F_CREATE | unix.NLM_F_EXCL | unix.NLM_F_ACK}
	message := append(unsafe.Slice((*byte)(unsafe.Pointer(&head)), unix.SizeofNlMsghdr), body...)
	if err := unix.Sendto(fd, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	var answer [256]byte
	n, _, err := unix.Recvfrom(fd, answer[:], 0)
	if err != nil {
		return err
	}
	if errno := int32(binary.NativeEndian.Uint32(answer[unix.SizeofNlMsghdr:n])); errno != 0 {
		return unix.Errno(-errno)
	}
	for _, device := range []string{name, "veth0"} {
		req, err := unix.NewIfreq(device)
		if err != nil {
			return err
		}
		udp, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		req.SetUint16(unix.IFF_UP | unix.IFF_NOARP)
		if err := unix.IoctlIfreq(udp, unix.SIOCSIFFLAGS, req); err != nil {
			return err
		}
		unix.Close(udp)
	}
	return nil
}

// frames sends n frames of size bytes from a device of this thread's namespace.
func frames(device string, n, size int) error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq(device)
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, req); err != nil {
		return err
	}
	frame := make([]byte, size)
	frame[12], frame[13] = 0x88, 0xb5 // a local experiment's protocol: nobody takes it
	for range n {
		if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: int(req.Uint32())}); err != nil {
			return err
		}
	}
	return nil
}
