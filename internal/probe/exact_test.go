package probe

import (
	"fmt"
	"strings"
	"testing"
)

// exactOnce has a test tried up to 5 times, of which one must be without fault.
//
// The kernel of the build machine, a paravirtual 6.18, does not run the programs of
// a tracepoint at all for some of its hits when the machine is busy, all programs
// alike, a few ms long, and counts no miss: of 12,920 switches in /proc/stat's ctxt
// an unconditional program on sched_switch saw 12,886. Debian's kernels do not do
// that. What we lose or count twice ourselves comes back in every try.
func exactOnce(t *testing.T, try func(t testing.TB)) {
	t.Helper()
	var all []string
	for range 5 {
		r := &recorder{TB: t}
		try(r)
		r.over = true
		if len(r.faults) == 0 {
			return
		}
		all = append(all, strings.Join(r.faults, "\n"))
	}
	t.Errorf("no try of %d was exact:\n%s", len(all), strings.Join(all, "\n--\n"))
}

// A recorder is a test whose errors are kept and decided on later.
type recorder struct {
	testing.TB
	faults []string
	over   bool // the try: what clean-ups find is the test's own fault
}

func (r *recorder) Errorf(format string, args ...any) {
	r.Helper()
	r.Error(fmt.Sprintf(format, args...))
}

func (r *recorder) Error(args ...any) {
	r.Helper()
	if r.over {
		r.TB.Error(args...)
		return
	}
	r.faults = append(r.faults, fmt.Sprint(args...))
}
