package policy

import (
	"fmt"
	"slices"

	"viperprobe.dev/viperprobe/internal/metric"
)

// The forms in which a question may be answered.
const (
	SumForm       = "sum"       // how much in all: a counter
	HistogramForm = "histogram" // the distribution
)

// InForm is what is wanted of the families that a word stands for, in a form; "" is as
// they are. The sum of a histogram is another family, which costs less: it is wanted in the
// histogram's place, whose ratio is then 0. Of a class, tier, default or all, histograms
// without a sum are not wanted either, and what has no distribution stays as it is; of a
// family's own name that is the error.
func InForm(form, word string, families []*metric.Family, ratio float64, catalogue []*metric.Family) ([]Want, error) {
	var out []Want
	for _, f := range families {
		is := f.Kind == metric.Histogram
		var err error
		switch form {
		case "":
			out = append(out, Want{Family: f.Name, Ratio: ratio})
		case SumForm:
			if !is {
				out = append(out, Want{Family: f.Name, Ratio: ratio})
				break
			}
			out = append(out, Want{Family: f.Name})
			out, err = appendSum(out, f, ratio, catalogue)
		case HistogramForm:
			if is {
				out = append(out, Want{Family: f.Name, Ratio: ratio})
				break
			}
			err = fmt.Errorf("%s has no distribution%s", f.Name, distributionOf(f, catalogue))
		default:
			return nil, fmt.Errorf("want %s or %s, have %q", SumForm, HistogramForm, form)
		}
		if err != nil && f.Is(word) {
			return nil, err
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("nothing of %s has the form %s", word, form)
	}
	return out, nil
}

func appendSum(out []Want, f *metric.Family, ratio float64, catalogue []*metric.Family) ([]Want, error) {
	if f.Sum == "" {
		return out, fmt.Errorf("%s is a histogram, and no family is its sum; remove the form", f.Name)
	}
	i := slices.IndexFunc(catalogue, func(o *metric.Family) bool { return o.Name == f.Sum })
	if i < 0 {
		return out, fmt.Errorf("%s, the sum of %s, is not in the catalogue", f.Sum, f.Name)
	}
	if err := CheckRatio(ratio, catalogue[i]); err != nil {
		return out, err
	}
	out = slices.DeleteFunc(out, func(w Want) bool { return w.Family == f.Sum })
	return append(out, Want{Family: f.Sum, Ratio: ratio}), nil
}

// distributionOf names what has the distribution of a counter.
func distributionOf(f *metric.Family, catalogue []*metric.Family) string {
	for _, o := range catalogue {
		if o.Sum == f.Name {
			return ": " + o.Name + " has that"
		}
	}
	return "; remove the form"
}
