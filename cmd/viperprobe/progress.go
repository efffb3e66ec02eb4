package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/x/term"
)

// A progress is a bar on a terminal for work that takes long; elsewhere it shows
// nothing. Its methods may be called at once by several goroutines.
type progress struct {
	mu    sync.Mutex
	over  bool
	out   io.Writer // nil: no terminal
	began time.Time
	shown time.Time
	drawn bool
}

const (
	progressDelay = 500 * time.Millisecond // work that is over sooner needs no bar
	progressPause = 100 * time.Millisecond // between two drawings
	progressWidth = 30
)

func newProgress(w io.Writer) *progress {
	p := &progress{began: time.Now()}
	if f, ok := w.(*os.File); ok && term.IsTerminal(f.Fd()) {
		p.out = w
	}
	return p
}

func (p *progress) show(stage string, done, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.over || p.out == nil || total <= 0 || now.Sub(p.began) < progressDelay || now.Sub(p.shown) < progressPause {
		return
	}
	p.shown, p.drawn = now, true
	full := progressWidth * done / total
	fmt.Fprintf(p.out, "\r\x1b[K[%s%s] %3d %% %s", strings.Repeat("#", full), strings.Repeat(".", progressWidth-full), 100*done/total, stage)
}

// clear takes the bar away for good.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	if p.drawn {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
