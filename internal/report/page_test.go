package report

import (
	"flag"
	"fmt"
	"testing"
)

var (
	pictures = flag.String("pictures", "", "folder to write screenshots of the report to")
	made     = flag.String("page", "", "report to look at; the shop's if empty")
)

// The report of the shop, at both widths in both schemes: drawn whole, accessible, silent, and no wider than the window.
func TestPage(t *testing.T) {
	file := *made
	if file == "" {
		file = write(t, fixture())
	}
	chromium := startBrowser(t)
	for _, width := range []int64{1280, 390} {
		for _, scheme := range []string{"light", "dark"} {
			t.Run(fmt.Sprintf("%d %s", width, scheme), func(t *testing.T) {
				b := open(t, chromium, file, width, scheme)
				b.drawAll()
				b.whole()
				b.accessible()
				b.quiet()
				b.pictures(fmt.Sprintf("%d-%s", width, scheme))
			})
		}
	}
}

// What is not there is not drawn, and nothing breaks.
func TestPageOfShapesAlone(t *testing.T) {
	b := open(t, startBrowser(t), write(t, shapesAlone()), 390, "light")
	b.drawAll()
	b.whole()
	b.accessible()
	b.quiet()
}

// whole holds that every section is there, every plot drawn and named, and nothing sticks out of the window.
func (b *browser) whole() {
	b.t.Helper()
	for _, id := range []string{"summary", "chosen", "compare", "front", "shapes", "causes", "dropped", "method"} {
		if text := eval[string](b, fmt.Sprintf(`document.querySelector("#%s h1, #%[1]s h2")?.textContent ?? ""`, id)); text == "" {
			b.t.Errorf("section %s has no heading", id)
		}
	}
	if n := eval[int](b, `[...document.querySelectorAll(".plot")].filter(p => !p.querySelector("svg path, svg circle")).length`); n > 0 {
		b.t.Errorf("%d plots are empty", n)
	}
	if n := eval[int](b, `[...document.querySelectorAll(".plot > *")].filter(p => p.getAttribute("role") !== "img" || p.getAttribute("aria-label").length < 20).length`); n > 0 {
		b.t.Errorf("%d plots have no name for a screen reader", n)
	}
	if n := eval[int](b, `[...document.querySelectorAll("table")].filter(t => !t.caption?.textContent.trim() || !t.querySelector("th[scope=col]")).length`); n > 0 {
		b.t.Errorf("%d tables have no caption or no heads", n)
	}
	if w := eval[[]int](b, `[document.documentElement.scrollWidth, innerWidth]`); w[0] > w[1] {
		b.t.Errorf("the page is %d pixels wide in a window of %d", w[0], w[1])
	}
}
