package cgroup

import (
	"errors"
	"fmt"
	"math/bits"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"viperprobe.dev/viperprobe/internal/metric"
)

// ErrGone means that the cgroup has been removed.
var ErrGone = errors.New("cgroup is gone")

// Files is the file tier of one target: its cgroup's files, kept open (14
// descriptors for all families on v2, 17 on hybrid hosts). It belongs to one
// goroutine.
type Files struct {
	host  *Host
	at    string // v2 path, "" for the node
	pod   bool
	files []opened
	tick  int
	phase int              // of the rare reads, so that not all targets have theirs at once
	last  []metric.Reading // of the last Read, none where it had a fault

	usage, current, met level // CPU time, current memory, charges that met the limit

	net     *interfaces       // nil where not wanted; the node reads its own as a file
	cards   map[string]bool   // of the node: devices with hardware; empty where there are none
	devices map[string]string // names of network devices
}

// A level is a value that tells whether anything happened.
type level struct {
	now, before uint64
	seen        bool
}

func (l *level) set(v uint64) { l.now, l.seen = v, true }
func (l *level) still() bool  { return l.seen && l.now == l.before }

// opened is a source of one target.
type opened struct {
	source
	dir    string
	fds    [2]int           // of file and with; the first is -1 when the source is not open
	wanted []*metric.Family // by field; nil where not wanted
	left   int              // number of wanted fields
	fresh  bool             // opened and not read yet
	last   []metric.Reading // of files that are not always read
}

func (o *opened) path() string { return filepath.Join(o.dir, o.file) }

// find is the index of the wanted field with this key.
func (o *opened) find(key []byte) int {
	for i := range o.fields {
		if o.wanted[i] != nil && string(key) == o.fields[i].key {
			return i
		}
	}
	return -1
}

// Open opens the files of the cgroup at a v2 path that serve families; families
// of other tiers are passed over. A file that does not exist (yet), or on v1 is
// not the cgroup's alone, is no error: it is looked for again by Read. It is
// ErrGone when there is no such cgroup.
func (h *Host) Open(path string, families []*metric.Family) (*Files, error) {
	var st unix.Stat_t
	if err := unix.Stat(h.V2+path, &st); err != nil {
		if gone(err) {
			return nil, ErrGone
		}
		return nil, fmt.Errorf("stat cgroup %s: %w", path, err)
	}
	f := &Files{host: h, at: path, pod: h.Place(path).PodUID != "", phase: int(st.Ino % rareEvery)}
	if o := want(interfaceSource, byName(families)); o.left > 0 {
		f.net = newInterfaces(o, st.Ino)
	}
	return f.open(h.sources(), families)
}

// OpenNode opens the files that tell the same families about the whole machine.
func (h *Host) OpenNode(families []*metric.Family) (*Files, error) {
	f := &Files{host: h}
	return f.open(nodeSources, families)
}

func (f *Files) open(sources []source, families []*metric.Family) (*Files, error) {
	wanted := byName(families)
	for _, s := range sources {
		if o := want(s, wanted); o.left > 0 {
			f.files = append(f.files, o)
		}
	}
	dirs := map[string]string{}
	for i := range f.files {
		if err := f.find(&f.files[i], dirs); errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
			return nil, errors.Join(fmt.Errorf("%w: raise the limit on open files (LimitNOFILE= of the unit, ulimit -n)", err), f.Close())
		}
	}
	return f, nil
}

// byName is the families of the file tier by name.
func byName(families []*metric.Family) map[string]*metric.Family {
	m := make(map[string]*metric.Family, len(families))
	for _, f := range families {
		if f.Tier == metric.File {
			m[f.Name] = f
		}
	}
	return m
}

// want is a source, not open yet, with those of its fields that are wanted.
func want(s source, wanted map[string]*metric.Family) opened {
	o := opened{source: s, fds: closed, wanted: make([]*metric.Family, len(s.fields))}
	for i, field := range s.fields {
		if o.wanted[i] = wanted[field.family]; o.wanted[i] != nil {
			o.left++
		}
	}
	return o
}

var closed = [2]int{-1, -1}

// find opens a source. What is missing stays so without an error. dirs remembers
// the directories of controllers, "" where there is none.
func (f *Files) find(o *opened, dirs map[string]string) error {
	dir, ok := dirs[o.controller]
	if !ok {
		dir = f.host.Root
		if f.at != "" {
			dir = f.host.dir(f.at, o.controller)
		}
		dirs[o.controller] = dir
	}
	o.dir = dir
	for i, name := range []string{o.file, o.with} {
		if dir == "" || name == "" {
			continue
		}
		fd, err := unix.Open(dir+"/"+name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return errors.Join(missing(&os.PathError{Op: "open", Path: dir + "/" + name, Err: err}), o.close())
		}
		o.fds[i], o.fresh = fd, true
	}
	return nil
}

func (o *opened) close() error {
	var faults []error
	for _, fd := range o.fds {
		if fd >= 0 {
			faults = append(faults, unix.Close(fd))
		}
	}
	o.fds = closed
	return errors.Join(faults...)
}

// dir is where controller's files of a v2 cgroup are, "" when v1 has no group
// that is the cgroup's alone.
func (h *Host) dir(at, controller string) string {
	mount, ok := h.V1[controller]
	if !ok {
		return h.V2 + at
	}
	group, own, err := h.v1Group(at, controller)
	if err != nil || !own {
		return ""
	}
	return mount + group
}

// missing turns what a file says that does not exist here into nil: PSI files
// are there but refuse when PSI is off.
func missing(err error) error {
	if gone(err) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	}
	return err
}

// Close closes the descriptors. Closing twice is harmless.
func (f *Files) Close() error {
	var faults []error
	for i := range f.files {
		faults = append(faults, f.files[i].close())
	}
	f.files = nil
	if f.net != nil {
		faults = append(faults, f.net.leave(f.host))
		f.net = nil
	}
	return errors.Join(faults...)
}

// putAll gives one value to every wanted field.
func (f *Files) putAll(o *opened, v uint64, dst []metric.Reading) ([]metric.Reading, error) {
	var fault error
	for i := range o.fields {
		if o.wanted[i] != nil {
			dst, fault = f.put(o, i, "", v, dst, fault)
		}
	}
	return dst, fault
}

// put uses a value of field i as the field says.
func (f *Files) put(o *opened, i int, disk string, v uint64, dst []metric.Reading, fault error) ([]metric.Reading, error) {
	field := &o.fields[i]
	hi, v := bits.Mul64(v, field.scale)
	if hi != 0 {
		return dst, fmt.Errorf("parse %s: %s is too large", o.path(), field.key)
	}
	r := metric.Reading{Family: o.wanted[i], Value: v}
	switch {
	case field.use == remember:
		f.current.set(v)
		return dst, fault
	case field.use == less:
		r.Value = f.current.now - min(v, f.current.now)
	case field.use == activity:
		f.usage.set(v)
	case field.use == pressed:
		f.met.set(v)
	case disk != "" && field.label == "discard" && v == 0:
		return dst, fault // few disks ever discard
	case disk != "":
		r.Labels = [2]string{disk, field.label}
	case field.label != "":
		r.Labels[0] = field.label
	}
	return append(dst, r), fault
}
