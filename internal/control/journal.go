package control

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Bounds of what is recorded.
const (
	maxRecent  = 1000    // changes in memory
	maxJournal = 1 << 20 // bytes of a file; then it becomes the old one, FILE.1
	maxLine    = 64 << 10
)

// A journal records changes: JSON lines in a file, the last of them in memory. It is
// not safe for concurrent use.
type journal struct {
	path    string
	file    *os.File // nil: in memory only
	size    int64
	limit   int64
	last    int64 // id
	recent  []Change
	dropped uint64
}

// openJournal opens or makes the file at path and reads what is in it.
func openJournal(path string) (*journal, error) {
	j := &journal{path: path, limit: maxJournal}
	for _, name := range []string{path + ".1", path} {
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = errors.Join(j.load(f), f.Close())
		}
		if err != nil {
			return nil, fmt.Errorf("read recorded changes: %w", err)
		}
	}
	return j, j.open()
}

func (j *journal) open() (err error) {
	if j.file, err = os.OpenFile(j.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640); err != nil {
		return fmt.Errorf("open record of changes: %w", err)
	}
	info, err := j.file.Stat()
	if err != nil {
		return fmt.Errorf("open record of changes: %w", err)
	}
	j.size = info.Size()
	return nil
}

// load reads lines; one that was not written to its end is passed over.
func (j *journal) load(r io.Reader) error {
	lines := bufio.NewScanner(io.LimitReader(r, 4*maxJournal))
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var x Change
		if json.Unmarshal(lines.Bytes(), &x) == nil && x.ID > 0 {
			j.last = max(j.last, x.ID)
			j.keep(x)
		}
	}
	return lines.Err()
}

func (j *journal) keep(x Change) {
	if len(j.recent) == maxRecent {
		j.recent = append([]Change(nil), j.recent[1:]...)
		j.dropped++
	}
	j.recent = append(j.recent, x)
}

// add gives x an id and records it.
func (j *journal) add(x *Change) error {
	x.ID = j.last + 1
	if j.file != nil {
		line, err := json.Marshal(x)
		if err != nil {
			return err
		}
		if line = append(line, '\n'); j.size+int64(len(line)) > j.limit {
			if err := j.turn(); err != nil {
				return err
			}
		}
		n, err := j.file.Write(line)
		j.size += int64(n)
		if err != nil {
			return err
		}
	}
	j.last = x.ID
	j.keep(*x)
	return nil
}

// turn begins a new file; the one before is kept.
func (j *journal) turn() error {
	if err := errors.Join(j.file.Close(), os.Rename(j.path, j.path+".1")); err != nil {
		return errors.Join(err, j.open())
	}
	return j.open()
}

func (j *journal) close() error {
	if j.file == nil {
		return nil
	}
	return j.file.Close()
}
