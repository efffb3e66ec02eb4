package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
	"viperprobe.dev/viperprobe/internal/tui"
	"viperprobe.dev/viperprobe/internal/web"
)

// A follower gets the windows of an instance that measures already.
type follower struct {
	remote   *web.Remote
	families atomic.Pointer[[]*metric.Family] // that are shown
	catalog  []*metric.Family
	only     policy.Selector // targets
	not      *policy.Selector
	tag      string
	last     *metric.Batch // as it came
	missed   atomic.Uint64
}

// find is a follower of the instance that top was told of, or that runs where one
// usually does; nil when there is none.
func (t *top) find(ctx context.Context, catalogue, families []*metric.Family) (*follower, *metric.Batch, error) {
	if t.url == notAny {
		return nil, nil, nil
	}
	remote, err := t.remote()
	if err != nil {
		return nil, nil, err
	}
	f := &follower{remote: remote, catalog: catalogue, only: policy.Selector{Cgroups: t.Cgroups}}
	f.show(families)
	if len(t.ExcludeCgroups) > 0 {
		not := t.exclusion(nil).Select
		f.not = &not
	}
	b, err := f.first(ctx)
	switch {
	case t.absent(err):
		return nil, nil, nil
	case err != nil:
		return nil, nil, t.explain(remote, err, "measure here with --url "+notAny)
	}
	return f, b, nil
}

func (f *follower) show(families []*metric.Family) { f.families.Store(&families) }

// first is the newest window; an instance that has just started has none yet, and
// its very first is short and holds only baselines.
func (f *follower) first(ctx context.Context) (*metric.Batch, error) {
	deadline := time.Now().Add(firstTimeout)
	for {
		b, err := f.next(ctx)
		var refused *web.RefusedError
		early := errors.As(err, &refused) && refused.Status == http.StatusServiceUnavailable
		if err != nil && !early || err == nil && b != nil && b.Seq > 1 || time.Now().After(deadline) {
			return b, err
		}
		pause(ctx, retryLeast)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

// next is the newest window, or nil when it is the one that came before.
func (f *follower) next(ctx context.Context) (*metric.Batch, error) {
	// The cost of the other side is shown as well, and it is in families of tier self.
	wanted, err := policy.Resolve([]string{string(metric.Self)}, f.catalog)
	if err != nil {
		wanted = nil // a catalogue without them
	}
	for _, family := range *f.families.Load() {
		if !slices.Contains(wanted, family) {
			wanted = append(wanted, family)
		}
	}
	b, tag, err := f.remote.Last(ctx, wanted, f.tag)
	if b == nil || err != nil {
		return nil, err
	}
	if f.last != nil && b.Epoch == f.last.Epoch && b.Seq > f.last.Seq+1 {
		f.missed.Add(b.Seq - f.last.Seq - 1)
	}
	f.tag, f.last = tag, b
	kept := *b
	kept.Groups = slices.DeleteFunc(slices.Clone(b.Groups), func(g metric.Group) bool {
		return !f.only.Matches(g.Target) || f.not != nil && f.not.Matches(g.Target)
	})
	return &kept, nil
}

// How long to wait for a window that is late, and for an instance's first.
const (
	retryLeast   = 50 * time.Millisecond
	retryMost    = time.Second
	firstTimeout = 10 * time.Second
)

// run sends windows until ctx ends. It asks one window after each that was new, and
// a little more often until then, so that it falls into step. What goes wrong is
// sent too, and nil when it is over.
func (f *follower) run(ctx context.Context, out *latest, faults chan<- error) {
	ill := false
	for ctx.Err() == nil {
		wait := min(max(f.last.Interval/10, retryLeast), retryMost)
		b, err := f.next(ctx)
		switch {
		case b != nil:
			_ = out.Publish(ctx, b) // a latest takes everything
			wait = b.Interval
		case err != nil:
			wait = retryMost
			err = fmt.Errorf("%w; trying again", err)
		}
		if (err != nil || ill) && ctx.Err() == nil {
			select {
			case faults <- err:
				ill = err != nil
			default: // the one before was not read yet
			}
		}
		pause(ctx, wait)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// unmeasured says which of families the instance does not measure, and what to do.
func (f *follower) unmeasured(ctx context.Context, families []*metric.Family) error {
	var there statusDocument
	if err := f.remote.Document(ctx, "status", &there); err != nil {
		return err
	}
	var missing []string
	for _, family := range families {
		i := slices.IndexFunc(there.Families, func(s familyStatus) bool { return s.Family == family.Name })
		switch {
		case i < 0 || !there.Families[i].Wanted:
			missing = append(missing, family.Name+" (not among its --families)")
		case !there.Families[i].Works:
			missing = append(missing, family.Name+" ("+there.Families[i].Reason+")")
		}
	}
	if missing == nil {
		return nil
	}
	return fmt.Errorf("not measured by %s: %s", f.remote.Name(), strings.Join(missing, ", "))
}

// follow shows what an instance measures; b is its last window.
func (t *top) follow(ctx context.Context, p parts, f *follower, b *metric.Batch, families []*metric.Family, w io.Writer) error {
	var missing error
	if t.settings.flags.Changed("families") { // of what is shown unless asked, "-" says enough
		missing = f.unmeasured(ctx, families)
	}
	if t.once {
		if missing != nil {
			fmt.Fprintf(t.log, "viperprobe: %v\n", missing)
		}
		return t.print(b, families, w)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	batches, faults := newLatest(), make(chan error, 1)
	_ = batches.Publish(ctx, b) // a latest takes everything
	ended := make(chan struct{})
	go func() {
		f.run(ctx, batches, faults)
		close(ended)
	}()
	err := t.table(ctx, w, tui.Options{
		Source: "from " + f.remote.Name(), Batches: batches.next, Faults: faults, Catalogue: p.families, Families: families,
		Missed: func() uint64 { return batches.dropped.Load() + f.missed.Load() },
		Choose: func(chosen []*metric.Family) error {
			f.show(chosen)
			return f.unmeasured(ctx, chosen)
		},
	}, missing)
	stop()
	<-ended
	return err
}
