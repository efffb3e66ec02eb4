package tui

import (
	"slices"

	tea "charm.land/bubbletea/v2"

	"viperprobe.dev/viperprobe/internal/store"
)

// help is every key, for the help screen; the first word of each line is the key.
var help = [][2]string{
	{"↑ ↓  PgUp PgDn  Home End", "move"},
	{"← →", "sort by another column; left of all is the name"},
	{"r", "reverse the order"},
	{"/", "show only rows with this text; Esc ends it"},
	{"f", "choose families"},
	{"b", "by target, pod, workload, namespace, node, pattern"},
	{"Space", "pause, and go on"},
	{"q", "quit"},
}

func (m *model) key(k tea.KeyPressMsg) tea.Cmd {
	if k.String() == "ctrl+c" {
		return tea.Quit
	}
	switch m.mode {
	case filtering:
		m.keyFilter(k)
		return nil
	case picking:
		return m.keyPicker(k)
	case helping:
		m.mode = watching
		return nil
	}
	return m.keyTable(k)
}

func (m *model) keyTable(k tea.KeyPressMsg) tea.Cmd {
	switch k.String() {
	case "q":
		return tea.Quit
	case "up", "k":
		m.move(-1)
	case "down", "j":
		m.move(1)
	case "pgup":
		m.move(-m.visible())
	case "pgdown":
		m.move(m.visible())
	case "home", "g":
		m.move(-len(m.rows))
	case "end", "G":
		m.move(len(m.rows))
	case "left", "h", "<":
		m.sortBy(-1)
	case "right", "l", ">":
		m.sortBy(1)
	case "r":
		m.up = !m.up
		m.refresh()
	case "/":
		m.mode = filtering
	case "esc":
		m.filter, m.message = "", ""
		m.refresh()
	case "f":
		m.mode = picking
		m.picker = newPicker(m.options.Catalogue, m.families)
	case "b":
		m.by = store.Groupings[(slices.Index(store.Groupings, m.by)+1)%len(store.Groupings)]
		m.cursor, m.top = 0, 0
		m.refresh()
	case "space":
		m.paused = !m.paused
		if !m.paused && m.batch != nil {
			m.take(m.batch)
		}
	case "?", "f1":
		m.mode = helping
	}
	return nil
}

// maxFilter bounds what can be typed.
const maxFilter = 100

func (m *model) keyFilter(k tea.KeyPressMsg) {
	switch k.String() {
	case "enter":
		m.mode = watching
		return
	case "esc":
		m.mode, m.filter = watching, ""
	case "backspace":
		if r := []rune(m.filter); len(r) > 0 {
			m.filter = string(r[:len(r)-1])
		}
	case "ctrl+u":
		m.filter = ""
	default:
		if len(m.filter)+len(k.Text) <= maxFilter {
			m.filter += Printable(k.Text)
		}
	}
	m.refresh()
}

func (m *model) keyPicker(k tea.KeyPressMsg) tea.Cmd {
	switch k.String() {
	case "esc":
		m.mode = watching
	case "enter", "f", "q":
		m.mode = watching
		chosen := m.picker.chosen()
		if len(chosen) == 0 {
			m.message = "at least one family must be shown"
			return nil
		}
		m.show(chosen)
		return m.choose(chosen)
	default:
		m.picker.key(k.String())
	}
	return nil
}
