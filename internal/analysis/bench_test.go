package analysis

import "testing"

// BenchmarkChooseK is what one container of 60 series costs in full: standard starts, k from 2 to 7, silhouettes.
// `make bench-analysis` times single runs of k-Shape, beside tslearn's.
func BenchmarkChooseK(b *testing.B) {
	series := randomWalks(4, 60, 1200)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := ChooseK(series, 0, KShapeOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
