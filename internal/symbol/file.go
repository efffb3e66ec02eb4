// Package symbol finds, in an ELF file, the places where application probes are put:
// functions by name, the returns of Go's, and USDT probes. Files may be anybody's: what
// is read is bounded, in pieces, and a broken file is an error.
package symbol

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
)

// Bounds of what is read of a file.
const (
	maxPlaces   = 64       // of one function or probe: duplicates, returns
	maxFunction = 1 << 20  // bytes of a Go function
	maxNotes    = 16 << 20 // bytes of USDT notes
	maxTable    = 1 << 30  // bytes of a table of names
	maxLines    = 64 << 20 // bytes of Go's own table of functions
	piece       = 64 << 10 // bytes read at once
)

// ErrNotFound says that a file has no such function or probe.
var ErrNotFound = errors.New("not found")

// A Place is an offset in the file. Semaphore is that of the counter which the file's
// owner asks before it passes there, 0 where there is none.
type Place struct{ At, Semaphore uint64 }

// A Function is where calls of it begin.
type Function struct {
	Entries []Place
	Go      bool    // a goroutine's: its returns are not caught by the kernel, see Returns
	Returns []Place // of Go functions
	Partly  error   // why Returns are not known
}

// A File is an ELF file. It is not safe for concurrent use.
type File struct {
	elf  *elf.File
	isGo bool
}

// Open reads the headers of a file, which stays the caller's.
func Open(r io.ReaderAt) (f *File, err error) {
	defer guard(&err)
	e, err := elf.NewFile(r)
	if err != nil {
		return nil, fmt.Errorf("read ELF file: %w", err)
	}
	if e.Type != elf.ET_EXEC && e.Type != elf.ET_DYN || e.Class != elf.ELFCLASS64 {
		return nil, errors.New("read ELF file: neither a program nor a library of 64 bits")
	}
	return &File{e, e.Section(".gopclntab") != nil || e.Section(".go.buildinfo") != nil || e.Section(".data.rel.ro.gopclntab") != nil}, nil
}

// guard makes an error of a panic: debug/elf is not made for hostile files.
func guard(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("read ELF file: broken: %v", p)
	}
}

// offset is where in the file the byte at an address comes from. code: it must be
// executable.
func (f *File) offset(address uint64, code bool) (uint64, bool) {
	for _, p := range f.elf.Progs {
		if p.Type == elf.PT_LOAD && address >= p.Vaddr && address-p.Vaddr < p.Filesz && (!code || p.Flags&elf.PF_X != 0) {
			return address - p.Vaddr + p.Off, true
		}
	}
	return 0, false
}

// Function finds a function by its full name, in the tables of symbols, else in Go's
// own. The error is ErrNotFound, or says what is wrong with the file.
func (f *File) Function(name string) (fn Function, err error) {
	defer guard(&err)
	found, err := f.symbols(name)
	if err == nil && len(found) == 0 && f.isGo {
		found, err = f.goFunctions(name)
	}
	if err != nil {
		return Function{}, err
	}
	fn.Go = f.isGo
	for _, s := range found {
		if err := f.add(&fn, s); err != nil {
			return Function{}, fmt.Errorf("function %s: %w", name, err)
		}
	}
	if len(fn.Entries) == 0 {
		return Function{}, fmt.Errorf("function %s: %w%s", name, ErrNotFound, f.stripped())
	}
	return fn, nil
}

// stripped says what a person can do about a function that is not there.
func (f *File) stripped() string {
	if f.elf.SectionByType(elf.SHT_SYMTAB) != nil {
		return ": the compiler may have inlined or renamed it"
	}
	return ": the file has no .symtab, only what it exports; use an exported function, a USDT probe, or a build that is not stripped"
}

func (f *File) add(fn *Function, s span) error {
	at, ok := f.offset(s.address, true)
	if !ok {
		return nil // a name for something elsewhere
	}
	if len(fn.Entries) == maxPlaces {
		return fmt.Errorf("more than %d of that name", maxPlaces)
	}
	if !f.isGo {
		fn.Entries = append(fn.Entries, Place{At: at})
		return nil
	}
	entry, returns, err := f.decode(s)
	if err != nil {
		fn.Partly = err
	}
	fn.Entries = append(fn.Entries, Place{At: at + entry})
	for _, r := range returns {
		if len(fn.Returns) == maxPlaces {
			fn.Partly = fmt.Errorf("more than %d returns", maxPlaces)
			break
		}
		fn.Returns = append(fn.Returns, Place{At: at + r})
	}
	if fn.Partly != nil {
		fn.Returns = nil
	}
	return nil
}
