package probe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// cableName is the device at each end of a cable.
const cableName = "vp0"

// Sockets that listen at all addresses, and reach others over a cable between two
// network namespaces.
func flowActions() map[string]action {
	return map[string]action{
		"cable":   func(j *job, args []string) (answer, error) { return nil, cable(number(args, 0)) },            // process whose namespace has the other end
		"address": func(j *job, args []string) (answer, error) { return nil, address(args[0], number(args, 1)) }, // of the cable's end here, bits of its network
		"translate": func(j *job, args []string) (answer, error) { // hook, ip or ip6, virtual and real address and port
			return nil, translate(args[0], args[1], args[2], args[3])
		},
		"offer": func(j *job, args []string) (answer, error) { // name: listens at all addresses, of IPv4 too
			if err := j.socket(args[0], 6); err != nil {
				return nil, err
			}
			if err := errors.Join(unix.Bind(j.fds[args[0]], &unix.SockaddrInet6{}), unix.Listen(j.fds[args[0]], 128)); err != nil {
				return nil, err
			}
			p, err := port(j.fds[args[0]])
			return answer{"port": p}, err
		},
		"dial": func(j *job, args []string) (answer, error) { return nil, j.dial(args[0], args[1]) }, // name, address and port
		"dials": func(j *job, args []string) (answer, error) { // addresses, first address and port; nobody is there
			at, err := netip.ParseAddrPort(args[1])
			for range number(args, 0) {
				if fault := j.dial("dials", at.String()); !errors.Is(fault, unix.ECONNREFUSED) {
					return nil, fmt.Errorf("want ECONNREFUSED: %w", fault)
				}
				err = errors.Join(err, j.close("dials"))
				at = netip.AddrPortFrom(at.Addr().Next(), at.Port())
			}
			return nil, err
		},
	}
}

// dial connects. An IPv4 address in IPv6 (::ffff:127.0.0.1) is reached by an IPv6 socket.
func (j *job) dial(name, to string) error {
	at, err := netip.ParseAddrPort(to)
	if err != nil {
		return err
	}
	if at.Addr().Is4() {
		if err := j.socket(name, 4); err != nil {
			return err
		}
		return unix.Connect(j.fds[name], &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()})
	}
	if err := j.socket(name, 6); err != nil {
		return err
	}
	return unix.Connect(j.fds[name], &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()})
}

// attribute is one attribute of a netlink message.
func attribute(kind uint16, value []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	b = append(binary.NativeEndian.AppendUint16(b, kind), value...)
	return append(b, make([]byte, (4-len(b)%4)%4)...)
}

// cable makes a pair of devices, one here and one in the namespace of a process.
func cable(pid int) error {
	name := attribute(unix.IFLA_IFNAME, append([]byte(cableName), 0))
	peer := append(make([]byte, unix.SizeofIfInfomsg), name...)
	peer = append(peer, attribute(unix.IFLA_NET_NS_PID, binary.NativeEndian.AppendUint32(nil, uint32(pid)))...)
	const peerInfo = 1 // linux/veth.h: VETH_INFO_PEER
	pair := append(attribute(unix.IFLA_INFO_KIND, []byte("veth")), attribute(unix.IFLA_INFO_DATA, attribute(peerInfo, peer))...)
	return request(unix.RTM_NEWLINK, append(append(make([]byte, unix.SizeofIfInfomsg), name...), attribute(unix.IFLA_LINKINFO, pair)...))
}

// address gives the cable's end an address and switches it on.
func address(text string, bits int) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq(cableName)
	if err != nil {
		return err
	}
	// No other end asks whether it has the same address, and waits for an answer.
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+cableName+"/accept_dad", []byte("0"), 0); err != nil {
		return err
	}
	req.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req); err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, req); err != nil {
		return err
	}
	at, err := netip.ParseAddr(text)
	if err != nil {
		return err
	}
	head := unix.IfAddrmsg{Family: unix.AF_INET, Prefixlen: uint8(bits), Index: req.Uint32()}
	if at.Is6() {
		head.Family = unix.AF_INET6
	}
	body := append([]byte(nil), unsafe.Slice((*byte)(unsafe.Pointer(&head)), unix.SizeofIfAddrmsg)...)
	return request(unix.RTM_NEWADDR, append(body, attribute(unix.IFA_LOCAL, at.AsSlice())...))
}

// request asks the kernel over netlink for something new.
func request(kind uint16, body []byte) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	head := unix.NlMsghdr{Len: uint32(unix.SizeofNlMsghdr + len(body)), Type: kind, Flags: unix.NLM_F_REQUEST | unix.NLM_F_CREATE | unix.NLM_F_EXCL | unix.NLM_F_ACK}
	message := append([]byte(nil), unsafe.Slice((*byte)(unsafe.Pointer(&head)), unix.SizeofNlMsghdr)...)
	if err := unix.Sendto(fd, append(message, body...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	var reply [4096]byte
	n, _, err := unix.Recvfrom(fd, reply[:], 0)
	if err != nil {
		return err
	}
	if n < unix.SizeofNlMsghdr+4 {
		return fmt.Errorf("netlink answered %d bytes", n)
	}
	if errno := int32(binary.NativeEndian.Uint32(reply[unix.SizeofNlMsghdr:])); errno != 0 {
		return unix.Errno(-errno)
	}
	return nil
}
