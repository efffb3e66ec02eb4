package analysis

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// golden is testdata/golden.json: numbers computed from the published formulas with numpy, scipy and statsmodels.
type golden struct {
	SBD []struct {
		X, Y     []float64
		Dist     float64
		Shift    int
		AlignedY []float64 `json:"aligned_y"`
	}
	KShape struct {
		InitialLabels []int `json:"initial_labels"`
		FinalLabels   []int `json:"final_labels"`
		Iterations    int
		Inertia       []float64
		Centroids     [][]float64
		FirstRows     [][]float64 `json:"first_rows"`
		SBD           [][]float64 `json:"sbd_matrix"`
		ByK           map[string]struct {
			Labels     []int
			Silhouette float64
		} `json:"silhouette_by_k_init_i_mod_k"`
		Representatives map[string]struct {
			Members        []int
			SBD            []float64
			Representative int
		} `json:"representatives_init_i_mod_3"`
	} `json:"kshape_12x64"`
	Granger struct {
		Results []struct {
			Direction string
			Lag       int
			F, P      float64
			DFNum     int `json:"df_num"`
			DFDen     int `json:"df_den"`
		}
		XHead []float64 `json:"x_head"`
		YHead []float64 `json:"y_head"`
	}
	ADF []struct {
		Series, Regression string
		LagMode            string `json:"lag_mode"`
		Stat, P            float64
		UsedLag            int `json:"used_lag"`
		NObs               int
	}
}

func loadGolden(t *testing.T) (g golden) {
	t.Helper()
	load(t, "testdata/golden.json", &g)
	return g
}

func load(t testing.TB, file string, into any) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatalf("decode %s: %v", file, err)
	}
}

// lcg is the generator that the vectors were made with.
type lcg uint32

func (u *lcg) next() float64 {
	*u = *u*1664525 + 1013904223
	return float64(*u) / (1 << 32)
}

// printed is the largest difference between a value and itself printed with 9 digits after the point.
const printed = 5.001e-10

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if math.Abs(got-want) > within || math.IsNaN(got) {
		t.Errorf("%s: got %.12g, want %.12g", what, got, want)
	}
}

// threeShapes are the 12 series of 64 points of the k-Shape vectors: sine, square and saw-tooth in four phases.
func threeShapes() [][]float64 {
	all := make([][]float64, 12)
	for i := range all {
		u, phase := lcg(100+i), 3*(i/3)
		x := make([]float64, 64)
		for t := range x {
			switch p := t + phase; i % 3 {
			case 0:
				x[t] = math.Sin(2 * math.Pi * float64(p) / 16)
			case 1:
				if p%32 < 8 {
					x[t] = 1
				}
			default:
				x[t] = float64(p%64) / 64
			}
			x[t] += 0.2 * (u.next() - 0.5)
		}
		all[i] = ZNorm(x)
	}
	return all
}
