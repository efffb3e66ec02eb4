// Package tui shows batches as a live terminal table, and prints single windows
// for scripts. It is the home of the terminal library (Bubble Tea).
package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/term"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/store"
)

// Options says what Run shows. Batches, Catalogue and Families are needed.
type Options struct {
	Batches   <-chan *metric.Batch // one per window; the caller ends it with ctx or by closing
	Catalogue []*metric.Family     // what can be chosen
	Families  []*metric.Family     // what is shown at first, in this order
	By        store.Grouping       // "" is store.ByTarget
	Sort      string               // family; "" is the first shown

	// Choose is called when other families are chosen, so that they are measured
	// from then on; nil when they all are.
	Choose func([]*metric.Family) error

	Message string // shown at first, until Esc
	Source  string // where the batches come from, for the head
	// Faults are of getting batches, shown until Esc, or until nil says that it goes
	// well again; may be nil.
	Faults <-chan error

	// Missed counts the windows that were dropped because this terminal was slow;
	// nil when there is no such count.
	Missed func() uint64

	Input  io.Reader // nil: the terminal
	Output io.Writer // nil: standard output; any other is taken to be 80x24
}

// Run shows batches until the user quits or ctx ends; both are no error.
func Run(ctx context.Context, o Options) error {
	if o.By == "" {
		o.By = store.ByTarget
	}
	// Ten frames a second: a table that changes once a second needs no more, and
	// drawing it must not cost more than measuring it.
	settings := []tea.ProgramOption{tea.WithContext(ctx), tea.WithFPS(10), tea.WithoutSignalHandler()}
	if o.Input != nil {
		settings = append(settings, tea.WithInput(o.Input))
	}
	if o.Output != nil {
		settings = append(settings, tea.WithOutput(o.Output), tea.WithWindowSize(80, 24))
	}
	_, err := tea.NewProgram(newModel(o), settings...).Run()
	if err != nil && ctx.Err() == nil && !errors.Is(err, tea.ErrInterrupted) {
		return fmt.Errorf("show table: %w", err)
	}
	return nil
}

type (
	batchMsg  struct{ batch *metric.Batch }
	endMsg    struct{}
	faultMsg  struct{ err error }
	chosenMsg struct{ err error }
)

// next waits for a batch.
func (m *model) next() tea.Cmd {
	return func() tea.Msg {
		if b, ok := <-m.options.Batches; ok {
			return batchMsg{b}
		}
		return endMsg{}
	}
}

// nextFault waits for a fault; never, when there is no channel of them.
func (m *model) nextFault() tea.Cmd {
	if m.options.Faults == nil {
		return nil
	}
	return func() tea.Msg { return faultMsg{<-m.options.Faults} }
}

func (m *model) choose(families []*metric.Family) tea.Cmd {
	if m.options.Choose == nil {
		return nil
	}
	return func() tea.Msg { return chosenMsg{m.options.Choose(families)} }
}

// IsTerminal tells whether a table can be drawn on f.
func IsTerminal(f *os.File) bool { return term.IsTerminal(f.Fd()) }
