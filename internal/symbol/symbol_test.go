package symbol

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"viperprobe.dev/viperprobe/internal/kerneltest"
)

func openFile(t testing.TB, path string) *File {
	t.Helper()
	r, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	f, err := Open(r)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestPlacesOfAKnownProgram(t *testing.T) {
	f, err := Open(bytes.NewReader(kerneltest.Calls()))
	if err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]uint64{"outer": 0x264, "inner": 0x279, "deep": 0x27d, "thrown": 0x287} {
		fn, err := f.Function(name)
		if err != nil || len(fn.Entries) != 1 || fn.Entries[0].At != at || fn.Go {
			t.Errorf("%s: %+v, %v; want it at %#x", name, fn, err, at)
		}
	}
	for name, at := range map[string]uint64{"begin": 0x237, "end": 0x23d} {
		places, err := f.USDT("calls", name)
		if err != nil || len(places) != 1 || places[0] != (Place{at, 0x1008}) {
			t.Errorf("%s: %+v, %v; want it at %#x, its semaphore at 0x1008", name, places, err, at)
		}
	}
	// "er" is the end of other names.
	for _, name := range []string{"er", "", "out", "no"} {
		if fn, err := f.Function(name); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %+v, %v; want it not found", name, fn, err)
		}
	}
	if _, err := f.USDT("call", "begin"); !errors.Is(err, ErrNotFound) {
		t.Errorf("another provider: %v", err)
	}
}

// Debian's programs export what the shipped patterns probe: their .symtab is gone.
func TestStrippedProgramExports(t *testing.T) {
	redis, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal(err, "; run make tools")
	}
	f := openFile(t, redis)
	for _, name := range []string{"call", "processCommand"} {
		if fn, err := f.Function(name); err != nil || len(fn.Entries) != 1 {
			t.Errorf("%s: %+v, %v", name, fn, err)
		}
	}
	if _, err := f.Function("noSuchFunction"); err == nil || !strings.Contains(err.Error(), "no .symtab") {
		t.Errorf("a function that is not there: %v, want advice", err)
	}
	if _, err := f.USDT("redis", "x"); err == nil || !strings.Contains(err.Error(), ".note.stapsdt") {
		t.Errorf("USDT of a program without: %v", err)
	}
}

const goProgram = `package main

import "os"

//go:noinline
func Twice(n int, deep bool) (int, bool) {
	var room [4096]byte
	if n > len(os.Args) {
		return n, deep
	}
	if deep {
		return Twice(n+int(room[n]), !deep)
	}
	return 2 * n, deep
}

//go:noinline
func Leaf(n int) int { return n + 1 }

func main() { n, _ := Twice(Leaf(len(os.Args)), true); os.Exit(n) }
`

// Each way of linking a Go program has its functions, their returns, and the place behind the
// question for stack.
func TestGoFunctions(t *testing.T) {
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte(goProgram), 0o644); err != nil {
		t.Fatal(err)
	}
	var first Function
	for _, flags := range []string{"", "-s -w"} {
		program := filepath.Join(dir, "program"+strings.ReplaceAll(flags, " ", ""))
		build := exec.Command("go", "build", "-ldflags", flags, "-o", program, source)
		build.Env = append(os.Environ(), "GOARCH=amd64", "GOFLAGS=", "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		f := openFile(t, program)
		if has := f.elf.Section(".symtab") != nil; has != (flags == "") {
			t.Fatalf("ldflags %q: a table of symbols: %v", flags, has)
		}
		fn, err := f.Function("main.Twice")
		if err != nil || !fn.Go || len(fn.Entries) != 1 || len(fn.Returns) < 2 || fn.Partly != nil {
			t.Fatalf("ldflags %q: %+v, %v; want a Go function with its returns", flags, fn, err)
		}
		spans, err := f.goFunctions("main.Twice")
		if err != nil || len(spans) != 1 {
			t.Fatalf("ldflags %q: Go's own table has %v, %v", flags, spans, err)
		}
		if start, _ := f.offset(spans[0].address, true); fn.Entries[0].At <= start || fn.Entries[0].At > start+32 {
			t.Errorf("ldflags %q: begins at %#x, the function at %#x: not behind the question for stack", flags, fn.Entries[0].At, start)
		}
		leaf, err := f.Function("main.Leaf")
		if err != nil || len(leaf.Returns) != 1 {
			t.Fatalf("ldflags %q: main.Leaf: %+v, %v", flags, leaf, err)
		}
		if flags == "" {
			first = fn
		} else if len(first.Returns) != len(fn.Returns) {
			t.Errorf("%d returns by symbol, %d by Go's own table", len(first.Returns), len(fn.Returns))
		}
	}
}

func TestBrokenFiles(t *testing.T) {
	good := kerneltest.Calls()
	for name, data := range map[string][]byte{"nothing": nil, "text": []byte("#!/bin/sh\n"), "a head": good[:64], "half": good[:len(good)/2]} {
		if f, err := Open(bytes.NewReader(data)); err == nil {
			if _, err = f.Function("outer"); err == nil {
				t.Errorf("%s: was read", name)
			}
		}
	}
}

func TestNotesStopAtBrokenOnes(t *testing.T) {
	le := binary.LittleEndian
	one := le.AppendUint32(le.AppendUint32(le.AppendUint32(nil, 8), 24+4), 3)
	one = append(append(append(one, "stapsdt\x00"...), make([]byte, 24)...), "a\x00bc"...)
	for _, tc := range []struct {
		data []byte
		want int
	}{{nil, 0}, {one, 0}, {append(one[:len(one):len(one)], one...), 0}} {
		if got := parseNotes(tc.data, le); len(got) != tc.want {
			t.Errorf("%x: %+v, want %d", tc.data, got, tc.want)
		}
	}
	whole := le.AppendUint32(le.AppendUint32(le.AppendUint32(nil, 8), 24+5), 3)
	whole = append(append(append(whole, "stapsdt\x00"...), make([]byte, 24)...), "a\x00b\x00\x00\x00\x00\x00"...)
	if got := parseNotes(append(whole, one[:20]...), le); len(got) != 1 || got[0].provider != "a" || got[0].name != "b" {
		t.Errorf("a note and a piece of one: %+v", got)
	}
}

// Whatever a file holds, it is read or refused.
func FuzzFile(f *testing.F) {
	f.Add(kerneltest.Calls())
	f.Add([]byte("\x7fELF"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Open(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, isGo := range []bool{false, true} {
			file.isGo = isGo
			_, _ = file.Function("outer")
		}
		_, _ = file.USDT("calls", "begin")
	})
}

func FuzzNotes(f *testing.F) {
	calls, err := elf.NewFile(bytes.NewReader(kerneltest.Calls()))
	if err != nil {
		f.Fatal(err)
	}
	notes, err := calls.Section(".note.stapsdt").Data()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(notes)
	f.Fuzz(func(t *testing.T, data []byte) {
		if n := len(parseNotes(data, binary.LittleEndian)); n > len(data)/36 {
			t.Errorf("%d notes in %d bytes", n, len(data))
		}
	})
}

func FuzzGoTable(f *testing.F) {
	f.Add([]byte("\xf1\xff\xff\xff\x00\x00\x01\x08"), "main.f")
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		if n := len(pclntab(data, binary.LittleEndian, 0, name)); n > maxPlaces {
			t.Errorf("%d functions", n)
		}
	})
}
