package recording

import (
	"encoding/csv"
)

func isLong(header []string) bool { return false }

func readLongCSV(file string, in *csv.Reader, header []string, b *budget) (*table, error) {
	return nil, nil
}
