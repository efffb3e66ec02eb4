package tui

import (
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/store"
)

// Rows is store.Top of one batch, with names that can be printed.
func Rows(b *metric.Batch, families []*metric.Family, by store.Grouping) []store.TopRow {
	rows := store.Top([]*metric.Batch{b}, families, by)
	for i := range rows {
		rows[i].Name = Printable(rows[i].Name)
	}
	return rows
}
