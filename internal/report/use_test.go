package report

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"viperprobe.dev/viperprobe/internal/analysis"
)

// hostile names try to leave every context that a name is put into.
var hostile = []string{
	`<script>document.title="pwned"</script>`, `</script><img src=x onerror=document.title="pwned">`, `"><b class=pwned>`, `' onclick='document.title="pwned"`,
	"{{.Title}} ${document.title='pwned'}", "line\u2028separator\u2029 \x00 \xff <!-- <script>", `&lt;&amp;"\u003cb\u003e`, `]]>--></style><style>*{display:none}</style>`,
}

// Names are whatever people call their containers. None becomes markup or script.
func TestHostileNames(t *testing.T) {
	in := Input{Title: strings.Join(hostile, " "), Command: hostile[0], Version: hostile[1], CostUnit: hostile[2], Recording: shop(4),
		Unit: func(analysis.Series) string { return hostile[2] }, Options: analysis.Options{MostK: 3, Candidates: 6, Bootstraps: -1}}
	services := map[string]string{}
	for i := range in.Recording.Series {
		s := &in.Recording.Series[i]
		if services[s.Service] == "" {
			services[s.Service] = hostile[len(services)]
		}
		s.Service, s.Container = services[s.Service], services[s.Service]
		s.Name, s.Family = fmt.Sprint(hostile[i%len(hostile)], i), hostile[i%len(hostile)]
	}
	for i, c := range in.Recording.Calls {
		in.Recording.Calls[i] = analysis.Call{Caller: services[c.Caller], Callee: services[c.Callee]}
	}
	for i := range in.Recording.Runs {
		in.Recording.Runs[i].Name, in.Recording.Runs[i].Workload = fmt.Sprint(hostile[i], i), hostile[i]
	}
	in.compare("kshape", "sieve", "supervised", "exhaustive", "correlation", "all")
	in.Failures = append(in.Failures, Failure{hostile[0], hostile[1]})
	b := open(t, startBrowser(t), write(t, in), 1280, "light")
	b.drawAll()
	b.whole()
	b.quiet()
	if title := eval[string](b, `document.title`); !strings.HasPrefix(title, "Critical metrics: "+hostile[0]) {
		t.Errorf("the title is %q", title)
	}
	if n := eval[int](b, `document.querySelectorAll("img, b, iframe, [onclick], [onerror], .pwned").length`); n > 0 {
		t.Errorf("%d elements were smuggled in", n)
	}
	if got := eval[[]int](b, `[document.scripts.length, document.querySelectorAll("body style, main > style").length]`); got[0] != 6 {
		t.Errorf("%d scripts in the page, 6 are ours", got[0])
	}
	if n := eval[int](b, `[...document.querySelectorAll("#chosen h3")].filter(h => h.textContent.trim() === "").length`); n > 0 {
		t.Errorf("%d names are lost", n)
	}
}

// Search and clusters are used by keyboard alone.
func TestKeyboard(t *testing.T) {
	b := open(t, startBrowser(t), write(t, fixture()), 1280, "light")
	b.do(chromedp.KeyEvent(kb.Tab))
	if got := focused(b); got != "Skip to the report" {
		t.Errorf("the first stop is %q", got)
	}
	b.do(chromedp.KeyEvent(kb.Enter))
	if got := eval[string](b, `document.activeElement.id`); got != "main" {
		t.Errorf("the skip link leads to %q", got)
	}
	b.do(chromedp.Focus(chromedp.CSS("#query")), chromedp.KeyEvent("user_faults"))
	if got := eval[string](b, `document.getElementById("found").textContent`); !strings.HasPrefix(got, "6 of 53 series, in ") {
		t.Errorf("search found %q", got)
	}
	if n := eval[int](b, `[...document.querySelectorAll(".cluster")].filter(c => c.offsetParent && !c.querySelector("mark")).length`); n > 0 {
		t.Errorf("%d clusters are shown without a hit", n)
	}
	if n := eval[int](b, `document.querySelectorAll('.cluster summary[tabindex="0"]').length`); n != 1 {
		t.Errorf("%d clusters are in the tab order, want 1", n)
	}
	b.do(chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.Enter))
	if got := eval[[]int](b, `(() => { const s = [...document.querySelectorAll(".cluster summary")].filter(s => s.offsetParent); return [s.indexOf(document.activeElement), s.findIndex(x => x.parentElement.open)]; })()`); got[0] != 1 || got[1] != 1 {
		t.Errorf("cluster %d is focused and %d open, want the second", got[0], got[1])
	}
	b.do(chromedp.KeyEvent(kb.End), chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.Home))
	if got := eval[int](b, `[...document.querySelectorAll(".cluster summary")].filter(s => s.offsetParent).indexOf(document.activeElement)`); got != 0 {
		t.Errorf("Home leads to cluster %d", got)
	}
	b.quiet()
}

func focused(b *browser) string { return eval[string](b, `document.activeElement.textContent`) }

// The button overrides what the system prefers, and says what it will do next.
func TestTheme(t *testing.T) {
	b := open(t, startBrowser(t), write(t, fixture()), 390, "dark")
	state := func() string {
		return eval[string](b, `getComputedStyle(document.documentElement).backgroundColor + " " + document.getElementById("theme").getAttribute("aria-label")`)
	}
	if got := state(); got != "rgb(15, 18, 22) Use light colours" {
		t.Errorf("at first: %s", got)
	}
	b.do(chromedp.Click(chromedp.CSS("#theme")))
	if got := state(); got != "rgb(255, 255, 255) Use dark colours" {
		t.Errorf("after a click: %s", got)
	}
	b.quiet()
}

// What is printed has every plot, also those that were never scrolled to, and no bar.
func TestPrint(t *testing.T) {
	b := open(t, startBrowser(t), write(t, fixture()), 1280, "dark")
	pdf, err := chromedp.Run(b.ctx, chromedp.PrintToPDF())
	if err != nil || len(pdf) < 100_000 {
		t.Fatalf("printed %d bytes: %v", len(pdf), err)
	}
	if n := eval[int](b, `[...document.querySelectorAll(".plot")].filter(p => !p.querySelector("svg")).length`); n > 0 {
		t.Errorf("%d plots are not printed", n)
	}
	b.quiet()
}

// BenchmarkLoad opens a report of 2,000 series, each time in a new tab: go test -run '^$' -bench Load -benchtime 5x ./internal/report
func BenchmarkLoad(b *testing.B) {
	file, chromium := write(b, many(50, 40)), startBrowser(b)
	total := 0.0
	for b.Loop() {
		page := open(b, chromium, file, 1280, "light")
		total += eval[float64](page, `performance.getEntriesByType("navigation")[0].loadEventEnd`)
		page.quiet()
	}
	b.ReportMetric(total/float64(b.N), "ms-to-load")
}
