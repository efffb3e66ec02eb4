package control

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"viperprobe.dev/viperprobe/internal/document"
	"viperprobe.dev/viperprobe/internal/policy"
)

// maxFiles bounds the documents of one node.
const maxFiles = 1000

// list is the documents at some paths: files as they are, of folders the *.yaml and
// *.yml in them.
func list(paths []string) ([]string, error) {
	var out []string
	var faults []error
	for _, path := range paths {
		info, err := os.Stat(path)
		if err == nil && !info.IsDir() {
			out = append(out, path)
			continue
		}
		var entries []fs.DirEntry
		if err == nil {
			entries, err = os.ReadDir(path)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("read policies: %w", err))
		}
		for _, e := range entries {
			name := filepath.Join(path, e.Name())
			if ext := filepath.Ext(name); strings.HasPrefix(e.Name(), ".") || ext != ".yaml" && ext != ".yml" {
				continue
			}
			out = append(out, name)
		}
	}
	slices.Sort(out)
	if out = slices.Compact(out); len(out) > maxFiles {
		faults = append(faults, fmt.Errorf("read policies: %d files, at most %d are read; put several targets into one selector", len(out), maxFiles))
	}
	return out, errors.Join(faults...)
}

// fingerprint differs when a document has been written, has come or gone.
func fingerprint(paths []string) (string, error) {
	names, err := list(paths)
	var b strings.Builder
	for _, name := range names {
		fmt.Fprint(&b, name)
		if info, err := os.Stat(name); err == nil {
			fmt.Fprint(&b, " ", info.Size(), info.ModTime().UnixNano())
			if s, ok := info.Sys().(*syscall.Stat_t); ok {
				fmt.Fprint(&b, " ", s.Ino)
			}
		}
		b.WriteByte('\n')
	}
	if err != nil {
		b.WriteString(err.Error())
	}
	return b.String(), err
}

// Read reads the documents of files and folders.
func Read(paths []string) ([]policy.File, error) {
	files, _, err := read(paths)
	return files, err
}

// read gives the fingerprint from before it read, so that what is written meanwhile
// is read again.
func read(paths []string) (files []policy.File, print string, err error) {
	if print, err = fingerprint(paths); err != nil {
		return nil, print, err
	}
	names, err := list(paths)
	faults := []error{err}
	for _, name := range names {
		data, err := readFile(name)
		if err != nil {
			faults = append(faults, fmt.Errorf("read policies: %w", err))
			continue
		}
		files = append(files, policy.File{Name: name, Data: data})
	}
	return files, print, errors.Join(faults...)
}

func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no file", name)
	case info.Size() > document.MaxBytes:
		return nil, fmt.Errorf("%s has %d bytes, at most %d are read; is it the right file?", name, info.Size(), document.MaxBytes)
	}
	return os.ReadFile(name)
}
