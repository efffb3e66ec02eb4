package tui

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/store"
)

// open is a model of the given size that has had one batch.
func open(t *testing.T, width, height int) *model {
	t.Helper()
	m := newModel(Options{Catalogue: fakeFamilies, Families: fakeFamilies[:8], By: store.ByTarget})
	m.Update(tea.WindowSizeMsg{Width: width, Height: height})
	m.take(fakeBatch(1, t0, 24))
	return m
}

// press sends keys: single characters, or names in <>.
func press(m *model, keys string) {
	named := map[string]tea.KeyPressMsg{
		"up": {Code: tea.KeyUp}, "down": {Code: tea.KeyDown}, "left": {Code: tea.KeyLeft}, "right": {Code: tea.KeyRight},
		"pgdown": {Code: tea.KeyPgDown}, "end": {Code: tea.KeyEnd}, "home": {Code: tea.KeyHome}, "enter": {Code: tea.KeyEnter},
		"esc": {Code: tea.KeyEscape}, "space": {Code: tea.KeySpace, Text: " "}, "backspace": {Code: tea.KeyBackspace},
	}
	for len(keys) > 0 {
		if end := strings.IndexByte(keys, '>'); keys[0] == '<' && end > 0 {
			m.Update(named[keys[1:end]])
			keys = keys[end+1:]
			continue
		}
		m.Update(tea.KeyPressMsg{Code: rune(keys[0]), Text: keys[:1]})
		keys = keys[1:]
	}
}

func names(m *model) []string {
	var out []string
	for _, r := range m.rows {
		out = append(out, r.Name)
	}
	return out
}

// Whatever the size and the panel, the screen is exactly as large as the terminal.
func TestScreenFits(t *testing.T) {
	for _, keys := range []string{"", "/redis", "f", "f<end><space>", "?", "<end>", "<right><right><right><right><right><right><right><right>", "bb", "<space>"} {
		for _, size := range [][2]int{{40, 10}, {80, 24}, {81, 11}, {200, 50}, {1000, 300}} {
			m := open(t, size[0], size[1])
			press(m, keys)
			lines := strings.Split(m.screen(), "\n")
			if len(lines) != size[1] {
				t.Errorf("%q at %v: %d lines", keys, size, len(lines))
			}
			for _, l := range lines {
				if w := ansi.StringWidth(l); w > size[0] {
					t.Errorf("%q at %v: %d cells in %q", keys, size, w, l)
				}
			}
		}
	}
	m := open(t, 39, 9)
	if s := m.screen(); !strings.Contains(s, "want 40x10, have 39x9") {
		t.Errorf("too small: %q", s)
	}
}

// In a terminal of the usual width no key is cut off, at the foot or in the help.
func TestKeysFitEightyColumns(t *testing.T) {
	m := open(t, 80, 24)
	if s := m.screen(); !strings.HasSuffix(strings.TrimRight(ansi.Strip(s), " \n"), "q quit") {
		t.Errorf("the foot ends in %q", s[len(s)-60:])
	}
	press(m, "?")
	if s := ansi.Strip(m.screen()); !strings.Contains(s, help[4][1]) {
		t.Errorf("the help has not %q in full:\n%s", help[4][1], s)
	}
}

func TestSort(t *testing.T) {
	m := open(t, 80, 24)
	if got := names(m)[:2]; !cmp.Equal(got, []string{"node", "shop/redis-7d9f8b6c5-x00/redis"}) {
		t.Errorf("at first by CPU: %v", got)
	}
	press(m, "r")
	if got := names(m)[0]; got != "ssh.service" {
		t.Errorf("reversed: %v", got)
	}
	press(m, "r<left>") // the name
	if got := names(m)[0]; got != "infra/checkout-service-7d9f8b6c5-x03/checkout-service" {
		t.Errorf("by name: %v", got)
	}
	for range m.columns {
		press(m, "<right>")
	}
	if i := m.sortColumn(); m.columns[i].family.Name != "threads" || !m.on(i) {
		t.Errorf("the last column is %+v, on the screen: %v", m.columns[i], m.on(i))
	}
	if last := m.rows[len(m.rows)-1]; last.Target.Kind != metric.Remainder && last.Target.Kind != metric.Node {
		t.Errorf("a row without the value is not last: %s", last.Name)
	}
}

