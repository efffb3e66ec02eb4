package tui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"viperprobe.dev/viperprobe/internal/metric"
)

// The sixteen colours of the terminal alone, so that its theme holds.
var (
	bold    = ansi.NewStyle(ansi.AttrBold)
	faint   = ansi.NewStyle(ansi.AttrFaint)
	reverse = ansi.NewStyle(ansi.AttrReverse)
	accent  = ansi.NewStyle(ansi.AttrBold, ansi.AttrCyanForegroundColor)
	warn    = ansi.NewStyle(ansi.AttrBold, ansi.AttrYellowForegroundColor)
	good    = ansi.NewStyle(ansi.AttrGreenForegroundColor)
)

const (
	headLines  = 7 // title, cost, rule, three lines of heads, rule
	minWidth   = 40
	minHeight  = headLines + 3
	nameLeast  = 16
	nameMost   = 60
	lastColumn = 1 // left empty: some terminals wrap there
)

// visible is how many rows have room.
func (m *model) visible() int { return max(1, m.height-headLines-1) }

// nameWidth gives the names what they need, at most a third of a narrow screen.
func (m *model) nameWidth() int {
	need := len("NAMESPACE")
	for i := range m.rows {
		need = max(need, ansi.StringWidth(m.rows[i].Name))
	}
	return min(need, max(nameLeast, min(nameMost, m.width/3)))
}

func (m *model) spans() []span {
	return spans(m.columns, m.left, m.width-m.nameWidth()-lastColumn-2)
}

// View draws the screen: every line fits its width, and there are height of them.
func (m *model) View() tea.View {
	v := tea.NewView(m.screen())
	v.AltScreen = true
	v.WindowTitle = "viperprobe top"
	return v
}

func (m *model) screen() string {
	if m.width < minWidth || m.height < minHeight {
		return fmt.Sprintf("viperprobe top: want %dx%d, have %dx%d", minWidth, minHeight, m.width, m.height)
	}
	var lines []string
	switch m.mode {
	case picking:
		lines = m.viewPicker()
	case helping:
		lines = m.viewHelp()
	default:
		lines = append(m.viewHead(), m.viewRows()...)
	}
	for len(lines) < m.height-1 {
		lines = append(lines, "")
	}
	lines = append(lines[:m.height-1], m.viewFoot())
	for i, l := range lines {
		lines[i] = ansi.Truncate(l, m.width, "")
	}
	return strings.Join(lines, "\n")
}

// sides puts a at the left end and b at the right end of a line; a gives way.
func (m *model) sides(a, b string) string {
	w := ansi.StringWidth(b)
	a = ansi.Truncate(a, max(0, m.width-w-2), "…")
	return a + strings.Repeat(" ", max(1, m.width-w-ansi.StringWidth(a)-1)) + b
}

func (m *model) viewHead() []string {
	state, count, ours := faint.Styled("waiting for the first window"), "", ""
	if b := m.shown; b != nil {
		state = good.Styled("● live") + " " + b.End.Local().Format("15:04:05")
		if m.paused {
			state = warn.Styled("❚❚ paused") + " " + b.End.Local().Format("15:04:05")
		}
		plural := "s"
		if len(m.rows) == 1 {
			plural = ""
		}
		count = fmt.Sprintf("  %s  every %v  %d %s%s", Printable(b.Node), b.Interval, len(m.rows), m.by, plural)
		if m.options.Source != "" {
			count += "  " + faint.Styled(Printable(m.options.Source))
		}
		ours = cost(b)
		if m.options.Missed != nil && m.options.Missed() > 0 {
			ours += "  " + warn.Styled(fmt.Sprintf("%d windows missed", m.options.Missed()))
		}
		if b.Partial {
			ours += "  " + warn.Styled(fmt.Sprintf("partial: %s", Printable(strings.Join(b.Faults, "; "))))
		}
	}
	if m.ill {
		state = warn.Styled("■ no answer")
	}
	if m.ended {
		state = warn.Styled("■ ended")
	}
	rule := faint.Styled(strings.Repeat("─", m.width-lastColumn))
	name := m.nameWidth()
	all := m.spans()
	heads := head(m.columns, all, name, strings.ToUpper(string(m.by)))
	more := ""
	if n := len(m.columns); len(all) > 0 && (m.left > 0 || last(all) < n-1) {
		more = faint.Styled(fmt.Sprintf("columns %d-%d of %d", m.left+1, last(all)+1, n))
	}
	return []string{
		m.sides(" "+accent.Styled("viperprobe top")+count, state),
		m.sides(" "+faint.Styled("our cost  ")+ours, more),
		rule, " " + bold.Styled(heads[0]), " " + bold.Styled(heads[1]), " " + m.viewUnits(all, name), rule,
	}
}

func last(all []span) int {
	s := all[len(all)-1]
	return s.columns[len(s.columns)-1]
}

// viewUnits is the lowest line of the heads, with an arrow at the sort column.
func (m *model) viewUnits(all []span, name int) string {
	arrow := "▼"
	if m.up {
		arrow = "▲"
	}
	label := fit(strings.ToUpper(string(m.by)), name)
	var b strings.Builder
	if i := m.sortColumn(); i < 0 {
		if !m.up {
			arrow = "▲" // names rise unless reversed
		} else {
			arrow = "▼"
		}
		b.WriteString(accent.Styled(fit(strings.ToUpper(string(m.by))+" "+arrow, name)))
	} else {
		b.WriteString(faint.Styled(label))
	}
	for _, s := range all {
		for _, i := range s.columns {
			unit := right(m.columns[i].unit(), s.each+gap)
			if i == m.sortColumn() {
				b.WriteString(accent.Styled(right(strings.TrimSpace(unit)+arrow, s.each+gap)))
			} else {
				b.WriteString(faint.Styled(unit))
			}
		}
	}
	return b.String()
}

func (m *model) viewRows() []string {
	if m.shown == nil {
		return nil
	}
	if len(m.rows) == 0 {
		text := " no target has any of these families yet"
		if m.filter != "" {
			text = fmt.Sprintf(" nothing matches %q; Esc shows everything", m.filter)
		}
		return []string{faint.Styled(text)}
	}
	name, all, sorted := m.nameWidth(), m.spans(), m.sortColumn()
	var lines []string
	for i := m.top; i < len(m.rows) && i < m.top+m.visible(); i++ {
		r := &m.rows[i]
		label := fit(r.Name, name)
		if i == m.cursor {
			text := " " + label + cells(m.columns, all, r, plain)
			lines = append(lines, reverse.Styled(fit(text, m.width-lastColumn)))
			continue
		}
		if r.Target.Kind == metric.Node || r.Target.Kind == metric.Remainder {
			label = faint.Styled(label)
		}
		lines = append(lines, " "+label+cells(m.columns, all, r, func(i int, text string) string {
			switch t := strings.TrimSpace(text); {
			case t == "-" || t == "0":
				return faint.Styled(text)
			case i == sorted:
				return bold.Styled(text)
			}
			return text
		}))
	}
	return lines
}
