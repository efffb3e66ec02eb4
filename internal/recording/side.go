package recording

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"viperprobe.dev/viperprobe/internal/analysis"
	"viperprobe.dev/viperprobe/internal/metric"
)

// maxSideFile bounds the files that are read beside a recording.
const maxSideFile = 16 << 20

// ReadCosts reads what families cost per container from a file: CSV with the header
// family,cost, or what `viperprobe cost -o json` prints, whose share of the CPU is
// spread over the containers that a family is measured of. unit says what they are in;
// it is empty for CSV, which does not tell.
func ReadCosts(file string) (costs map[string]float64, unit string, err error) {
	data, err := readSide(file)
	if err != nil {
		return nil, "", err
	}
	if text := strings.TrimSpace(string(data)); strings.HasPrefix(text, "{") {
		costs, err = costsOfJSON(file, data)
		return costs, BillUnit, err
	}
	costs = map[string]float64{}
	err = pairs(file, data, "family", "cost", func(line int, family, cost string) error {
		x, err := strconv.ParseFloat(strings.TrimSpace(cost), 64)
		if err != nil || !(x >= 0) || x > 1e300 {
			return &Fault{file, line, "cost", fmt.Sprintf("want a number, 0 or more, have %q", clip(cost))}
		}
		if _, twice := costs[family]; twice {
			return &Fault{file, line, "family", fmt.Sprintf("%s is there twice", clip(family))}
		}
		costs[family] = x
		return nil
	})
	return costs, "", err
}

func costsOfJSON(file string, data []byte) (map[string]float64, error) {
	var bill metric.Bill
	if err := json.Unmarshal(data, &bill); err != nil {
		return nil, &Fault{Source: file, What: fmt.Sprintf("want what `viperprobe cost -o json` prints: %v", err)}
	}
	costs := CostsOf(&bill)
	if len(costs) == 0 {
		return nil, &Fault{Source: file, What: "it has the cost of no family; want what `viperprobe cost -o json` prints, or CSV with the header family,cost"}
	}
	return costs, nil
}

// BillUnit is what the costs of a bill are in.
const BillUnit = "% of a core"

// CostsOf is what families cost per container, in percent of a CPU, by a bill. A family
// that was not measured when it was made has no cost there: it is unknown, not free.
func CostsOf(b *metric.Bill) map[string]float64 {
	costs := map[string]float64{}
	for _, f := range b.Families {
		if f.Family != "" && f.CPUPercent >= 0 && (f.Series > 0 || f.CPUPercent > 0) {
			costs[f.Family] = f.CPUPercent / float64(max(1, len(f.Containers)))
		}
	}
	return costs
}

// ReadCalls reads which service calls which: CSV with the header caller,callee.
func ReadCalls(file string) (calls []analysis.Call, err error) {
	data, err := readSide(file)
	if err != nil {
		return nil, err
	}
	err = pairs(file, data, "caller", "callee", func(line int, caller, callee string) error {
		if caller == "" || callee == "" {
			return &Fault{Source: file, Line: line, What: "want two services"}
		}
		calls = append(calls, analysis.Call{Caller: caller, Callee: callee})
		return nil
	})
	return calls, err
}

// pairs reads CSV of two columns.
func pairs(file string, data []byte, first, second string, do func(line int, a, b string) error) error {
	in := csv.NewReader(strings.NewReader(string(data)))
	header, err := in.Read()
	if err != nil || len(header) != 2 || strings.TrimSpace(header[0]) != first || strings.TrimSpace(header[1]) != second {
		return &Fault{Source: file, Line: 1, What: fmt.Sprintf("want CSV with the header %s,%s", first, second)}
	}
	for n := 0; ; n++ {
		cells, err := in.Read()
		if errors.Is(err, io.EOF) {
			if n == 0 {
				return &Fault{Source: file, What: "it has a header and no rows"}
			}
			return nil
		}
		if err != nil {
			return syntax(file, in, err)
		}
		line, _ := in.FieldPos(0)
		if err := do(line, strings.TrimSpace(cells[0]), strings.TrimSpace(cells[1])); err != nil {
			return err
		}
	}
}

// readSide reads a file that stands beside a recording.
func readSide(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSideFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(data) > maxSideFile {
		return nil, &Fault{Source: name, What: fmt.Sprintf("larger than %d bytes; is it the right file?", maxSideFile)}
	}
	return data, nil
}