func TestCursorStaysOnTarget(t *testing.T) {
	m := open(t, 80, 24)
	press(m, "<down><down><down>")
	name := m.rows[m.cursor].Name
	m.take(fakeBatch(9, t0.Add(time.Second), 24))
	press(m, "r")
	if got := m.rows[m.cursor].Name; got != name {
		t.Errorf("cursor went from %s to %s", name, got)
	}
	press(m, "<end>")
	if m.cursor != len(m.rows)-1 || m.top+m.visible() != len(m.rows) {
		t.Errorf("End: cursor %d, top %d of %d rows", m.cursor, m.top, len(m.rows))
	}
	m.take(&metric.Batch{End: t0, Interval: time.Second})
	if m.cursor != 0 || m.top != 0 || len(m.rows) != 0 {
		t.Errorf("no rows: cursor %d, top %d", m.cursor, m.top)
	}
	press(m, "<up><down><end><pgdown>b")
}

func TestFilter(t *testing.T) {
	m := open(t, 80, 24)
	press(m, "/KAFKA<space>")
	if len(m.rows) != 0 || m.filter != "KAFKA " {
		t.Errorf("%d rows match %q", len(m.rows), m.filter)
	}
	press(m, "<backspace><enter>q") // q is a key again after Enter
	if len(m.rows) != 4 || m.mode != watching {
		t.Errorf("%d rows match %q, mode %d", len(m.rows), m.filter, m.mode)
	}
	press(m, "<esc>")
	if m.filter != "" || len(m.rows) != 27 {
		t.Errorf("after Esc: filter %q, %d rows", m.filter, len(m.rows))
	}
	press(m, "/"+strings.Repeat("x", 3*maxFilter))
	if len(m.filter) != maxFilter {
		t.Errorf("a filter of %d letters", len(m.filter))
	}
}

func TestPause(t *testing.T) {
	m := open(t, 80, 24)
	first := m.shown
	press(m, "<space>")
	second := fakeBatch(2, t0.Add(time.Second), 3)
	m.take(second)
	if m.shown != first || !strings.Contains(m.screen(), "paused") {
		t.Error("a paused screen moved")
	}
	press(m, "<space>")
	if m.shown != second {
		t.Error("going on does not show the newest batch")
	}
}

func TestPick(t *testing.T) {
	var chosen []string
	m := open(t, 80, 24)
	m.options.Choose = func(fs []*metric.Family) error {
		for _, f := range fs {
			chosen = append(chosen, f.Name)
		}
		return errors.New("needs root")
	}
	press(m, "faa") // all, then none
	if n := len(m.picker.chosen()); n != 0 {
		t.Errorf("%d ticked", n)
	}
	press(m, "<down><space><end><space>")
	_, cmd := m.Update(tea.KeyPressMsg{Code: tea.KeyEnter})
	m.Update(cmd())
	want := []string{"runq_latency", "block_latency"}
	if diff := cmp.Diff(want, chosen); diff != "" {
		t.Error(diff)
	}
	if len(m.columns) != 6 || m.sort != "runq_latency p50" {
		t.Errorf("%d columns, sorted by %q", len(m.columns), m.sort)
	}
	if s := m.screen(); !strings.Contains(s, "needs root") || !strings.Contains(s, "block") {
		t.Error("the screen shows neither the fault nor the family:\n" + s)
	}
	press(m, "faa<enter>")
	if len(m.columns) != 6 || !strings.Contains(m.screen(), "at least one") {
		t.Error("an empty choice was taken")
	}
}

