package probe

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"viperprobe.dev/viperprobe/internal/metric"
)

// Bounds of application probes (app.bpf.c).
const (
	AppSites = 4096 // numbers of sites are below
	AppCells = 1024 // targets times their probes
)

// How the calls of a site are told apart (app.bpf.c).
const (
	AppFunction AppKind = iota // a thread's
	AppGo                      // a goroutine's
	AppSpan                    // a thread's, from one place to another
	AppCount                   // they have no end
)

// An AppKind is one of the above.
type AppKind uint32

// An AppSite is one declared probe in one file: the number by which its hits are told
// from others', and how.
type AppSite struct {
	Number uint32
	Kind   AppKind
}

// An AppOffset is a place in a file. Semaphore is the offset of a counter there that the
// kernel holds above 0 while the place is probed; 0: there is none.
type AppOffset struct{ At, Semaphore uint64 }

// apps is what the hook group app has beside the others: cells for (target, probe)
// instead of a row of them for each target.
type apps struct {
	pairs, tasks        *ebpf.Map
	values, hits, execs words
	cells               map[uint32]map[string]uint32 // by slot and probe
	sites               map[uint32][]uint32          // of a slot that count
	free                []uint32                     // cells, the longest free first
}

// appWords is the size of struct app_value in words: calls, sum, counts.
const appWords = 1 + histWords

func (o *object) openApps() (err error) {
	a := &apps{pairs: o.coll.Maps["app_pairs"], tasks: o.coll.Maps["app_tasks"], cells: map[uint32]map[string]uint32{}, sites: map[uint32][]uint32{}}
	o.apps = a
	for i := range uint32(AppCells) {
		a.free = append(a.free, i)
	}
	for name, w := range map[string]*words{"app_values": &a.values, "app_hits": &a.hits, "app_execs": &a.execs} {
		if *w, err = mapWords(o.coll.Maps[name]); err != nil {
			return err
		}
	}
	return nil
}

func (a *apps) close() error {
	if a == nil {
		return nil
	}
	return errors.Join(a.values.unmap(), a.hits.unmap(), a.execs.unmap())
}

// ErrAppCells says that no cell is left for another probe of another target.
var ErrAppCells = fmt.Errorf("all %d cells for application probes of targets are taken: declare fewer, or switch app_calls and app_latency on for fewer targets", AppCells)

var errNoApps = errors.New("application probes are not loaded")

func (s *Set) apps() *apps {
	if o := s.objects["app"]; o != nil {
		return o.apps
	}
	return nil
}

// CountApp makes the hits of a site by tasks of a slot count as calls of the named
// probe. What was counted for the probe in that slot before goes on.
func (s *Set) CountApp(slot uint32, probe string, site uint32) error {
	a := s.apps()
	if a == nil {
		return errNoApps
	}
	cell, ok := a.cells[slot][probe]
	if !ok {
		if len(a.free) == 0 {
			return ErrAppCells
		}
		cell = a.free[0]
		a.free = a.free[1:]
		clear(a.values[int(cell)*appWords:][:appWords])
		if a.cells[slot] == nil {
			a.cells[slot] = map[string]uint32{}
		}
		a.cells[slot][probe] = cell
	}
	if err := a.pairs.Put([2]uint32{slot, site}, cell); err != nil {
		return fmt.Errorf("count site %d for slot %d: %w", site, slot, err)
	}
	if !slices.Contains(a.sites[slot], site) {
		a.sites[slot] = append(a.sites[slot], site)
	}
	return nil
}

// IgnoreApp makes the hits of a site by tasks of a slot count no longer.
func (s *Set) IgnoreApp(slot, site uint32) error {
	a := s.apps()
	if a == nil {
		return nil
	}
	a.sites[slot] = slices.DeleteFunc(a.sites[slot], func(n uint32) bool { return n == site })
	if err := a.pairs.Delete([2]uint32{slot, site}); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("ignore site %d for slot %d: %w", site, slot, err)
	}
	return nil
}

// clear gives the cells of a slot back.
func (a *apps) clear(slot uint32) {
	if a == nil {
		return
	}
	for _, site := range a.sites[slot] {
		_ = a.pairs.Delete([2]uint32{slot, site}) // it is not there: as wanted
	}
	for _, probe := range slices.Sorted(maps.Keys(a.cells[slot])) {
		a.free = append(a.free, a.cells[slot][probe])
	}
	delete(a.sites, slot)
	delete(a.cells, slot)
}

