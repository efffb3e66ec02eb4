package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every command in README.md is one of testdata/readme.txtar, which runs it.
func TestReadmeCommandsRun(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("testdata/readme.txtar")
	if err != nil {
		t.Fatal(err)
	}
	run := strings.Split(string(script), "\n")
	commands := regexp.MustCompile(`(?m)^viperprobe [^#\n]*`).FindAllString(string(readme), -1)
	if len(commands) < 8 {
		t.Errorf("README.md has only these commands: %q", commands)
	}
	for _, c := range commands {
		c = strings.TrimSpace(c)
		if !slices.ContainsFunc(run, func(line string) bool { return strings.Contains(line+" ", " "+c+" ") }) {
			t.Errorf("README.md shows `%s`, which testdata/readme.txtar does not run", c)
		}
	}
}