// The head says where the windows come from; what goes wrong is shown until it is over.
func TestSourceAndFaults(t *testing.T) {
	m := open(t, 120, 24)
	m.options.Source = "from http://node7:9733"
	if s := m.screen(); !strings.Contains(s, "from http://node7:9733") {
		t.Error("no source in\n" + s)
	}
	m.Update(faultMsg{errors.New("ask node7: gone")})
	if s := m.screen(); !strings.Contains(s, "ask node7: gone") || !strings.Contains(s, "no answer") || strings.Contains(s, "live") {
		t.Error("no fault in\n" + s)
	}
	m.Update(faultMsg{})
	if s := m.screen(); strings.Contains(s, "gone") || !strings.Contains(s, "live") {
		t.Error("the fault stays:\n" + s)
	}
}

func TestBy(t *testing.T) {
	m := open(t, 80, 24)
	want := map[store.Grouping]int{store.ByTarget: 27, store.ByPod: 25, store.ByWorkload: 7, store.ByNamespace: 3, store.ByNode: 1, store.ByPattern: 1}
	for range store.Groupings {
		if len(m.rows) != want[m.by] {
			t.Errorf("by %s: %d rows, want %d", m.by, len(m.rows), want[m.by])
		}
		press(m, "b")
	}
	if m.by != store.ByTarget {
		t.Errorf("b does not come around: %s", m.by)
	}
}

func TestCost(t *testing.T) {
	if got, want := cost(fakeBatch(1, t0, 24)), "0.21% CPU  42MiB RSS  7.63MiB maps  200 samples/s  0 dropped"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := cost(&metric.Batch{End: t0, Start: t0}); got != "" {
		t.Errorf("a window of no length: %q", got)
	}
}

// Names come from containers: they must not move the cursor or set colours.
func TestNamesAreHarmless(t *testing.T) {
	b := twoPods()
	evil := *b.Groups[2].Target
	evil.Container = "\x1b]0;owned\x07\x1b[2J\r\nx"
	b.Groups[2].Target = &evil
	b.Node, b.Partial, b.Faults = "\x1b[2J", true, []string{"\x1b[2J"}
	m := open(t, 80, 24)
	m.take(b)
	if s := ansi.Strip(m.screen()); strings.ContainsAny(s, "\x1b\r\a") || !strings.Contains(s, "?]0;owned?") {
		t.Errorf("%q", s)
	}
	if strings.Contains(m.screen(), "\x1b[2J") {
		t.Error("an escape sequence came through")
	}
}

// The real program, without a terminal: it draws, and ends when told.
func TestRun(t *testing.T) {
	for name, end := range map[string]func(stop context.CancelFunc, input io.Writer){
		"key":     func(_ context.CancelFunc, input io.Writer) { fmt.Fprint(input, "q") },
		"context": func(stop context.CancelFunc, _ io.Writer) { stop() },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
			defer stop()
			batches := make(chan *metric.Batch)
			input, keys := io.Pipe()
			defer keys.Close()
			out := &screen{seen: make(chan struct{})}
			done := make(chan error, 1)
			go func() {
				done <- Run(ctx, Options{Batches: batches, Catalogue: fakeFamilies, Families: fakeFamilies, Input: input, Output: out})
			}()
			batches <- fakeBatch(1, t0, 3)
			select {
			case <-out.seen:
				end(stop, keys)
			case err := <-done:
				t.Fatalf("ended with %v before it drew anything", err)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// A screen tells when the rows of the first batch have been drawn.
type screen struct {
	drawn []byte
	seen  chan struct{}
}

func (s *screen) Write(p []byte) (int, error) {
	had := bytes.Contains(s.drawn, []byte("redis"))
	s.drawn = append(s.drawn, p...)
	if !had && bytes.Contains(s.drawn, []byte("redis")) {
		close(s.seen)
	}
	return len(p), nil
}
