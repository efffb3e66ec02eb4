package cgroup

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/metric"
)

// Buffers begin small enough to stay in the cache and grow up to the largest
// file that is believed.
const (
	firstBuffer = 8 << 10
	maxBuffer   = 1 << 20
)

// eager is the number of first reads that look for missing files, which a
// runtime may be about to make. Later every tenth does.
const eager = 3

// lookOften is the number of first reads in which rare ones look for missing files;
// later every tenth of them does: most that are missing then always will be.
const lookOften = 20

// Read appends what the files say now: totals for counters, in ns and bytes. A
// family whose file is missing has no reading; a labelled counter that turns up
// later began at 0. Files that only a running task changes are read again when
// one has run, memory.stat when memory moved, and both every tenth time, as are
// limits. With ErrGone, and with any other error, what could still be
// read is returned too.
func (f *Files) Read(dst []metric.Reading) ([]metric.Reading, error) {
	return f.keep(f.pace(), dst)
}

// Asleep is Read of a target in which nothing has run since the last reading: it appends
// what that one said. Every tenth time it reads what may change all the same (memory,
// network devices, limits), every hundredth everything.
func (f *Files) Asleep(dst []metric.Reading) ([]metric.Reading, error) {
	p := f.pace()
	if len(f.last) == 0 || p == eagerly {
		return f.keep(p, dst)
	}
	if p == everyTenth {
		if f.tick/rareEvery%rareEvery != 0 {
			p = asleep
		}
		return f.keep(p, dst)
	}
	f.tick++
	return append(dst, f.last...), nil
}

// A pace is how much one reading looks at.
type pace int

const (
	usual      pace = iota // files by their rhythm
	eagerly                // the first few: what is missing is looked for
	everyTenth             // every file, and what is missing
	asleep                 // limits too, but no process is looked up
)

func (f *Files) pace() pace {
	switch {
	case f.tick == 0 || f.tick%rareEvery == f.phase:
		return everyTenth
	case f.tick < eager:
		return eagerly
	}
	return usual
}

// keep reads, and remembers what was read where there was no fault.
func (f *Files) keep(p pace, dst []metric.Reading) ([]metric.Reading, error) {
	first := len(dst)
	dst, err := f.read(p, dst)
	f.last = f.last[:0]
	if err == nil {
		f.last = append(f.last, dst[first:]...)
	}
	return dst, err
}

func (f *Files) read(p pace, dst []metric.Reading) ([]metric.Reading, error) {
	buf := f.host.buffer()
	defer f.host.buffers.Put(buf)
	looks := p == eagerly || p == everyTenth
	var faults []error
	if looks {
		if err := f.look(); errors.Is(err, ErrGone) {
			return dst, err
		} else if err != nil {
			faults = append(faults, err)
		}
	}
	lost := false
	for i := range f.files {
		o := &f.files[i]
		if !lost && !o.fresh && f.rests(p, o.rhythm) {
			dst = append(dst, o.last...)
			continue
		}
		o.fresh = false
		first := len(dst)
		var err error
		if dst, err = f.readOne(o, buf, dst); gone(err) {
			lost = true
		} else if err != nil {
			faults = append(faults, err)
		}
		if o.rhythm != always {
			o.last = append(o.last[:0], dst[first:]...)
		}
	}
	if f.net != nil && !lost {
		var err error
		if dst, err = f.net.read(f, buf, looks, dst); err != nil {
			faults = append(faults, err)
		}
	}
	f.tick++
	for _, l := range []*level{&f.usage, &f.current, &f.met} {
		l.before = l.now
	}
	if lost {
		faults = append(faults, ErrGone)
	}
	return dst, errors.Join(faults...)
}

// rests reports whether files of a rhythm say what they said at the last read,
// as far as the files before them have told, and need not be read at this pace.
func (f *Files) rests(p pace, r rhythm) bool {
	if p == everyTenth {
		return false
	}
	idle := f.usage.still() && (!f.current.seen || f.current.still())
	switch r {
	case whenActive:
		return idle
	case whenCharged:
		return idle || f.current.still() && f.met.still()
	}
	return r == rarely && p != asleep
}

// look opens what was missing. Where nothing is open, only the directory can
// tell that the cgroup has gone.
func (f *Files) look() error {
	var dirs map[string]string
	open := 0
	var faults []error
	search := f.tick < lookOften || f.tick/rareEvery%rareEvery == 0
	for i := range f.files {
		o := &f.files[i]
		if o.fds[0] < 0 && search {
			if dirs == nil {
				dirs = map[string]string{}
			}
			faults = append(faults, f.find(o, dirs))
		}
		if o.fds[0] >= 0 {
			open++
		}
	}
	var st unix.Stat_t
	if open == 0 && f.at != "" && gone(unix.Stat(f.host.V2+f.at, &st)) {
		return ErrGone
	}
	return errors.Join(faults...)
}

func (f *Files) readOne(o *opened, buf *[]byte, dst []metric.Reading) ([]metric.Reading, error) {
	n := 0
	for _, fd := range o.fds {
		if fd < 0 {
			continue
		}
		var err error
		if n, err = readWhole(buf, fd, n); err == unix.EOPNOTSUPP {
			return dst, nil
		} else if err != nil {
			return dst, &os.PathError{Op: "read", Path: o.path(), Err: err}
		}
	}
	if n == 0 {
		return dst, nil
	}
	return o.parse((*buf)[:n], o, f, dst)
}

// readWhole reads a file that is made anew for each read into buf from at on,
// growing it, and returns where the content ends.
func readWhole(buf *[]byte, fd, at int) (int, error) {
	for {
		n, err := unix.Pread(fd, (*buf)[at:], 0)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return at, err
		case at+n < len(*buf):
			return at + n, nil
		case len(*buf) >= maxBuffer:
			return at, fmt.Errorf("longer than %d bytes", maxBuffer)
		}
		*buf = append(*buf, make([]byte, len(*buf))...)
	}
}

func (h *Host) buffer() *[]byte {
	if b, ok := h.buffers.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, firstBuffer)
	return &b
}
