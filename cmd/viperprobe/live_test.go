package main

import (
	"bytes"
	"errors"
	"testing"

	"viperprobe.dev/viperprobe/internal/control"
)

// What was named and does not work here ends with exit code 3, what is only a part of
// something larger is a note.
func TestUnsupportedIsTold(t *testing.T) {
	part, named := control.Unsupported{Family: "llc_misses", Reason: "no counter"}, control.Unsupported{Family: "io_bytes", Reason: "no file", Named: true}
	const note = "viperprobe: of these do not work here: llc_misses; `viperprobe doctor` says why\n"
	for name, tc := range map[string]struct {
		change      control.Change
		fault, note string
	}{
		"all works":        {},
		"a part of it":     {control.Change{Unsupported: []control.Unsupported{part}}, "", note},
		"named":            {control.Change{Unsupported: []control.Unsupported{named}}, "io_bytes does not work here: no file", ""},
		"both":             {control.Change{Unsupported: []control.Unsupported{part, named}}, "io_bytes does not work here: no file", note},
		"not put in force": {control.Change{Fault: "busy"}, "not in force in full: busy", ""},
	} {
		r := remoteControl{output: oneOf("table", "json")}
		var out, notes bytes.Buffer
		err := r.tell(&out, &notes, []control.Change{tc.change})
		var exit *exitError
		switch {
		case tc.fault == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tc.fault != "" && (!errors.As(err, &exit) || exit.code != exitPartial || exit.Error() != tc.fault):
			t.Errorf("%s: %v, want %s", name, err, tc.fault)
		}
		if notes.String() != tc.note || out.Len() == 0 {
			t.Errorf("%s: noted %q, want %q; printed %q", name, notes.String(), tc.note, out.String())
		}
	}
}
