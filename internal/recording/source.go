package recording

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxFiles bounds the files of one folder.
const maxFiles = 10_000

// ReadFiles reads a CSV or Parquet file, or a folder of them, which are laid together
// in time: series of one name continue, others stand side by side. Every file is read
// before anything is laid, so all of it is in memory. Errors are Faults where a file is
// to blame.
func ReadFiles(path string, o Options) (*Recording, error) {
	files, err := list(path)
	if err != nil {
		return nil, err
	}
	b := &budget{Limits: o.Limits.withDefaults()}
	var size int64
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return nil, fmt.Errorf("read recording: %w", err)
		}
		if size += info.Size(); size > b.Bytes {
			return nil, &Fault{Source: file, What: fmt.Sprintf("larger than the %d bytes that are read of one recording; take fewer series, less time, or export with a longer --step", b.Bytes)}
		}
	}
	var tables []*table
	var faults []error
	for _, file := range files {
		t, err := readFile(file, b, newNamer(o.Families))
		if err != nil {
			faults = append(faults, err)
			continue
		}
		tables = append(tables, t)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return assemble(tables, o)
}

func list(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read recording: %w", err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("read recording: %w", err)
	}
	var files []string
	for _, e := range entries {
		if formatOf(e.Name()) != "" && !strings.HasPrefix(e.Name(), ".") {
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	slices.Sort(files)
	switch {
	case len(files) == 0:
		return nil, &Fault{Source: path, What: "no *.csv and no *.parquet in the folder"}
	case len(files) > maxFiles:
		return nil, &Fault{Source: path, What: fmt.Sprintf("%d files, at most %d are read", len(files), maxFiles)}
	}
	return files, nil
}

// formatOf is that of a file, by its name.
func formatOf(name string) string {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".csv":
		return "csv"
	case ".parquet":
		return "parquet"
	}
	return ""
}

func readFile(name string, b *budget, n namer) (*table, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read recording: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read recording: %w", err)
	}
	if mode := info.Mode(); !mode.IsRegular() && mode.Type()&fs.ModeNamedPipe == 0 && mode.Type()&fs.ModeCharDevice == 0 {
		return nil, &Fault{Source: name, What: "it is no file"}
	}
	if formatOf(name) == "parquet" {
		return readParquet(name, f, info.Size(), b, n)
	}
	return readCSV(name, f, b, n)
}
