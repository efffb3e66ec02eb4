package kerneltest

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The program runs, and says back what it was told.
func TestCallsRuns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls")
	if err := os.WriteFile(path, Calls(), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path)
	in := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, 1000), 7)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output()
	if err != nil || !bytes.Equal(in, out) {
		t.Errorf("said %x, %v; want %x", out, err, in)
	}
}
