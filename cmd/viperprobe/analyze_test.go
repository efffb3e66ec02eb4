package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whoever interrupts a long analysis gets the prompt back at once, and no half of a report.
func TestAnalyzeIsInterrupted(t *testing.T) {
	var csv strings.Builder
	csv.WriteString("time")
	for s := range 60 {
		fmt.Fprintf(&csv, ",c/f%d", s)
	}
	for row := range 2000 {
		fmt.Fprintf(&csv, "\n%d", 1700000000+row)
		for s := range 60 {
			fmt.Fprintf(&csv, ",%g", math.Sin(float64(row*(s+1))/50)+float64(row*s%17))
		}
	}
	dir := t.TempDir()
	file, report := filepath.Join(dir, "long.csv"), filepath.Join(dir, "report.html")
	if err := os.WriteFile(file, []byte(csv.String()+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	code := execute(ctx, newParts(), []string{"analyze", file, "--html", report}, &out, &errs)
	if code != exitFailure || out.Len() > 0 || !strings.Contains(errs.String(), "interrupted; nothing was written") {
		t.Errorf("exit code %d, %q, %q", code, out.String(), errs.String())
	}
	if _, err := os.Stat(report); !os.IsNotExist(err) {
		t.Errorf("a report is there: %v", err)
	}
}
