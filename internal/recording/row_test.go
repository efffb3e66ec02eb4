package recording

import (
	"bytes"
	"encoding/binary"
	"errors"
	"iter"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/parquet-go/parquet-go"

	"viperprobe.dev/viperprobe/internal/analysis"
	"viperprobe.dev/viperprobe/internal/metric"
)

// sampleRows are three windows of a counter, a gauge and a histogram.
func sampleRows() []Row {
	var out []Row
	start := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	nan := math.NaN()
	for i := range 3 {
		at, x := start.Add(time.Duration(i)*time.Second), float64(i)
		row := Row{Time: at, Target: "shop/cart-0/cart", Workload: "Deployment/cart", Pattern: "go", Value: nan, Count: nan, Sum: nan, P50: nan, P90: nan, P99: nan}
		counter, gauge, hist, own := row, row, row, row
		own.Family, own.Kind, own.Value = "agent_samples", metric.Counter, x // is left out
		counter.Family, counter.Kind, counter.Value = "context_switches", metric.Counter, 100+x*x
		gauge.Family, gauge.Kind, gauge.Value = "memory_working_set_bytes", metric.Gauge, 0.1*x
		hist.Family, hist.Kind, hist.Label, hist.Count, hist.Sum, hist.P50, hist.P90, hist.P99 = "block_latency", metric.Histogram, "read", 3*x, x, x/2, x/3, nan
		out = append(out, counter, gauge, hist, own)
	}
	return out
}

func seq(rows []Row) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func sampleSeries() []analysis.Series {
	n := nan()
	s := func(name, family, statistic string, values ...float64) analysis.Series {
		label := ""
		if strings.Contains(name, "(read)") {
			label = "read"
		}
		return analysis.Series{Name: "shop/cart-0/cart/" + name, Family: family, Statistic: statistic, Label: label, Container: "shop/cart-0/cart", Service: "shop/cart", Pattern: "go", Values: values}
	}
	return []analysis.Series{
		s("context_switches.rate", "context_switches", "rate", n, 1, 3),
		s("memory_working_set_bytes", "memory_working_set_bytes", "", 0, .1, .2),
		s("block_latency(read).rate", "block_latency", "rate", n, 3, 6),
		s("block_latency(read).p50", "block_latency", "p50", 0, .5, 1),
		s("block_latency(read).p90", "block_latency", "p90", 0, 1./3, 2./3),
		s("block_latency(read).p99", "block_latency", "p99", n, n, n),
	}
}

// What is exported and read again is what FromRows makes of the store itself.
func TestRoundTrip(t *testing.T) {
	direct, err := FromRows(t.Context(), "rows", seq(sampleRows()), Options{Families: families})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sampleSeries(), direct.Series, cmpopts.EquateNaNs(), cmpopts.EquateApprox(0, 1e-12)); diff != "" {
		t.Fatal(diff)
	}
	for _, format := range []string{"csv", "parquet"} {
		var b bytes.Buffer
		var w interface {
			Write(Row) error
			Close() error
		} = NewCSVWriter(&b)
		if format == "parquet" {
			w = NewParquetWriter(&b)
		}
		for _, r := range sampleRows() {
			if err := w.Write(r); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		got, err := ReadFiles(write(t, t.TempDir(), "rows."+format, b.String()), Options{Families: families})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(direct, got, cmpopts.EquateNaNs()); diff != "" {
			t.Errorf("%s: %s", format, diff)
		}
	}
}

func TestRowFaults(t *testing.T) {
	late := sampleRows()
	late = append(late, late[0])
	_, err := FromRows(t.Context(), "the store", seq(late), Options{})
	if want := `the store: column "time": context_switches of shop/cart-0/cart is not later than the row of it before`; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	broken := errors.New("broken")
	_, err = FromRows(t.Context(), "the store", func(yield func(Row, error) bool) { yield(Row{}, broken) }, Options{})
	if !errors.Is(err, broken) {
		t.Errorf("a fault of the store: %v", err)
	}
	if _, err = FromRows(t.Context(), "the store", seq(nil), Options{}); err == nil || err.Error() != "the store: it has no rows" {
		t.Errorf("no rows: %v", err)
	}
}

