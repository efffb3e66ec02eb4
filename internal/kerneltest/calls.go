package kerneltest

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
)

// callsCode is the machine code of calls.s (testdata, made by clang and objcopy -O binary).
const callsCode = "" +
	"31c031ffbe00006000ba080000000f0583f8087546488b1c25000060004885db" +
	"7421e83d000000e85b00000066833c250800600000740790e83c0000009048ff" +
	"cbebdab801000000bf01000000be00006000ba080000000f05eba5b83c000000" +
	"31ff0f05554889e5e80c000000b903000000e8060000005dc331c090c3ffc974" +
	"05e8f7ffffffc3904883c408eb9e"

// Where the program has its parts, in memory and in the file.
const (
	callsText, callsTextAt = 0x400200, 0x200
	callsData, callsDataAt = 0x600000, 0x1000
	callsSemaphore         = 8 // in the data
)

// Calls is a program of amd64 that needs nothing but a kernel, as a file to execute. It
// reads numbers of 8 bytes from its input; for each n it makes n turns and then writes
// it back. A turn calls outer, which calls inner, then deep, which calls itself twice
// more; then thrown, which is left without a return; and, where somebody holds the
// semaphore, passes the USDT probes calls:begin and calls:end with a call of inner
// between them.
func Calls() []byte {
	code, err := hex.DecodeString(callsCode)
	if err != nil {
		panic(err) // the constant above is broken
	}
	le := binary.LittleEndian
	file := make([]byte, callsDataAt+16)
	copy(file[callsTextAt:], code)

	names, symbols := []byte{0}, make([]byte, 24)
	for _, s := range []struct {
		name         string
		offset, size uint64
	}{{"outer", 0x64, 0x15}, {"inner", 0x79, 4}, {"deep", 0x7d, 10}, {"thrown", 0x87, 7}} {
		const function, text = 2, 1
		symbols = le.AppendUint32(symbols, uint32(len(names)))
		symbols = le.AppendUint16(symbols, function)
		symbols = le.AppendUint16(symbols, text)
		symbols = le.AppendUint64(le.AppendUint64(symbols, callsText+s.offset), s.size)
		names = append(append(names, s.name...), 0)
	}
	var notes []byte
	for name, offset := range map[string]uint64{"begin": 0x37, "end": 0x3d} {
		text := "calls\x00" + name + "\x00\x00"
		notes = le.AppendUint32(le.AppendUint32(le.AppendUint32(notes, 8), uint32(24+len(text))), 3)
		notes = append(notes, "stapsdt\x00"...)
		notes = le.AppendUint64(le.AppendUint64(le.AppendUint64(notes, callsText+offset), 0), callsData+callsSemaphore)
		notes = append(notes, text...)
		notes = append(notes, make([]byte, -len(text)&3)...)
	}
	sections := []section{
		{},
		{name: ".text", kind: 1, flags: 6, address: callsText, offset: callsTextAt, size: uint64(len(code))},
		{name: ".data", kind: 1, flags: 3, address: callsData, offset: callsDataAt, size: 16},
		{name: ".note.stapsdt", kind: 7, content: notes},
		{name: ".symtab", kind: 2, link: 5, entry: 24, content: symbols},
		{name: ".strtab", kind: 3, content: names},
		{name: ".shstrtab", kind: 3},
	}
	return link(file, sections, uint64(len(code)))
}

type section struct {
	name                          string
	kind, link                    uint32
	flags, address, offset, entry uint64
	size                          uint64
	content                       []byte
}

// link appends the contents and headers of sections to a file, and writes its head.
func link(file []byte, sections []section, code uint64) []byte {
	le := binary.LittleEndian
	titles := &sections[len(sections)-1]
	for _, s := range sections {
		titles.content = append(append(titles.content, s.name...), 0)
	}
	for i := range sections {
		if s := &sections[i]; s.content != nil {
			file = append(file, make([]byte, -len(file)&7)...)
			s.offset, s.size = uint64(len(file)), uint64(len(s.content))
			file = append(file, s.content...)
		}
	}
	file = append(file, make([]byte, -len(file)&7)...)
	headers := uint64(len(file))
	for _, s := range sections {
		file = le.AppendUint32(file, uint32(bytes.Index(titles.content, append([]byte(s.name), 0))))
		file = le.AppendUint32(file, s.kind)
		for _, v := range []uint64{s.flags, s.address, s.offset, s.size} {
			file = le.AppendUint64(file, v)
		}
		file = le.AppendUint32(le.AppendUint32(file, s.link), 0)
		file = le.AppendUint64(le.AppendUint64(file, 8), s.entry)
	}
	head := []byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	const program, amd64, headSize, segmentSize, sectionSize = 2, 62, 64, 56, 64
	head = le.AppendUint32(le.AppendUint16(le.AppendUint16(head, program), amd64), 1)
	head = le.AppendUint64(le.AppendUint64(le.AppendUint64(head, callsText), headSize), headers)
	head = le.AppendUint16(le.AppendUint16(le.AppendUint32(head, 0), headSize), segmentSize)
	head = le.AppendUint16(le.AppendUint16(head, 2), sectionSize)
	head = le.AppendUint16(le.AppendUint16(head, uint16(len(sections))), uint16(len(sections)-1))
	const load, readExecute, readWrite, page = 1, 5, 6, 0x1000
	for _, s := range []struct {
		flags                 uint32
		offset, address, size uint64
	}{{readExecute, 0, callsText - callsTextAt, callsTextAt + code}, {readWrite, callsDataAt, callsData, 16}} {
		head = le.AppendUint32(le.AppendUint32(head, load), s.flags)
		for _, v := range []uint64{s.offset, s.address, s.address, s.size, s.size, page} {
			head = le.AppendUint64(head, v)
		}
	}
	copy(file, head)
	return file
}
