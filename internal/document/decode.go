package document

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

type decoder struct {
	Document
	options Options
	faults  faults
}

var (
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
	durationType = reflect.TypeFor[time.Duration]()
)

// decode puts node into v, which is settable.
func (d *decoder) decode(node *yaml.Node, v reflect.Value, key string) {
	if node.Kind == yaml.AliasNode || node.Anchor != "" {
		d.add(node.Line, key, "anchors and aliases (& and *) are not accepted; write the value out")
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		d.decode(node, v.Elem(), key)
		return
	}
	if v.Addr().Type().Implements(textType) && (node.Kind != yaml.MappingNode || !tagged(v.Type())) {
		d.decodeText(node, v, key)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.decodeStruct(node, v, key)
	case reflect.Map:
		d.decodeMap(node, v, key)
	case reflect.Slice:
		d.decodeList(node, v, key)
	default:
		d.decodeScalar(node, v, key)
	}
}

// tagged reports whether a type is a struct with keys.
func tagged(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && slices.ContainsFunc(reflect.VisibleFields(t), func(f reflect.StructField) bool { return f.Tag.Get("yaml") != "" })
}

func (d *decoder) decodeStruct(node *yaml.Node, v reflect.Value, key string) {
	if node.Kind != yaml.MappingNode {
		d.add(node.Line, key, "want a mapping (lines of key: value), have "+shape(node))
		return
	}
	fields := map[string]reflect.Value{}
	for i := range v.NumField() {
		if name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ","); name != "" {
			fields[name] = v.Field(i)
		}
	}
	d.pairs(node, key, func(name, path string, line int, value *yaml.Node) {
		if field, ok := fields[name]; ok {
			d.decode(value, field, path)
			return
		}
		d.add(line, path, "unknown key"+d.hint(name, slices.Sorted(maps.Keys(fields))))
	})
}

func (d *decoder) decodeMap(node *yaml.Node, v reflect.Value, key string) {
	want, lists := "a mapping (lines of key: value)", v.Type().Elem().Kind() == reflect.Slice
	if lists {
		want = "a list, such as [a, b], or " + want
	}
	switch {
	case node.Kind == yaml.SequenceNode && lists:
		d.decodeKeys(node, v, key)
		return
	case node.Kind != yaml.MappingNode:
		d.add(node.Line, key, fmt.Sprintf("want %s, have %s", want, shape(node)))
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	d.pairs(node, key, func(name, path string, _ int, value *yaml.Node) {
		item := reflect.New(v.Type().Elem()).Elem()
		d.decode(value, item, path)
		v.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), item)
	})
}

// decodeKeys puts a list of keys into a map of lists, each with no list of its own.
func (d *decoder) decodeKeys(node *yaml.Node, v reflect.Value, key string) {
	v.Set(reflect.MakeMap(v.Type()))
	for i, item := range node.Content {
		name := reflect.New(v.Type().Key()).Elem()
		faults := len(d.faults.kept) + d.faults.dropped
		d.decode(item, name, fmt.Sprintf("%s[%d]", key, i))
		if len(d.faults.kept)+d.faults.dropped > faults {
			continue
		}
		path := key + "." + name.String()
		if first, twice := d.lines[path]; twice {
			d.add(item.Line, path, fmt.Sprintf("given twice, first on line %d; remove one", first))
			continue
		}
		d.lines[path] = item.Line
		v.SetMapIndex(name, reflect.Zero(v.Type().Elem()))
	}
}

// pairs calls fn for each key of a mapping that is there for the first time.
func (d *decoder) pairs(node *yaml.Node, key string, fn func(name, path string, line int, value *yaml.Node)) {
	seen := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		k := node.Content[i]
		if k.Kind != yaml.ScalarNode || k.Anchor != "" || k.ShortTag() == "!!merge" {
			d.add(k.Line, key, "a key must be plain text")
			continue
		}
		path := k.Value
		if key != "" {
			path = key + "." + k.Value
		}
		if first, twice := seen[k.Value]; twice {
			d.add(k.Line, path, fmt.Sprintf("given twice, first on line %d; remove one", first))
			continue
		}
		seen[k.Value], d.lines[path] = k.Line, k.Line
		fn(k.Value, path, k.Line, node.Content[i+1])
	}
}

func (d *decoder) decodeList(node *yaml.Node, v reflect.Value, key string) {
	if node.Kind != yaml.SequenceNode {
		d.add(node.Line, key, "want a list, such as [a, b], have "+shape(node))
		return
	}
	list := reflect.MakeSlice(v.Type(), len(node.Content), len(node.Content))
	for i, item := range node.Content {
		path := fmt.Sprintf("%s[%d]", key, i)
		d.lines[path] = item.Line
		d.decode(item, list.Index(i), path)
	}
	v.Set(list)
}

func (d *decoder) decodeText(node *yaml.Node, v reflect.Value, key string) {
	if node.Kind != yaml.ScalarNode || node.ShortTag() == "!!null" {
		d.add(node.Line, key, "want one value, have "+shape(node))
		return
	}
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(node.Value)); err != nil {
		d.add(node.Line, key, err.Error())
	}
}

func (d *decoder) decodeScalar(node *yaml.Node, v reflect.Value, key string) {
	want := ""
	tag := node.ShortTag()
	switch {
	case v.Type() == durationType:
		span, err := time.ParseDuration(node.Value)
		if want = "a duration, such as 500ms or 5m"; node.Kind == yaml.ScalarNode && err == nil {
			v.SetInt(int64(span))
			return
		}
	case v.Kind() == reflect.String:
		if want = "text"; tag == "!!str" {
			v.SetString(node.Value)
			return
		} else if node.Kind == yaml.ScalarNode && tag != "!!null" {
			want = "text in quotes"
		}
	case v.Kind() == reflect.Bool:
		if want = "true or false"; tag == "!!bool" {
			v.SetBool(node.Value == "true" || node.Value == "True" || node.Value == "TRUE")
			return
		}
	case v.CanInt():
		n, err := strconv.ParseInt(node.Value, 10, v.Type().Bits())
		if want = "a whole number"; tag == "!!int" && err == nil {
			v.SetInt(n)
			return
		}
	case v.CanUint():
		n, err := strconv.ParseUint(node.Value, 10, v.Type().Bits())
		if want = "a whole number, 0 or more"; tag == "!!int" && err == nil {
			v.SetUint(n)
			return
		}
	case v.CanFloat():
		x, err := strconv.ParseFloat(node.Value, v.Type().Bits())
		if want = "a number"; (tag == "!!int" || tag == "!!float") && err == nil {
			v.SetFloat(x)
			return
		}
	default:
		panic("document: no way to read into a " + v.Type().String())
	}
	d.add(node.Line, key, fmt.Sprintf("want %s, have %s", want, shape(node)))
}

func (d *decoder) hint(word string, words []string) string {
	if d.options.Nearest == nil {
		return ""
	}
	if near := d.options.Nearest(word, words); near != "" {
		return fmt.Sprintf(", did you mean %q?", near)
	}
	return ""
}

// shape says in a person's words what a node is.
func shape(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch node.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!str":
		return strconv.Quote(clip(node.Value))
	}
	return clip(node.Value)
}

// clip keeps a message on one line of a terminal.
func clip(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "..."
	}
	return s
}
