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

// Read appends what the files say now: totals for counters, in ns and bytes. A
// family whose file is missing has no reading; a labelled counter that turns up
// later began at 0. With ErrGone, and with any other error, what could still be
// read is returned too.
func (f *Files) Read(dst []metric.Reading) ([]metric.Reading, error) {
	buf := f.host.buffer()
	defer f.host.buffers.Put(buf)
	rare := f.tick == 0 || f.tick%rareEvery == f.phase
	var faults []error
	lost := 0
	for i := range f.files {
		o := &f.files[i]
		if o.rhythm != always && !rare && (o.rhythm == rarely || f.usage.still() && f.current.still()) {
			dst = append(dst, o.last...)
			continue
		}
		first := len(dst)
		var err error
		if dst, err = f.readOne(o, buf, rare || f.tick < eager, dst); gone(err) {
			lost++
		} else if err != nil {
			faults = append(faults, err)
		}
		if o.rhythm != always {
			o.last = append(o.last[:0], dst[first:]...)
		}
	}
	f.tick++
	f.usage.before, f.current.before = f.usage.now, f.current.now
	if lost > 0 || rare && f.removed() {
		faults = append(faults, ErrGone)
	}
	return dst, errors.Join(faults...)
}

// removed asks for the directory: a target may have no open file to tell.
func (f *Files) removed() bool {
	if f.at == "" {
		return false
	}
	var st unix.Stat_t
	return gone(unix.Stat(f.host.V2+f.at, &st))
}

func (f *Files) readOne(o *opened, buf *[]byte, look bool, dst []metric.Reading) ([]metric.Reading, error) {
	if o.fd < 0 && o.rhythm != rarely || o.dir == "" {
		if !look {
			return dst, nil
		}
		if err := f.find(o); err != nil || o.dir == "" || o.fd < 0 && o.rhythm != rarely {
			return dst, err
		}
	}
	var n int
	var err error
	if o.rhythm == rarely {
		n, err = readNames(buf, o)
		err = missing(err)
	} else {
		n, err = readWhole(buf, o.fd, 0)
		if errors.Is(err, unix.EOPNOTSUPP) {
			err = nil
		}
	}
	if err != nil {
		return dst, &os.PathError{Op: "read", Path: o.path(), Err: err}
	}
	if n == 0 {
		return dst, nil
	}
	return o.parse((*buf)[:n], o, f, dst)
}

// readNames opens, reads and closes a source's files, one behind the other.
func readNames(buf *[]byte, o *opened) (int, error) {
	n := 0
	for _, name := range []string{o.file, o.with} {
		if name == "" {
			continue
		}
		fd, err := openFile(o.dir + "/" + name)
		if err != nil {
			return 0, err
		}
		n, err = readWhole(buf, fd, n)
		if err := errors.Join(err, unix.Close(fd)); err != nil {
			return 0, err
		}
	}
	return n, nil
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
