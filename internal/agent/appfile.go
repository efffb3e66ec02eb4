package agent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/cgroup"
	"viperprobe.dev/viperprobe/internal/policy"
	"viperprobe.dev/viperprobe/internal/probe"
	"viperprobe.dev/viperprobe/internal/symbol"
)

// An appFile is a file that has, or had, probes. It is held open, so that its number is not
// given to another.
type appFile struct {
	id      appFileID
	path    string // as the process that was found first sees it
	file    *os.File
	symbols *symbol.File
	fault   error // why there are no symbols
	sites   map[appKey]*appSite
}

// An appRef is who wants a site.
type appRef struct {
	name    string
	latency bool // the ends of calls, too
}

// An appKey is what makes two declarations the same site of a file.
type appKey struct{ name, function, usdt, until string }

func keyOf(p policy.AppProbe) appKey { return appKey{p.Name, p.Function, p.USDT, p.Until} }

// An appSite is one declared probe in one file.
type appSite struct {
	key        appKey
	probe      policy.AppProbe
	file       *appFile
	number     uint32
	kind       probe.AppKind
	from, to   []probe.AppOffset
	caught     bool // the kernel catches returns to where from was called from
	begin, end io.Closer
	refs       map[*target]appRef
	stopped    bool
	partly     error // what of it this file does not have
	fault      error // why it is not attached in full
	warned     bool
	before     uint64 // hits of those who had the number before
	hits       uint64 // as of at
	at         time.Time
}

// open is the file of a program, which may have been found before.
func (w *appWorker) open(p *cgroup.Program) (*appFile, error) {
	file, err := p.Open()
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, errors.Join(fmt.Errorf("%s is no regular file", p.Path), err, file.Close())
	}
	id := appFileID{st.Dev, st.Ino}
	if f := w.files[id]; f != nil {
		return f, file.Close()
	}
	if len(w.files) >= maxAppFiles {
		w.drop()
		return nil, errors.Join(fmt.Errorf("%d files have application probes, at most that many can", maxAppFiles), file.Close())
	}
	f := &appFile{id: id, path: p.Path, file: file, sites: map[appKey]*appSite{}}
	f.symbols, f.fault = symbol.Open(file)
	w.files[id] = f
	return f, nil
}

func (w *appWorker) drop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dropped++
}

func (w *appWorker) forget(f *appFile) {
	delete(w.files, f.id)
	if err := f.file.Close(); err != nil {
		w.log.Warn("file of application probes not closed", "file", f.path, "err", err)
	}
}

// site is that of a probe in a file; nil when there is no number for another.
func (w *appWorker) site(f *appFile, p policy.AppProbe) *appSite {
	key := keyOf(p)
	if s := f.sites[key]; s != nil {
		s.probe.Limit = p.Limit
		return s
	}
	if len(w.free) == 0 {
		w.drop()
		return nil
	}
	s := &appSite{key: key, probe: p, file: f, number: w.free[0], refs: map[*target]appRef{}}
	w.free = w.free[1:]
	f.sites[key] = s
	if w.kernel != nil {
		s.before = w.kernel.Hits(s.number)
	}
	if s.partly = f.fault; s.partly == nil {
		s.partly = s.resolve(f.symbols)
	}
	if s.fault = s.partly; s.fault != nil {
		w.log.Info("application probe not attached in full", "probe", p.Name, "declared", p.Origin, "file", f.path, "err", s.fault)
	}
	return s
}

// resolve finds the places of a probe. Its error may leave places where calls begin.
func (s *appSite) resolve(f *symbol.File) error {
	if s.probe.Function != "" {
		fn, err := f.Function(s.probe.Function)
		s.from = places(fn.Entries)
		switch {
		case !fn.Go:
			s.kind, s.to, s.caught = probe.AppFunction, s.from, true
		case fn.Partly != nil:
			s.kind, err = probe.AppCount, fmt.Errorf("calls without latency: %w", fn.Partly)
		default:
			s.kind, s.to = probe.AppGo, places(fn.Returns)
		}
		return err
	}
	from, err := usdt(f, s.probe.USDT)
	s.from, s.kind = from, probe.AppCount
	if err == nil && s.probe.Until != "" {
		var to []probe.AppOffset
		if to, err = usdt(f, s.probe.Until); err == nil {
			s.kind, s.to = probe.AppSpan, to
		}
	}
	return err
}

func usdt(f *symbol.File, name string) ([]probe.AppOffset, error) {
	provider, name, _ := strings.Cut(name, ":")
	p, err := f.USDT(provider, name)
	return places(p), err
}

func places(p []symbol.Place) (out []probe.AppOffset) {
	for _, x := range p {
		out = append(out, probe.AppOffset(x))
	}
	return out
}

// fit attaches of a site what those who refer to it want, and no more.
func (w *appWorker) fit(s *appSite) {
	if s.stopped || len(s.from) == 0 {
		return
	}
	ends := false
	for _, r := range s.refs {
		ends = ends || r.latency
	}
	if s.end != nil && !ends {
		w.unhook(s, &s.end, len(s.to))
	}
	if ends && s.end == nil && len(s.to) > 0 { // first, so that no call is without its end
		s.end = w.attach(s, s.to, true)
	}
	if s.begin == nil {
		if s.begin = w.attach(s, s.from, false); s.begin != nil {
			s.hits, s.at = w.kernel.Hits(s.number), time.Now()
		}
	}
}

func (w *appWorker) attach(s *appSite, at []probe.AppOffset, end bool) io.Closer {
	if w.offsets+len(at) > maxAppOffsets {
		w.drop()
		s.fault = fmt.Errorf("%d places have application probes, at most that many can", maxAppOffsets)
		return nil
	}
	path := fmt.Sprintf("/proc/self/fd/%d", s.file.file.Fd())
	link, err := w.kernel.Attach(path, probe.AppSite{Number: s.number, Kind: s.kind}, at, end, end && s.caught)
	if err != nil {
		if s.fault == nil {
			w.log.Warn("application probe not attached", "probe", s.probe.Name, "file", s.file.path, "err", err)
		}
		s.fault = err
		return nil
	}
	w.offsets += len(at)
	s.fault = s.partly
	return link
}

func (w *appWorker) unhook(s *appSite, link *io.Closer, offsets int) {
	if *link == nil {
		return
	}
	if err := (*link).Close(); err != nil {
		w.log.Warn("application probe not detached", "probe", s.probe.Name, "file", s.file.path, "err", err)
	}
	*link = nil
	w.offsets -= offsets
}

func (w *appWorker) detach(s *appSite) {
	w.unhook(s, &s.begin, len(s.from))
	w.unhook(s, &s.end, len(s.to))
}

// release lets go of a site for a target; the last one detaches it.
func (w *appWorker) release(s *appSite, of *target) {
	delete(s.refs, of)
	if len(s.refs) > 0 {
		w.fit(s)
		return
	}
	w.detach(s)
	delete(s.file.sites, s.key)
	w.free = append(w.free, s.number)
	if len(s.file.sites) == 0 {
		w.forget(s.file)
	}
}

func (s *appSite) status() policy.AppStatus {
	st := policy.AppStatus{Probe: s.probe.Name, Origin: s.probe.Origin, File: s.file.path, Targets: []string{}, State: policy.AppAttached}
	for _, r := range s.refs {
		st.Targets = append(st.Targets, r.name)
	}
	slices.Sort(st.Targets)
	if s.stopped {
		st.State = policy.AppStopped
	} else if s.begin == nil {
		st.State = policy.AppMissing
	}
	if s.fault != nil {
		st.Reason = s.fault.Error()
	}
	return st
}
