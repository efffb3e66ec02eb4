package agent

import (
	"flag"
	"strconv"
	"strings"
	"testing"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/metric"
)

// pricesFile is the catalogue's table of prices, of which BenchmarkFilePrices updates
// the rows of the file tier.
var pricesFile = flag.String("prices", "", "table of prices to update (BenchmarkFilePrices)")

// BenchmarkFilePrices measures what a family of the file tier costs for one busy
// target and window: the time of all its files, shared equally (`make prices`).
func BenchmarkFilePrices(b *testing.B) {
	r := measureAll(b, "file")
	for i := range 8 {
		dir := mkdir(b, r.host, unique("price"+strconv.Itoa(i)))
		w := startIn(b, dir)
		w.do("storm 1")
		b.Cleanup(func() { w.do("calm"); w.end(); rmdir(b, dir) })
	}
	bill, err := r.Cost(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	var sum, n float64
	for _, f := range bill.Families {
		for _, c := range f.Containers {
			if f.Tier == metric.File && strings.HasPrefix(c.Target, "/vp-price") {
				sum, n = sum+c.CPUPercent*1e7/c.EventsPerSecond, n+1
			}
		}
	}
	rows := []catalogue.PriceRow{{Family: "file", Each: "target", Ns: sum / n, How: "measured"}}
	b.ReportMetric(rows[0].Ns, "ns/family")
	b.ReportMetric(0, "ns/op")
	if *pricesFile != "" {
		if err := catalogue.UpdatePrices(*pricesFile, rows); err != nil {
			b.Fatal(err)
		}
	}
}
