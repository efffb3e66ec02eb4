package catalogue

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"viperprobe.dev/viperprobe/internal/metric"
)

// The table of prices, as `make prices` measured it: one row per family with what one
// event is, its ns, how that is known ("measured", or "as FAMILY" where the machine
// gives no load of it), and for the event tier program:open:closed:runs of each. Times of
// programs are as BPF_ENABLE_STATS has them.
//
//go:embed prices.csv
var prices string

// Rows of that table that are no family's: what the statistics bill for themselves in
// each run, and what they do not see of it, the tracepoint's call and an uprobe's trap.
const (
	ClockRow = "clock"
	EntryRow = "entry"
	TrapRow  = "trap"
)

// A PriceRow is one row of that table. Families of the file tier share the row "file",
// those of a pass that of its hook group.
type PriceRow struct {
	Family, Each string
	Ns           float64
	How          string
	Programs     []metric.Price
}

// ReferenceRates is the reference load by which families are classed, in events a
// second: a node of 8 CPUs, half busy with 100 containers of web services, a database
// and their sidecars, read once a second.
func ReferenceRates() map[string]float64 {
	return map[string]float64{
		"switch": 50_000, "fault": 20_000, "TLB flush": 10_000, "reclaim": 500, "stall": 100,
		"syscall": 200_000, "failed syscall": 5_000, "file call": 20_000, "futex wait": 10_000, "softirq": 50_000, "interrupt": 20_000,
		"cached page": 100_000, "new page": 5_000, "block request": 2_000,
		"request": 10_000, "connection": 1_000, "failed connection": 50, "datagram": 10_000, "unix message": 5_000, "unix request": 2_000, "DNS query": 500, "dropped packet": 500,
		"app call": 5_000, "process": 200, "signal": 1_000, "OOM kill": 0.1,
		"task": 2_000, "socket": 2_000, "target": 100,
	}
}

// Prices is the measured table.
func Prices() ([]PriceRow, error) { return ReadPrices(strings.NewReader(prices)) }

// ReadPrices reads a table of prices. It gives the rows before the first bad one, too.
func ReadPrices(r io.Reader) (rows []PriceRow, err error) {
	lines := csv.NewReader(r)
	lines.FieldsPerRecord = 5
	for {
		fields, err := lines.Read()
		if err == io.EOF {
			return rows, nil
		}
		if err != nil {
			return rows, fmt.Errorf("read prices: %w", err)
		}
		if fields[0] == "family" {
			continue
		}
		row := PriceRow{Family: fields[0], Each: fields[1], How: fields[3]}
		if row.Ns, err = strconv.ParseFloat(fields[2], 64); err == nil {
			row.Programs, err = readPrograms(fields[4])
		}
		if err != nil {
			return rows, fmt.Errorf("read prices of %s: %w", row.Family, err)
		}
		rows = append(rows, row)
	}
}

func readPrograms(text string) (out []metric.Price, err error) {
	for _, word := range strings.Fields(text) {
		parts := strings.Split(word, ":")
		if len(parts) != 4 {
			return nil, fmt.Errorf("want program:open:closed:runs, have %q", word)
		}
		p := metric.Price{Program: parts[0]}
		for i, into := range []*float64{&p.Open, &p.Closed, &p.Runs} {
			if *into, err = strconv.ParseFloat(parts[i+1], 64); err != nil {
				return nil, err
			}
		}
		out = append(out, p)
	}
	return out, nil
}

// WritePrices writes a table in the order of the catalogue, of each family its first row.
func WritePrices(w io.Writer, rows []PriceRow) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{"family", "each", "ns", "how", "programs"}) // errors stay in the writer
	names := []string{ClockRow, EntryRow, TrapRow, "file", "task", "socket"}
	for _, f := range Families() {
		names = append(names, f.Name)
	}
	for _, name := range names {
		i := slices.IndexFunc(rows, func(r PriceRow) bool { return r.Family == name })
		if i < 0 {
			continue
		}
		var programs []string
		for _, p := range rows[i].Programs {
			programs = append(programs, fmt.Sprintf("%s:%.0f:%.0f:%.2f", p.Program, p.Open, p.Closed, p.Runs))
		}
		_ = out.Write([]string{name, rows[i].Each, strconv.FormatFloat(rows[i].Ns, 'f', 0, 64), rows[i].How, strings.Join(programs, " ")})
	}
	out.Flush()
	return out.Error()
}

// UpdatePrices puts rows in place of those of the same families in the table of a file.
func UpdatePrices(file string, rows []PriceRow) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("update prices: %w", err)
	}
	before, err := ReadPrices(bytes.NewReader(old))
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := WritePrices(&out, slices.Concat(rows, before)); err != nil {
		return fmt.Errorf("write prices: %w", err)
	}
	if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
		return fmt.Errorf("update prices: %w", err)
	}
	return nil
}

// priceOf is the row of the table that has a family's price.
func priceOf(f *metric.Family) string {
	switch f.Tier {
	case metric.File:
		return string(metric.File)
	case metric.Snapshot:
		return f.Object
	}
	return f.Name
}

// price gives families what the table says of them. A row that cannot be read leaves
// families without a price, which the package's tests do not let pass.
func price(families []*metric.Family) {
	rows, _ := Prices()
	byName := map[string]PriceRow{}
	for _, r := range rows {
		byName[r.Family] = r
	}
	rates := ReferenceRates()
	for _, f := range families {
		r := byName[priceOf(f)]
		f.CostNs, f.CostEach, f.CostRate = r.Ns, r.Each, rates[r.Each]
		if f.Tier != metric.Event && f.Tier != metric.App {
			continue
		}
		enter := byName[EntryRow].Ns
		if f.Tier == metric.App {
			enter = byName[TrapRow].Ns
		}
		for _, p := range programsOf(byName, r) {
			clock := byName[ClockRow].Ns
			f.CostNs += p.Runs * (enter - clock)
			if len(r.Programs) > 0 {
				f.Prices = append(f.Prices, metric.Price{Program: p.Program, Open: max(0, p.Open-clock), Closed: max(0, p.Closed-clock), Runs: p.Runs, Enter: enter})
			}
		}
	}
}

// programsOf are the programs of a row, or of the one that it is priced as.
func programsOf(rows map[string]PriceRow, r PriceRow) []metric.Price {
	if other, as := strings.CutPrefix(r.How, "as "); as {
		return rows[other].Programs
	}
	return r.Programs
}
