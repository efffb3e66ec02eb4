package probe

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf/ringbuf"
)

// EventKind says what happened to a cgroup.
type EventKind uint32

// The kinds of event, in the order of a cgroup's life.
const (
	Made     EventKind = 1 // cgroup_mkdir
	Removed  EventKind = 2 // cgroup_rmdir: nothing can join it any more
	Released EventKind = 3 // cgroup_release: nothing refers to it any more
)

// An Event is a cgroup v2 coming or going.
type Event struct {
	ID, Parent uint64
	Monotonic  uint64 // ns, when it happened
	Kind       EventKind
	Slot       uint32 // where its tasks are counted
	Path       string // below the v2 root, with a leading "/"
}

// rawEvent is struct vp_event of cgroup.bpf.c.
type rawEvent struct {
	ID, Parent, Now uint64
	Kind, Slot      uint32
	Path            [256]byte
}

// Events calls f for each event until ctx ends. It may run beside the other
// methods.
func (s *Set) Events(ctx context.Context, f func(Event)) error {
	r, err := ringbuf.NewReader(s.core.Maps["vp_events"])
	if err != nil {
		return fmt.Errorf("read events of cgroups: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { r.Close() })
	defer stop()
	defer r.Close()
	for {
		rec, err := r.Read()
		if errors.Is(err, os.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read events of cgroups: %w", err)
		}
		var raw rawEvent
		if err := binary.Read(bytes.NewReader(rec.RawSample), binary.NativeEndian, &raw); err != nil {
			return fmt.Errorf("decode event of a cgroup: %w", err)
		}
		path, _, _ := bytes.Cut(raw.Path[:], []byte{0})
		f(Event{ID: raw.ID, Parent: raw.Parent, Monotonic: raw.Now, Kind: EventKind(raw.Kind), Slot: raw.Slot, Path: string(path)})
	}
}
