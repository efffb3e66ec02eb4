package tui

import (
	"cmp"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/store"
)

type mode int

const (
	watching mode = iota
	filtering
	picking
	helping
)

// A model is the state of the screen. It is changed by update alone, and needs
// no terminal.
type model struct {
	options       Options
	width, height int

	batch  *metric.Batch // the last one; what is shown unless paused
	shown  *metric.Batch
	paused bool
	ended  bool // no more batches will come
	ill    bool // getting batches goes wrong

	families []*metric.Family // shown
	columns  []column
	by       store.Grouping
	sort     string // family of the column, then its stat; "" sorts by name
	up       bool   // smallest first
	filter   string
	rows     []store.TopRow // filtered and sorted

	mode     mode
	selected string // identity of the row under the cursor
	cursor   int    // its index in rows
	top      int    // first row on the screen
	left     int    // first column on the screen
	picker   picker
	message  string // of the last thing that went wrong, until Esc
}

func newModel(o Options) *model {
	m := &model{options: o, by: o.By, width: 80, height: 24, message: o.Message}
	m.show(o.Families)
	if len(m.columns) > 0 {
		m.sort = m.columns[0].key()
	}
	for _, c := range m.columns {
		if c.family.Name == o.Sort {
			m.sort = c.key() // of a histogram the last, which is p99
		}
	}
	return m
}

func (c column) key() string { return c.family.Name + " " + c.stat }

// show makes families the columns.
func (m *model) show(families []*metric.Family) {
	m.families, m.columns, m.left = families, columnsOf(families), 0
	if m.sortColumn() < 0 && m.sort != "" && len(m.columns) > 0 {
		m.sort = m.columns[0].key()
	}
	m.refresh()
}

// sortColumn is the index of the column that rows are sorted by; -1 for the name.
func (m *model) sortColumn() int {
	return slices.IndexFunc(m.columns, func(c column) bool { return c.key() == m.sort })
}

// tell shows err until Esc; nil shows that all is well.
func (m *model) tell(err error) {
	m.message = ""
	if err != nil {
		m.message = err.Error()
	}
}

func (m *model) take(b *metric.Batch) {
	m.batch = b
	if !m.paused {
		m.shown = b
		m.refresh()
	}
}

// refresh makes the rows anew and keeps the cursor on its target.
func (m *model) refresh() {
	if m.shown == nil {
		return
	}
	m.rows = slices.DeleteFunc(Rows(m.shown, m.families, m.by), func(r store.TopRow) bool { return !matches(&r, m.filter) })
	if i := m.sortColumn(); i >= 0 {
		slices.SortStableFunc(m.rows, func(a, b store.TopRow) int { return m.compare(m.columns[i], &a, &b) })
	} else if m.up {
		slices.Reverse(m.rows)
	}
	if i := slices.IndexFunc(m.rows, func(r store.TopRow) bool { return identity(&r) == m.selected }); i >= 0 {
		m.cursor = i
	}
	m.move(0)
}

// compare puts large values first, and rows that have none last either way.
func (m *model) compare(c column, a, b *store.TopRow) int {
	x, xok := c.value(a)
	y, yok := c.value(b)
	switch {
	case xok && yok && m.up:
		return cmp.Compare(x, y)
	case xok && yok:
		return cmp.Compare(y, x)
	case xok:
		return -1
	case yok:
		return 1
	}
	return 0
}

// identity is a row from one window to the next.
func identity(r *store.TopRow) string { return string(r.Target.ID) + " " + r.Name }

func matches(r *store.TopRow, filter string) bool {
	if filter == "" {
		return true
	}
	t := &r.Target
	for _, s := range []string{r.Name, t.Namespace, t.Pod, t.Container, t.Workload, t.Cgroup} {
		if strings.Contains(strings.ToLower(s), strings.ToLower(filter)) {
			return true
		}
	}
	return false
}

// move moves the cursor by n rows and scrolls so that it is on the screen.
func (m *model) move(n int) {
	m.cursor = max(0, min(m.cursor+n, len(m.rows)-1))
	if n != 0 {
		m.selected = "" // the first row is a place, not a target
		if m.cursor > 0 {
			m.selected = identity(&m.rows[m.cursor])
		}
	}
	visible := m.visible()
	m.top = max(0, min(m.top, len(m.rows)-visible))
	m.top = min(m.top, m.cursor)
	m.top = max(m.top, m.cursor-visible+1)
}

// sortBy moves the sort by n columns; ahead of the first is the name.
func (m *model) sortBy(n int) {
	i := max(-1, min(m.sortColumn()+n, len(m.columns)-1))
	m.sort, m.up = "", i < 0 && m.up
	if i >= 0 {
		m.sort = m.columns[i].key()
	}
	m.refresh()
	m.reveal(i)
}

// reveal scrolls sideways until column i is on the screen.
func (m *model) reveal(i int) {
	if i < m.left {
		m.left = 0
	}
	for i >= 0 && m.left < i && !m.on(i) {
		first := m.columns[m.left].family
		for m.left < i && m.columns[m.left].family == first {
			m.left++
		}
	}
}

func (m *model) on(i int) bool {
	for _, s := range m.spans() {
		if slices.Contains(s.columns, i) {
			return true
		}
	}
	return false
}

// Init, Update and View make the model a tea.Model.
func (m *model) Init() tea.Cmd { return tea.Batch(m.next(), m.nextFault()) }

// Update takes one event.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
		m.move(0)
		m.reveal(m.sortColumn())
	case batchMsg:
		m.take(msg.batch)
		return m, m.next()
	case endMsg:
		m.ended = true
	case faultMsg:
		m.ill = msg.err != nil
		m.tell(msg.err)
		return m, m.nextFault()
	case chosenMsg:
		m.tell(msg.err)
	case tea.KeyPressMsg:
		return m, m.key(msg)
	}
	return m, nil
}
