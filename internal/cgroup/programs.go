package cgroup

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Bounds of a look for programs.
const (
	maxLooked   = 4096     // processes of a cgroup
	maxPrograms = 64       // different executables of a cgroup
	maxAlike    = 3        // processes of one executable that are looked at
	maxMaps     = 4 << 20  // bytes of a process's mappings
	maxLibrary  = 1024     // files of a process
	maxFilePath = 4096 + 1 // letters of a path
)

// A Program is a file whose code a process runs.
type Program struct {
	Path       string // in the process's own mount namespace
	Executable bool   // the process's program itself, not a library of it
	open       []string
}

// Open opens the very file that the process runs, whatever lies at its path by now. It may
// wait for as long as the file's own file system makes it.
func (p *Program) Open() (f *os.File, err error) {
	for _, path := range p.open {
		if f, err = os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0); err == nil {
			return f, nil
		}
	}
	return nil, err
}

// Programs finds the files whose code processes of a v2 cgroup run, each once for each
// executable. Processes that are still their runtime's are left out.
func (h *Host) Programs(at string) []Program {
	members, err := readHead(h.V2+filepath.Join(at, "cgroup.procs"), maxLooked*8)
	if err != nil {
		return nil
	}
	var out []Program
	looked := map[fileID]int{}
	for n, pid := range strings.Fields(string(members)) {
		dir := filepath.Join(h.Proc, pid)
		var st unix.Stat_t
		if unix.Stat(filepath.Join(dir, "exe"), &st) != nil || n >= maxLooked {
			continue // a thread of the kernel, or gone
		}
		exe := fileID{st.Dev, st.Ino}
		if looked[exe] >= maxAlike || looked[exe] == 0 && len(looked) >= maxPrograms {
			continue
		}
		if command, err := readHead(filepath.Join(dir, "comm"), 64); err != nil || ofRuntime(strings.TrimSuffix(string(command), "\n")) {
			continue
		}
		looked[exe]++
		out = append(out, programs(dir)...)
	}
	return out
}

type fileID struct{ device, inode uint64 }

// programs are those of the process whose directory dir is.
func programs(dir string) []Program {
	f, err := os.Open(filepath.Join(dir, "maps"))
	if err != nil {
		return nil
	}
	defer f.Close()
	name, err := os.Readlink(filepath.Join(dir, "exe"))
	if err != nil {
		return nil
	}
	out := []Program{{Path: strings.TrimSuffix(name, " (deleted)"), Executable: true, open: []string{filepath.Join(dir, "exe")}}}
	for _, m := range parseMaps(io.LimitReader(f, maxMaps)) {
		if m.path == out[0].Path || len(out) == maxLibrary {
			continue
		}
		out = append(out, Program{Path: m.path, open: []string{filepath.Join(dir, "map_files", m.addresses), filepath.Join(dir, "root", m.path)}})
	}
	return out
}

type mapping struct{ addresses, path string }

// parseMaps reads the files that are mapped as code in /proc/PID/maps, each once.
func parseMaps(r io.Reader) (out []mapping) {
	seen := map[string]bool{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxFilePath+256)
	for lines.Scan() {
		const addresses, rights, inode, path = 0, 1, 4, 5
		fields := bytes.Fields(lines.Bytes())
		if len(fields) <= path || !bytes.Contains(fields[rights], []byte("x")) || string(fields[inode]) == "0" {
			continue
		}
		at := bytes.IndexByte(lines.Bytes(), '/')
		if at < 0 {
			continue
		}
		name := strings.TrimSuffix(string(lines.Bytes()[at:]), " (deleted)")
		name = strings.ReplaceAll(name, `\012`, "\n") // the only letter that the kernel escapes here
		if !seen[name] {
			seen[name] = true
			out = append(out, mapping{mapName(string(fields[addresses])), name})
		}
	}
	return out
}

// mapName is a mapping's name in map_files, where addresses have no leading zeros.
func mapName(addresses string) string {
	from, to, _ := strings.Cut(addresses, "-")
	a, err := strconv.ParseUint(from, 16, 64)
	b, other := strconv.ParseUint(to, 16, 64)
	if err != nil || other != nil {
		return addresses
	}
	return strconv.FormatUint(a, 16) + "-" + strconv.FormatUint(b, 16)
}
