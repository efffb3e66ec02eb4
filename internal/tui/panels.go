package tui

import (
	"fmt"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

func (m *model) viewFoot() string {
	switch {
	case m.mode == filtering:
		return " " + accent.Styled("filter: ") + m.filter + reverse.Styled(" ") + faint.Styled("  Enter keeps it, Esc ends it")
	case m.mode == picking:
		return " " + keysLine("↑↓", "move", "Space", "tick", "a", "all", "Enter", "show", "Esc", "back")
	case m.mode == helping:
		return " " + faint.Styled("any key goes back")
	case m.message != "":
		return " " + warn.Styled(Printable(m.message))
	}
	line := keysLine("↑↓", "move", "←→", "sort", "/", "filter", "f", "families", "b", "by", "Space", "pause", "?", "help", "q", "quit")
	if m.filter != "" {
		line = accent.Styled("filter: "+m.filter) + "  " + line
	}
	return " " + line
}

func keysLine(pairs ...string) string {
	var parts []string
	for i := 0; i+1 < len(pairs); i += 2 {
		parts = append(parts, bold.Styled(pairs[i])+" "+faint.Styled(pairs[i+1]))
	}
	return strings.Join(parts, "  ")
}

func (m *model) viewHelp() []string {
	lines := []string{" " + accent.Styled("viperprobe top") + "  keys", ""}
	for _, h := range help {
		lines = append(lines, " "+bold.Styled(fit(h[0], 26))+h[1])
	}
	return append(lines, "",
		faint.Styled(" % is seconds per second, 100 is one CPU. Ki, Mi, Gi are steps of 1024."),
		faint.Styled(" p50, p90, p99 are those of the last window. - is nothing measured."))
}

func (m *model) viewPicker() []string {
	p := &m.picker
	lines := []string{" " + accent.Styled("families") + fmt.Sprintf("  %d of %d shown", len(p.chosen()), len(p.families)), ""}
	room := m.height - 1 - len(lines)
	from := max(0, min(p.cursor-room/2, len(p.families)-room))
	for i := from; i < len(p.families) && i < from+room; i++ {
		f := p.families[i]
		box := "[ ]"
		if p.on[f.Name] {
			box = "[x]"
		}
		text := fmt.Sprintf(" %s %-26s %-11s %-11s ", box, f.Name, f.Class, f.Tier)
		text += ansi.Truncate(Printable(f.Help), max(0, m.width-lastColumn-ansi.StringWidth(text)), "…")
		if i == p.cursor {
			text = reverse.Styled(fit(text, m.width-lastColumn))
		}
		lines = append(lines, text)
	}
	return lines
}
