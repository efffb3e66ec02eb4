package report

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// A browser is a real Chromium with one report in it, and what it complained about.
type browser struct {
	t   testing.TB
	ctx context.Context

	lock       sync.Mutex
	complaints []string // console messages, exceptions, refused loads
	requests   []string // but for the report itself
}

// startBrowser starts the Debian package chromium, without a window, for all pages of a test.
func startBrowser(t testing.TB) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU, chromedp.ExecPath("chromium"), chromedp.WSURLReadTimeout(2*time.Minute))
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, closeBrowser := chromedp.NewContext(allocator)
	t.Cleanup(closeBrowser)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start chromium (make tools installs it): %v", err)
	}
	return ctx
}

// write puts a report into a file.
func write(t testing.TB, in Input) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.html")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := Write(f, in); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return file
}

// open loads a file in a tab of the given width and colour scheme.
func open(t testing.TB, parent context.Context, file string, width int64, scheme string) *browser {
	t.Helper()
	ctx, stop := chromedp.NewContext(parent)
	t.Cleanup(stop)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx}
	address := "file://" + file
	if err := chromedp.Listen(ctx, func(event any) { b.listen(event, address) }); err != nil {
		t.Fatal(err)
	}
	call(b, network.Enable, network.EnableParams{})
	call(b, log.Enable, cdp.Empty{})
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	viewport := chromedp.EmulateViewport(width, 900)
	if width < 600 {
		viewport = chromedp.EmulateViewport(width, 900, chromedp.EmulateMobile)
	}
	b.do(viewport, chromedp.Navigate(address))
	return b
}

// call sends one command of the protocol.
func call[P, R any](b *browser, c cdp.Command[P, R], params P) R {
	b.t.Helper()
	r, err := chromedp.Call(b.ctx, c, params)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

func (b *browser) listen(event any, address string) {
	b.lock.Lock()
	defer b.lock.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		b.complaints = append(b.complaints, text)
	case *runtime.EventConsoleAPICalled:
		b.complaints = append(b.complaints, fmt.Sprintf("console.%s %v", e.Type, e.Args))
	case *log.EventEntryAdded:
		b.complaints = append(b.complaints, fmt.Sprintf("%s: %s", e.Entry.Level, e.Entry.Text))
	case *network.EventRequestWillBeSent:
		if e.Request.URL != address {
			b.requests = append(b.requests, e.Request.URL)
		}
	}
}

func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// eval gives the value of an expression, which may be a promise.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("evaluate %.80s: %v", expression, err)
	}
	return v
}

// drawAll draws what would be drawn on the way down the page.
func (b *browser) drawAll() { eval[any](b, `document.querySelectorAll(".plot").forEach(draw), null`) }

// quiet holds that nothing was complained about or asked of a network.
func (b *browser) quiet() {
	b.t.Helper()
	b.lock.Lock()
	defer b.lock.Unlock()
	for _, c := range b.complaints {
		b.t.Errorf("the browser complains: %s", c)
	}
	for _, r := range b.requests {
		b.t.Errorf("the report asks for %s", r)
	}
}

// accessible runs axe-core (WCAG 2.2 AA and best practices) over the page.
func (b *browser) accessible() {
	b.t.Helper()
	source, err := os.ReadFile("testdata/axe.min.js")
	if err != nil {
		b.t.Fatal(err)
	}
	eval[any](b, string(source)+";null")
	type node struct {
		HTML           string `json:"html"`
		FailureSummary string `json:"failureSummary"`
	}
	type violation struct {
		ID, Help string
		Nodes    []node
	}
	var result struct {
		Violations []violation
		Passes     int
	}
	raw := eval[string](b, `axe.run().then(r => JSON.stringify({violations: r.violations.map(v => ({id: v.id, help: v.help, nodes: v.nodes.slice(0, 3)})), passes: r.passes.length}))`)
	if err := json.Unmarshal([]byte(raw), &result); err != nil {
		b.t.Fatal(err)
	}
	if result.Passes < 25 {
		b.t.Errorf("axe passed %d rules: it can hardly have seen the page", result.Passes)
	}
	for _, v := range result.Violations {
		for _, n := range v.Nodes {
			b.t.Errorf("axe %s: %s: %.200s: %s", v.ID, v.Help, n.HTML, n.FailureSummary)
		}
	}
}

// A shot is a picture for the documentation: sections from one to another, at most so many pixels of them.
type shot struct {
	name, from, to string
	most           float64
}

// shots are the pictures of the documentation, by width and scheme.
var shots = map[string][]shot{
	"1280-light": {{"summary", "summary", "chosen", 1700}, {"shapes", "shapes", "causes", 1500}},
	"1280-dark":  {{"algorithms", "compare", "front", 1500}},
	"390-light":  {{"summary", "summary", "chosen", 1600}},
	"390-dark":   {{"algorithms", "compare", "compare", 1600}},
}

// pictures writes what parts of the page look like, if somebody wants to have it: pictures.sh.
func (b *browser) pictures(view string) {
	b.t.Helper()
	if *pictures == "" {
		return
	}
	for _, s := range append(shots[view], shot{"whole", "main", "main", 30000}) {
		box := eval[[]float64](b, fmt.Sprintf(`[document.getElementById(%q).getBoundingClientRect().top + scrollY, document.getElementById(%q).getBoundingClientRect().bottom + scrollY, innerWidth]`, s.from, s.to))
		if s.from == "summary" || s.from == "main" {
			box[0] = 0 // with the bar
		}
		png := call(b, page.CaptureScreenshot, page.CaptureScreenshotParams{CaptureBeyondViewport: new(true),
			Clip: &page.Viewport{Y: box[0], Width: box[2], Height: min(s.most, box[1]-box[0]), Scale: 1}}).Data
		if err := os.WriteFile(filepath.Join(*pictures, "report-"+s.name+"-"+view+".png"), png, 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
}
