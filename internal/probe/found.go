package probe

import (
	"bytes"
	"fmt"

	"github.com/cilium/ebpf"

	"viperprobe.dev/viperprobe/internal/metric"
)

// found are the values of a label that a hook group meets as it runs: names by number,
// of which 0 stands for whatever has none.
type found struct {
	numbers *ebpf.Map // by name
	given   *ebpf.Variable
	names   []string
}

// openFound finds the maps of the labels whose values are found at run time.
func (o *object) openFound() error {
	o.found = map[string]*found{}
	for f := range o.rungs {
		for _, l := range f.Labels {
			if l.Found == 0 || o.found[l.Name] != nil {
				continue
			}
			v := &found{numbers: o.coll.Maps[o.name+"_"+l.Name+"s"], given: o.coll.Variables["vp_"+l.Name+"s"], names: make([]string, l.Cells())}
			if v.numbers == nil || v.given == nil {
				return fmt.Errorf("object %s has no map %s_%ss, or no variable vp_%[2]ss: rebuild it with `make gen`", o.name, o.name, l.Name)
			}
			v.names[0] = "other"
			o.found[l.Name] = v
		}
	}
	return nil
}

// learn reads the names that were met since the last time.
func (o *object) learn() error {
	for label, v := range o.found {
		var given uint32
		if err := v.given.Get(&given); err != nil {
			return fmt.Errorf("read number of %ss in %s: %w", label, o.name, err)
		}
		if last := min(int(given), len(v.names)-1); v.names[last] != "" {
			continue
		}
		name, number, entries := make([]byte, v.numbers.KeySize()), uint32(0), v.numbers.Iterate()
		for entries.Next(&name, &number) {
			if int(number) < len(v.names) {
				text, _, _ := bytes.Cut(name, []byte{0})
				v.names[number] = string(text)
			}
		}
		if err := entries.Err(); err != nil {
			return fmt.Errorf("read names of %ss in %s: %w", label, o.name, err)
		}
	}
	return nil
}

// sparse reports whether most cells of a family never count anything, so that those that
// have not are of no interest: a label's values are found at run time, or two labels have
// many combinations.
func sparse(f *metric.Family) bool { return foundLabel(f) || labelCount(f) > 16 }

// foundLabel reports whether a family has a label whose values are found at run time.
func foundLabel(f *metric.Family) bool {
	for i := range f.Labels {
		if f.Labels[i].Found > 0 {
			return true
		}
	}
	return false
}

// labels are the label values of the i-th cell of a family: the last label moves
// fastest. It is not named while the number of one was not learnt.
func (o *object) labels(f *metric.Family, i int) (values [2]string, named bool) {
	named = true
	for n := len(f.Labels) - 1; n >= 0; n-- {
		v := f.Labels[n].Values
		if f.Labels[n].Found > 0 {
			v = o.found[f.Labels[n].Name].names
		}
		values[n] = v[i%len(v)]
		named = named && values[n] != ""
		i /= len(v)
	}
	return values, named
}

// unmet reports whether a cell of a sparse family has counted nothing.
func (o *object) unmet(f *metric.Family, slot uint32, label int) bool {
	if f.Kind != metric.Histogram {
		return o.value(f, slot, label) == 0
	}
	for _, n := range o.hists[f].cell(slot, label, 0) {
		if n != 0 {
			return false
		}
	}
	return true
}
