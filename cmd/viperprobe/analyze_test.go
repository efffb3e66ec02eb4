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

	"viperprobe.dev/viperprobe/internal/analysis"
	"viperprobe.dev/viperprobe/internal/policy"
)

// Two series of one family that differ by their label are two entries, and the document is one that diff reads.
func TestAnalyzeKeepsLabels(t *testing.T) {
	var csv strings.Builder
	csv.WriteString("time,db/block_latency(read).p99,db/block_latency(write).p99")
	for row := range 200 {
		fmt.Fprintf(&csv, "\n%d,%g,%d", row, math.Sin(float64(row)/9), row%40/20)
	}
	dir := t.TempDir()
	file, critical := filepath.Join(dir, "disk.csv"), filepath.Join(dir, "disk.yaml")
	if err := os.WriteFile(file, []byte(csv.String()+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := execute(t.Context(), newParts(), []string{"analyze", file, "--critical", critical}, &out, &errs); code != 0 {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	text, err := os.ReadFile(critical)
	if err != nil {
		t.Fatal(err)
	}
	for _, label := range []string{"read", "write"} {
		if !strings.Contains(string(text), "- family: block_latency\n          statistic: p99\n          label: "+label+"\n") {
			t.Errorf("no entry of label %s in\n%s", label, text)
		}
	}
	if _, err := policy.Parse([]policy.File{{Name: "disk.yaml", Data: text}}, newParts().families); err != nil {
		t.Error(err)
	}
}

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

// Of no violation none was missed, and of no alarm none was wrong: there is no share to tell, and no lead.
func TestAnalyzeTableWithoutViolations(t *testing.T) {
	x := analyzed{results: []analysis.Result{{Algorithm: "rps", Score: &analysis.Score{AP: .5}},
		{Algorithm: "all", Score: &analysis.Score{AP: .5, Recall: 1, Precision: 1, MedianLead: 7, Events: analysis.Events{Episodes: 1, Detected: 1, Alarms: 1, True: 1}}}}}
	var b bytes.Buffer
	if err := x.printSideBySide(&b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	if got, want := strings.Fields(lines[1]), "rps 0 0 - - 0.0 - 0.50"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %s", got, want)
	}
	if got, want := strings.Fields(lines[2]), "all 0 0 100 % 100 % 0.0 7 s 0.50"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %s", got, want)
	}
}
