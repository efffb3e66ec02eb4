package cgroup

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// unpack writes the files of testdata/NAME.txt below a new directory and returns
// it. A file begins with a line "-- path --", a symbolic link is such a line with
// "path -> target", a path that ends in / is a directory.
func unpack(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	extend(t, root, string(b))
	return root
}

// extend adds files to a tree in the same form.
func extend(t *testing.T, root, text string) {
	t.Helper()
	at, content := "", ""
	flush := func() {
		if at == "" {
			return
		}
		link, target, isLink := strings.Cut(at, " -> ")
		full := filepath.Join(root, link)
		err := os.MkdirAll(filepath.Dir(full), 0o755)
		switch {
		case err != nil:
		case isLink:
			err = os.Symlink(target, full)
		case strings.HasSuffix(at, "/"):
			err = os.MkdirAll(full, 0o755)
		default:
			err = os.WriteFile(full, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "-- "); ok && strings.HasSuffix(rest, " --\n") {
			flush()
			at, content = strings.TrimSuffix(rest, " --\n"), ""
			continue
		}
		content += line
	}
	flush()
}

func find(t testing.TB, root string) *Host {
	t.Helper()
	h, err := Find(root)
	if err != nil {
		t.Fatal(err)
	}
	return h
}
