// Package catalogue is every metric family that ViperProbe knows, as data: one Go
// file of rows beside one X.bpf.c per hook group, and the compiled objects. It
// hands out rows and bytes; package probe makes them run.
package catalogue

import (
	"embed"
	"fmt"

	"viperprobe.dev/viperprobe/internal/metric"
)

// Object files are built by `make gen`, committed, and compared in CI.
//
//go:embed obj/*.o
var objects embed.FS

// Families is the catalogue in documentation order. Each call makes new rows:
// a process asks once and passes them on.
func Families() []*metric.Family {
	var all []*metric.Family
	for _, rows := range [][]metric.Family{fileRows(), schedRows(), waitRows(), pmuRows(), taskRows(), socketRows(), flowRows(), netdropRows(), udpRows(), unixRows(), dnsRows(), faultRows(), reclaimRows(), tlbRows(), pagecacheRows(), blockRows(), requestRows(), unixRequestRows(), protocolRows(), processRows(), syscallRows(), softirqRows(), appRows(), agentRows()} {
		for i := range rows {
			all = append(all, &rows[i])
		}
	}
	price(all)
	return all
}

// Object is the compiled object of a hook group, as an ELF file.
func Object(name string) ([]byte, error) {
	b, err := objects.ReadFile("obj/" + name + ".o")
	if err != nil {
		return nil, fmt.Errorf("hook group %q: no such object in this build", name)
	}
	return b, nil
}