// read appends what the cells of a slot hold of a family, probes in the order of their names.
func (a *apps) read(f *metric.Family, slot uint32, dst []metric.Reading) []metric.Reading {
	for _, probe := range slices.Sorted(maps.Keys(a.cells[slot])) {
		w := a.values[int(a.cells[slot][probe])*appWords:][:appWords]
		r := metric.Reading{Family: f, Labels: [2]string{probe}}
		if f.Kind == metric.Histogram {
			h := metric.NewHist(w[1], slices.Clone(w[2:]))
			r.Hist = &h
		} else {
			r.Value = atomic.LoadUint64(&w[0])
		}
		dst = append(dst, r)
	}
	return dst
}

// AppExecs is how often tasks of a slot have executed a program while application
// families were on for it.
func (s *Set) AppExecs(slot uint32) uint64 {
	if a := s.apps(); a != nil {
		return atomic.LoadUint64(&a.execs[slot])
	}
	return 0
}

// AppFiles attaches programs to files. It is for one goroutine, which may be another
// than its set's, and which has closed everything before the set is closed.
type AppFiles struct {
	programs map[string]*ebpf.Program
	tasks    *ebpf.Map
	hits     words
}

// Hits is how often a site was hit by anybody on the machine, ends of calls too.
func (a *AppFiles) Hits(site uint32) uint64 { return atomic.LoadUint64(&a.hits[site]) }

// AppFiles is nil until an application family was wanted, and where it cannot work.
func (s *Set) AppFiles() *AppFiles {
	o := s.objects["app"]
	if o == nil || o.apps == nil {
		return nil
	}
	return &AppFiles{o.coll.Programs, o.apps.tasks, o.apps.hits}
}

// Attach attaches the beginning of calls (end: their end; caught: at the return of
// the functions that begin there) at places of a file, for everybody who runs it, until
// the result is closed, which takes up to 80 ms for each place before Linux 6.6.
func (a *AppFiles) Attach(path string, site AppSite, at []AppOffset, end, caught bool) (io.Closer, error) {
	name := "app_enter"
	if end {
		name = "app_leave"
	}
	file, err := link.OpenExecutable(path)
	if err != nil {
		return nil, err
	}
	cookie := uint64(site.Kind)<<32 | uint64(site.Number)
	if program := a.programs[name+"_multi"]; program != nil {
		return attachMulti(file, program, at, caught, cookie)
	}
	program := a.programs[name]
	if program == nil {
		return nil, fmt.Errorf("program %s is not loaded", name)
	}
	attach := file.Uprobe
	if caught {
		attach = file.Uretprobe
	}
	var all closers
	for _, place := range at {
		l, err := attach("", program, &link.UprobeOptions{Address: place.At, RefCtrOffset: place.Semaphore, Cookie: cookie})
		if err != nil {
			return nil, errors.Join(explain(err), all.Close())
		}
		all = append(all, l)
	}
	return all, nil
}

func attachMulti(file *link.Executable, program *ebpf.Program, at []AppOffset, caught bool, cookie uint64) (io.Closer, error) {
	var o link.UprobeMultiOptions
	semaphores := false
	for _, place := range at {
		o.Addresses, o.Cookies = append(o.Addresses, place.At), append(o.Cookies, cookie)
		o.RefCtrOffsets = append(o.RefCtrOffsets, place.Semaphore)
		semaphores = semaphores || place.Semaphore != 0
	}
	if !semaphores {
		o.RefCtrOffsets = nil
	}
	attach := file.UprobeMulti
	if caught {
		attach = file.UretprobeMulti
	}
	l, err := attach(nil, program, &o)
	if err != nil {
		return nil, explain(err)
	}
	return l, nil
}

type closers []io.Closer

func (c closers) Close() error {
	var faults []error
	for _, x := range c {
		faults = append(faults, x.Close())
	}
	return errors.Join(faults...)
}

// Sweep forgets calls of processes that ended in the middle of them: alive tells of a
// process whether it is there.
func (a *AppFiles) Sweep(alive func(pid int) bool) error {
	var key struct {
		Who       uint64
		TGID, Pad uint32
	}
	var dead []any
	var calls [appTaskBytes]byte
	for it := a.tasks.Iterate(); it.Next(&key, &calls); {
		if !alive(int(key.TGID)) {
			dead = append(dead, key)
		}
	}
	for _, k := range dead {
		if err := a.tasks.Delete(k); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("forget calls of ended processes: %w", err)
		}
	}
	return nil
}

// appTaskBytes is the size of struct app_task: 8 calls.
const appTaskBytes = 8 * 24

// uprobe reports whether a program is attached to files, by AppFiles.Attach.
func (o *object) uprobe(program string) bool {
	return strings.HasPrefix(o.spec.Programs[program].SectionName, "uprobe")
}
