package symbol

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/arch/x86/x86asm"
)

// decode finds where a call of a Go function is under way for good, and where it returns, as
// offsets from its start. A function begins by asking whether its stack has room; where
// it has not, the function is begun anew after the stack was moved: a probe at its first
// byte would count such a call twice.
func (f *File) decode(s span) (entry uint64, returns []uint64, err error) {
	if f.elf.Machine != elf.EM_X86_64 {
		return 0, nil, fmt.Errorf("latency of Go functions is not built for %v", f.elf.Machine)
	}
	at, ok := f.offset(s.address, true)
	if !ok || s.size == 0 || s.size > maxFunction {
		return 0, nil, fmt.Errorf("%d bytes of code cannot be decoded", s.size)
	}
	code := make([]byte, s.size)
	if err := f.read(code, s.address, at); err != nil {
		return 0, nil, err
	}
	asked := false // for room: CMP x, 16(R14), a branch away follows
	for n, i := uint64(0), 0; n < s.size; i++ {
		x, err := x86asm.Decode(code[n:], 64)
		if err != nil {
			return entry, nil, fmt.Errorf("find its returns: instruction at +%#x: %w", n, err)
		}
		next := n + uint64(x.Len)
		switch {
		case x.Op == x86asm.RET:
			returns = append(returns, n)
		case x.Op == x86asm.CMP && i < prologue && stackGuard(x):
			asked = true
		case x.Op == x86asm.JBE && asked:
			entry, asked = next, false
		}
		n = next
	}
	return entry, returns, nil
}

// prologue is how many instructions may lie before the question for room has been asked.
const prologue = 6

// stackGuard tells a comparison with g.stackguard0, at 16(R14).
func stackGuard(x x86asm.Inst) bool {
	for _, a := range x.Args {
		if m, ok := a.(x86asm.Mem); ok && m.Base == x86asm.R14 && m.Disp == 16 && m.Index == 0 {
			return true
		}
	}
	return false
}

// read reads the code at an address.
func (f *File) read(code []byte, address, at uint64) error {
	for _, p := range f.elf.Progs {
		if p.Type == elf.PT_LOAD && p.Off <= at && at-p.Off+uint64(len(code)) <= p.Filesz {
			if _, err := p.ReadAt(code, int64(at-p.Off)); err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("read code at %#x: %w", address, err)
			}
			return nil
		}
	}
	return fmt.Errorf("code at %#x ends outside of the file", address)
}

// goFunctions finds functions in Go's own table, which stays when a program is stripped
// (runtime/symtab.go: pcHeader, of Go 1.20 and later).
func (f *File) goFunctions(name string) ([]span, error) {
	section := f.elf.Section(".gopclntab")
	if section == nil {
		section = f.elf.Section(".data.rel.ro.gopclntab")
	}
	if section == nil || section.FileSize > maxLines {
		return nil, nil
	}
	data, err := section.Data()
	if err != nil {
		return nil, fmt.Errorf("read Go's table of functions: %w", err)
	}
	text := f.elf.Section(".text")
	if text == nil {
		return nil, nil
	}
	return pclntab(data, f.elf.ByteOrder, text.Addr, name), nil
}

// pclntab finds functions of a name in a table; what is broken is not found.
func pclntab(data []byte, order binary.ByteOrder, text uint64, name string) (found []span) {
	const magic, header, entry = 0xfffffff1, 8 + 8*8, 8
	if len(data) < header || order.Uint32(data) != magic || data[7] != 8 {
		return nil
	}
	word := func(i int) uint64 { return order.Uint64(data[8+8*i:]) }
	count, names, functions := word(0), word(3), word(7)
	size := uint64(len(data))
	if start := word(2); start != 0 { // Go 1.26 and later leave it out
		text = start
	}
	if names >= size || functions >= size || count > (size-functions)/entry {
		return nil
	}
	table := data[functions:]
	for i := range count {
		from, info := uint64(order.Uint32(table[i*entry:])), uint64(order.Uint32(table[i*entry+4:]))
		if info+8 > uint64(len(table)) {
			return found
		}
		at := names + uint64(order.Uint32(table[info+4:]))
		end := at + uint64(len(name))
		if end >= size || data[end] != 0 || string(data[at:end]) != name {
			continue
		}
		to := from
		if next := (i + 1) * entry; next+4 <= uint64(len(table)) {
			to = uint64(order.Uint32(table[next:]))
		}
		if to > from && len(found) < maxPlaces {
			found = append(found, span{text + from, to - from})
		}
	}
	return found
}
