package kerneltest

import (
	"bytes"
	"strings"
	"syscall"
	"testing"
)

// Exact says that a test compares values of the named families with another account
// of the same events: equal, or within the error that the row declares. Once the
// test has passed, the output of go test -v has a line "matrix: exact TEST FAMILY
// ...", from which test/matrix.sh makes the column of this kernel in docs/kernels.md.
// Where the test leaves early because the kernel lacks a hook, call it behind that.
func Exact(t testing.TB, families ...string) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() || t.Skipped() {
			return
		}
		test, _, _ := strings.Cut(t.Name(), "/")
		t.Logf("matrix: exact %s %s", test, strings.Join(families, " "))
	})
}

// Hook says by which hook a family works on this kernel, for the same table.
func Hook(t testing.TB, family, hook string) {
	t.Helper()
	t.Logf("matrix: hook %s %s", family, hook)
}

// Series is the running kernel's version without its last parts, as in "6.12".
func Series(t testing.TB) string {
	t.Helper()
	var u syscall.Utsname
	if err := syscall.Uname(&u); err != nil {
		t.Fatal(err)
	}
	var release bytes.Buffer
	for _, c := range u.Release {
		if c == 0 {
			break
		}
		release.WriteByte(byte(c))
	}
	parts := strings.SplitN(release.String(), ".", 3)
	if len(parts) < 3 {
		t.Fatalf("this kernel calls itself %q", release.String())
	}
	return parts[0] + "." + parts[1]
}
