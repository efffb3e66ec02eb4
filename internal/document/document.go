// Package document reads the documents that people write: one strict YAML
// mapping per file. It is the home of go.yaml.in/yaml.
//
// Strict means that nothing is guessed and nothing is dropped: unknown and
// duplicate keys, values of the wrong type, and anchors are faults, and all
// faults of a file are reported at once, each with its file, line and key.
package document

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// MaxBytes is the largest document that is read: a policy of a thousand rules
// has about 200 kB.
const MaxBytes = 1 << 20

// Options says how a document is read. The zero value is useful.
type Options struct {
	// Nearest finds the word closest to a misspelt one, "" when none is close;
	// nil gives faults without "did you mean".
	Nearest func(word string, words []string) string
}

// A Document remembers where each key of a file was written, so that what is
// wrong with a value can be said with its line. Read-only after parsing.
type Document struct {
	File  string
	lines map[string]int
}

// Line is the line of a key ("families", "families[2]", "rules[0].name"); 0 when
// the document does not have it.
func (d *Document) Line(key string) int { return d.lines[key] }

// Fault is a fault of the value of key, for checks that only the caller can make.
func (d *Document) Fault(key, what string) *Fault {
	return &Fault{File: d.File, Line: d.lines[key], Key: key, What: what}
}

// Read parses the file at path into the struct that into points to.
func Read(path string, into any, o Options) (*Document, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read document: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read document: %w", err)
	}
	return Parse(path, data, into, o)
}

// Parse decodes data, which file names, into the struct that into points to.
// Fields are those with a yaml tag; what the document does not mention keeps its
// value. Fields may be strings, booleans, numbers, time.Duration, anything that
// is an encoding.TextUnmarshaler, and slices, string maps, pointers and structs
// of these; a struct that is a TextUnmarshaler, too, may be written as a mapping or
// as one value, and a map of lists as a list of its keys, whose lists are nil then. The error joins Faults in the order of their lines; *into is then
// partly filled and of no use. A document without content is an empty mapping.
func Parse(file string, data []byte, into any, o Options) (*Document, error) {
	d := &decoder{Document: Document{File: file, lines: map[string]int{}}, options: o}
	root := d.parse(data)
	if root != nil {
		d.decode(root, reflect.ValueOf(into).Elem(), "")
	}
	if err := d.faults.join(); err != nil {
		return nil, err
	}
	return &d.Document, nil
}

// Word is the plain text at a path of keys in a document, and the line of its key;
// "" and 0 where there is none. It tells into which struct the document should be parsed.
func Word(data []byte, path ...string) (word string, line int) {
	var root yaml.Node
	if len(data) > MaxBytes || yaml.Unmarshal(data, &root) != nil || len(root.Content) == 0 {
		return "", 0
	}
	node := root.Content[0]
	for _, key := range path {
		at := -1
		for i := 0; node.Kind == yaml.MappingNode && at < 0 && i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == key {
				at = i
			}
		}
		if at < 0 {
			return "", 0
		}
		node, line = node.Content[at+1], node.Content[at].Line
	}
	if node.Kind != yaml.ScalarNode || node.ShortTag() != "!!str" {
		return "", 0
	}
	return node.Value, line
}

// Write is the text of a document, which Parse reads back into the same struct. Fields
// whose tag says omitempty are left out where they are zero.
func Write(v any) ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	err := errors.Join(e.Encode(v), e.Close())
	if err != nil {
		return nil, fmt.Errorf("write document: %w", err)
	}
	return b.Bytes(), nil
}

// parse gives the document's only node, nil when it is empty or not YAML.
func (d *decoder) parse(data []byte) *yaml.Node {
	if len(data) > MaxBytes {
		d.add(0, "", fmt.Sprintf("larger than %d bytes; is it the right file?", MaxBytes))
		return nil
	}
	reader := yaml.NewDecoder(bytes.NewReader(data))
	var root, more yaml.Node
	if err := reader.Decode(&root); err != nil {
		if !errors.Is(err, io.EOF) {
			d.addSyntax(err)
		}
		return nil
	}
	switch err := reader.Decode(&more); {
	case err == nil:
		d.add(more.Line, "", "a second document (---) in one file; put it into a file of its own")
		return nil
	case !errors.Is(err, io.EOF):
		d.addSyntax(err)
		return nil
	}
	node := root.Content[0]
	if node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null" {
		return nil
	}
	return node
}

// addSyntax turns the parser's "yaml: line 3: what" into a fault.
func (d *decoder) addSyntax(err error) {
	what := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0
	if rest, ok := strings.CutPrefix(what, "line "); ok {
		if number, text, ok := strings.Cut(rest, ": "); ok {
			if n, err := strconv.Atoi(number); err == nil {
				line, what = n, text
			}
		}
	}
	d.add(line, "", "not valid YAML: "+what)
}
