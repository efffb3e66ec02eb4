package probe

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
)

// Kinds of peer (flow.h).
const (
	flowTarget   = 1
	flowInternet = 3
)

// flowServer is the side of flows that were opened to their target.
const flowServer = 2

// What flows call a peer that is no target and has no address of its own.
const (
	FlowOther    = "other"    // all that are beyond a bound
	FlowInternet = "internet" // clients with public addresses
	flowGone     = "gone"     // a target that ended before its name was asked for
)

// A flowKey is whose flow it is, and who is at its other end.
type flowKey struct {
	slot, gen uint32
	other     bool // for all that are beyond a bound
	server    bool // opened to the target
	kind      byte
	port      uint16 // the server's
	target    uint32 // slot of the peer, ...
	targetGen uint32 // ... and its generation
	peer      string // as it was called last
	own       string // likewise
}

func (f *flows) key(n int, cell words) flowKey {
	if n >= flowCells {
		slot := uint32(n-flowCells) / 2
		return flowKey{slot: slot, gen: f.gen(slot), other: true, server: n%2 == 1, peer: FlowOther}
	}
	k := flowKey{slot: uint32(cell[2]), gen: uint32(cell[2] >> 32), port: uint16(cell[3]), server: byte(cell[3]>>16) == flowServer, kind: byte(cell[3] >> 24)}
	switch k.kind {
	case flowTarget:
		k.target, k.targetGen, k.peer = uint32(cell[0]), uint32(cell[0]>>32), flowGone
	case flowInternet:
		k.peer = FlowInternet
	default:
		var a [16]byte
		binary.NativeEndian.PutUint64(a[:8], cell[0])
		binary.NativeEndian.PutUint64(a[8:], cell[1])
		k.peer = netip.AddrFrom16(a).Unmap().String()
	}
	return k
}

// label brings a cell's labels up to date: client, and server with its port. What a
// target says to itself is told by the client's end alone: false.
func (f *flows) label(c *flowCell) bool {
	itself := c.kind == flowTarget && c.target == c.slot && c.targetGen == c.gen
	if itself && c.server {
		return false
	}
	own, peer := f.name(c.slot), c.peer
	if c.kind == flowTarget && c.targetGen == f.gen(c.target) {
		peer = f.name(c.target)
	}
	if own == c.own && peer == c.peer {
		return true
	}
	c.own, c.peer = own, peer
	switch {
	case c.other && c.server:
		c.labels = [2]string{peer, own}
	case c.other:
		c.labels = [2]string{own, peer}
	case c.server:
		c.labels = [2]string{peer, endpoint(own, c.port)}
	default:
		c.labels = [2]string{own, endpoint(peer, c.port)}
	}
	return true
}

// endpoint is a server and its port. An IPv6 address is in brackets.
func endpoint(server string, port uint16) string {
	if a, err := netip.ParseAddr(server); err == nil {
		return netip.AddrPortFrom(a, port).String()
	}
	return server + ":" + strconv.Itoa(int(port))
}

// name is that of a slot's target, asked for once a tick.
func (f *flows) name(slot uint32) string {
	if f.names[slot] == "" && f.set.nameOf != nil {
		f.names[slot] = f.set.nameOf(slot)
	}
	if f.names[slot] == "" {
		f.names[slot] = fmt.Sprint("slot ", slot)
	}
	return f.names[slot]
}