// wideRow is a wide Parquet file as others write it.
type wideRow struct {
	Time time.Time `parquet:"time,timestamp(microsecond)"`
	X    *float32  `parquet:"web/x"`
	N    int32     `parquet:"n"`
	SLO  bool      `parquet:"slo"`
	Run  string    `parquet:"run,dict"`
}

func parquetOf[T any](t testing.TB, rows ...T) string {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b, parquet.MaxRowsPerRowGroup(2))
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func wideRows() []wideRow {
	at, x := time.Unix(1000, 0), float32(0.5)
	return []wideRow{{at, &x, 1, false, "a"}, {at.Add(time.Second), nil, 2, true, "a"}, {at.Add(2 * time.Second), &x, 3, false, "b"}}
}

func TestWideParquet(t *testing.T) {
	got, err := ReadFiles(write(t, t.TempDir(), "a.parquet", parquetOf(t, wideRows()...)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := &Recording{Times: []float64{1000, 1001, 1002}, Recording: analysis.Recording{Step: 1, SLO: []bool{false, true, false},
		Series: []analysis.Series{
			{Name: "web/x", Family: "x", Container: "web", Service: "web", Values: []float64{.5, nan(), .5}},
			{Name: "n", Family: "n", Values: []float64{1, 2, 3}},
		},
		Runs: []analysis.Section{{Name: "a", To: 2}, {Name: "b", From: 2, To: 3}},
	}}
	if diff := cmp.Diff(want, got, cmpopts.EquateNaNs()); diff != "" {
		t.Error(diff)
	}
}

// Decimals are what databases write for 12.5; they are stored without the point.
func TestDecimalParquet(t *testing.T) {
	type row struct {
		Time  int64 `parquet:"time"`
		Short int32 `parquet:"short,decimal(1:9)"`
		Long  int64 `parquet:"long,decimal(3:18)"`
	}
	got, err := ReadFiles(write(t, t.TempDir(), "a.parquet", parquetOf(t, row{1000, 125, 1}, row{1001, -5, 2500})), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]float64{{12.5, -.5}, {.001, 2.5}}, [][]float64{got.Series[0].Values, got.Series[1].Values}); diff != "" {
		t.Error(diff)
	}
}

func TestBadParquet(t *testing.T) {
	whole := parquetOf(t, wideRows()...)
	type nested struct {
		Time float64 `parquet:"time"`
		In   struct {
			X float64 `parquet:"x"`
		} `parquet:"in"`
	}
	type infinite struct {
		Time float64 `parquet:"time"`
		X    float64 `parquet:"x"`
	}
	type words struct {
		Time float64 `parquet:"time"`
		X    string  `parquet:"x"`
	}
	for want, text := range map[string]string{
		"a.parquet: it is empty":                                           "",
		"a.parquet: no Parquet file: ":                                     "time,x\n1,2\n",
		"a.parquet: no Parquet file: invalid":                              whole[:len(whole)-1] + "x",
		"a.parquet: column \"in\": it is nested":                           parquetOf(t, nested{}),
		"a.parquet:2: column \"x\": +Inf is no measurement; leave it null": parquetOf(t, infinite{1, 1}, infinite{2, math.Inf(1)}),
		"a.parquet:2: column \"time\": the time of the row above again":    parquetOf(t, infinite{1, 1}, infinite{1, 2}),
		"a.parquet:1: column \"x\": \"5ms\" has a unit":                    parquetOf(t, words{1, "5ms"}),
		"a.parquet:1: column \"time\": 1763980800000 are no unix seconds":  parquetOf(t, infinite{1763980800000, 1}),
		"a.parquet: it has a header and no rows":                           parquetOf[infinite](t),
	} {
		dir := t.TempDir()
		_, err := ReadFiles(write(t, dir, "a.parquet", text), Options{})
		if err == nil || !strings.HasPrefix(strings.ReplaceAll(err.Error(), dir+"/", ""), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// A damaged file is told or read, and never ends the program.
func TestDamagedParquet(t *testing.T) {
	var b bytes.Buffer
	w := NewParquetWriter(&b)
	for _, r := range sampleRows() {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	damage := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for _, whole := range [][]byte{b.Bytes(), []byte(parquetOf(t, wideRows()...))} {
		for range 100 {
			data := bytes.Clone(whole)
			for range 1 + damage.IntN(3) {
				data[damage.IntN(len(data))] = byte(damage.Uint32())
			}
			b := &budget{Limits: Limits{Rows: 1000, Series: 100, Values: 10_000}.withDefaults()}
			got, err := readParquet("a.parquet", bytes.NewReader(data), int64(len(data)), b, newNamer(families))
			if (got == nil) == (err == nil) {
				t.Fatalf("table %v with error %v", got, err)
			}
			if err != nil {
				refused++
			}
		}
	}
	if refused < 100 {
		t.Errorf("%d of 200 damaged files were refused", refused)
	}
}

// lies are files that promise more than they have, by what is told of them.
func lies(t testing.TB) map[string][]byte {
	whole := []byte(parquetOf(t, wideRows()...))
	size := len(whole)
	n := int(binary.LittleEndian.Uint32(whole[size-8:]))
	with := func(footer ...byte) []byte {
		out := append(bytes.Clone(whole[:size-8-n]), footer...)
		return append(binary.LittleEndian.AppendUint32(out, uint32(len(footer))), "PAR1"...)
	}
	longFooter := bytes.Clone(whole)
	binary.LittleEndian.PutUint32(longFooter[size-8:], 1<<31)
	// The header of the first page begins with its type, and the size of what is in it when it is unpacked.
	longPage := bytes.Clone(whole)
	if !bytes.HasPrefix(longPage[4:], []byte{0x15, 6, 0x15}) {
		t.Fatalf("the first page begins with % x", longPage[4:12])
	}
	longPage[7] |= 0x80 // one byte of the size becomes the first of more
	many := []byte{0x15, 2, 0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 7}
	return map[string][]byte{
		"no Parquet file: a footer of 2147483648 bytes in a file of": longFooter,
		"no Parquet file: footer: it ends in the middle":             with(many...),
		"no Parquet file: footer: 2000 parts in 2010 bytes":          with(append([]byte{0x15, 2, 0x19, 0xfc, 0xd0, 0x0f}, make([]byte, 2004)...)...),
		"no Parquet file: footer: it has a map":                      with(0x1b, 1),
		"damaged: row group 1, column 1: page at 4":                  longPage,
		"no Parquet file: it is too short":                           whole[:8],
	}
}

// What a file says of sizes is not believed before it is checked: none takes much memory to be refused.
func TestParquetThatLies(t *testing.T) {
	for want, data := range lies(t) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		b := &budget{Limits: Limits{}.withDefaults()}
		_, err := readParquet("a.parquet", bytes.NewReader(data), int64(len(data)), b, newNamer(families))
		runtime.ReadMemStats(&after)
		if err == nil || !strings.HasPrefix(err.Error(), "a.parquet: "+want) {
			t.Errorf("got %v, want %s", err, want)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 8<<20 {
			t.Errorf("%s: %d bytes were taken", want, took)
		}
	}
}

// FuzzParquet holds that no file ends the program or takes more memory than its size allows for.
func FuzzParquet(f *testing.F) {
	f.Add([]byte(parquetOf(f, wideRows()...)))
	for _, data := range bombs(f) {
		f.Add(data)
	}
	for _, data := range lies(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		b := &budget{Limits: Limits{Rows: 1000, Series: 100, Values: 10_000}.withDefaults()}
		got, err := readParquet("a.parquet", bytes.NewReader(data), int64(len(data)), b, newNamer(families))
		if (got == nil) == (err == nil) {
			t.Fatalf("table %v with error %v", got, err)
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 64<<20+uint64(len(data))<<(mostPacked+1) {
			t.Fatalf("%d bytes were taken for %d", took, len(data))
		}
	})
}
