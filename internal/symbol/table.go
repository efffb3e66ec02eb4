package symbol

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// A span is a function's addresses.
type span struct{ address, size uint64 }

// symbols finds the functions of a name in the tables of symbols, each address once.
func (f *File) symbols(name string) ([]span, error) {
	var found []span
	for _, table := range f.elf.Sections {
		if table.Type != elf.SHT_SYMTAB && table.Type != elf.SHT_DYNSYM {
			continue
		}
		if int(table.Link) >= len(f.elf.Sections) {
			return nil, errors.New("read ELF file: symbols without names")
		}
		names, err := occurrences(f.elf.Sections[table.Link], name)
		if err != nil {
			return nil, err
		}
		if len(names) == 0 {
			continue
		}
		if found, err = f.functions(table, names, found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// occurrences are the offsets in a table of names at which name stands, be it as the end
// of a longer one: linkers share endings.
func occurrences(table *elf.Section, name string) (map[uint32]bool, error) {
	if table.Type != elf.SHT_STRTAB || table.FileSize > maxTable {
		return nil, fmt.Errorf("read ELF file: %d bytes are no table of names", table.FileSize)
	}
	want := append([]byte(name), 0)
	found := map[uint32]bool{}
	err := pieces(table, len(want)-1, func(at int64, b []byte) {
		for i := 0; ; i++ {
			n := bytes.Index(b[i:], want)
			if n < 0 || len(found) >= maxPlaces {
				return
			}
			i += n
			found[uint32(at)+uint32(i)] = true
		}
	})
	return found, err
}

// pieces reads a section piece by piece, each beginning with the last bytes of the one
// before.
func pieces(s *elf.Section, overlap int, do func(at int64, b []byte)) error {
	r := s.Open()
	buf, kept := make([]byte, overlap+piece), 0
	for at := int64(0); ; {
		n, err := io.ReadFull(r, buf[kept:])
		b := buf[:kept+n]
		do(at, b)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read ELF file: %w", err)
		}
		at += int64(len(b) - overlap)
		kept = copy(buf, b[len(b)-overlap:])
	}
}

// functions appends those of a table whose name is one of names. An Elf64_Sym is name,
// info, other, section, address, size.
func (f *File) functions(table *elf.Section, names map[uint32]bool, found []span) ([]span, error) {
	const entry = 24
	r := table.Open()
	buf := make([]byte, piece/entry*entry)
	for {
		n, err := io.ReadFull(r, buf)
		for b := buf[:n/entry*entry]; len(b) > 0; b = b[entry:] {
			order := f.elf.ByteOrder
			if !names[order.Uint32(b)] || elf.ST_TYPE(b[4]) != elf.STT_FUNC || elf.SectionIndex(order.Uint16(b[6:])) == elf.SHN_UNDEF {
				continue
			}
			s := span{order.Uint64(b[8:]), order.Uint64(b[16:])}
			if !slices.ContainsFunc(found, func(o span) bool { return o.address == s.address }) {
				found = append(found, s)
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return found, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read ELF file: %w", err)
		}
	}
}

// A note of .note.stapsdt: see parseNotes.
type note struct {
	provider, name      string
	pc, base, semaphore uint64
}

// USDT finds the places of a probe: inlining copies them.
func (f *File) USDT(provider, name string) (places []Place, err error) {
	defer guard(&err)
	section := f.elf.Section(".note.stapsdt")
	if section == nil {
		return nil, fmt.Errorf("USDT probe %s:%s: %w: the file has none (.note.stapsdt); was it built with them?", provider, name, ErrNotFound)
	}
	if section.FileSize > maxNotes {
		return nil, fmt.Errorf("read ELF file: %d bytes of USDT notes", section.FileSize)
	}
	data, err := section.Data()
	if err != nil {
		return nil, fmt.Errorf("read ELF file: %w", err)
	}
	var base uint64
	if s := f.elf.Section(".stapsdt.base"); s != nil {
		base = s.Addr
	}
	for _, n := range parseNotes(data, f.elf.ByteOrder) {
		if n.provider != provider || n.name != name {
			continue
		}
		if base != 0 && n.base != 0 { // the file was moved (prelink) after its notes were written
			n.pc += base - n.base
			if n.semaphore != 0 {
				n.semaphore += base - n.base
			}
		}
		p := Place{}
		var ok bool
		if p.At, ok = f.offset(n.pc, true); !ok {
			return nil, fmt.Errorf("USDT probe %s:%s: its place %#x is outside of the code", provider, name, n.pc)
		}
		if n.semaphore != 0 {
			if p.Semaphore, ok = f.offset(n.semaphore, false); !ok {
				return nil, fmt.Errorf("USDT probe %s:%s: its semaphore %#x is outside of the file", provider, name, n.semaphore)
			}
		}
		if places = append(places, p); len(places) > maxPlaces {
			return nil, fmt.Errorf("USDT probe %s:%s: more than %d places", provider, name, maxPlaces)
		}
	}
	if len(places) == 0 {
		return nil, fmt.Errorf("USDT probe %s:%s: %w", provider, name, ErrNotFound)
	}
	return places, nil
}

// parseNotes reads notes "stapsdt" of type 3: place, base and semaphore, 8 bytes each,
// then provider, name and arguments as text. It stops at the first that is broken.
// (sys/sdt.h of SystemTap.)
func parseNotes(data []byte, order binary.ByteOrder) (notes []note) {
	const owner, kind, head = "stapsdt\x00", 3, 12
	for len(data) >= head {
		nameSize, size, is := uint64(order.Uint32(data)), uint64(order.Uint32(data[4:])), order.Uint32(data[8:])
		data = data[head:]
		padded, all := (nameSize+3)&^3, (size+3)&^3
		if padded > uint64(len(data)) || size > uint64(len(data))-padded {
			return notes
		}
		name, text := data[:nameSize], data[padded:padded+size]
		data = data[min(padded+all, uint64(len(data))):]
		if string(name) != owner || is != kind || len(text) < 24 {
			continue
		}
		words := bytes.SplitN(text[24:], []byte{0}, 3)
		if len(words) < 3 {
			continue
		}
		notes = append(notes, note{string(words[0]), string(words[1]), order.Uint64(text), order.Uint64(text[8:]), order.Uint64(text[16:])})
	}
	return notes
}
