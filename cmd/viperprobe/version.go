package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersion() *cobra.Command {
	output := oneOf("table", "json")
	f := flags{}
	c := &cobra.Command{
		Use:     "version",
		Short:   "Print the version of this build",
		Long:    "Version prints the version of this build, the commit it was made from, and its Go." + codes(),
		Example: "  viperprobe version\n  viperprobe version -o json",
		Args:    noArgs,
	}
	f.FlagSet = c.Flags()
	f.output(&output)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := f.err(); err != nil {
			return err
		}
		b := readBuild()
		if output.value == "json" {
			return writeJSON(c.OutOrStdout(), b)
		}
		_, err := fmt.Fprintf(c.OutOrStdout(), "viperprobe %s\ncommit %s\n%s %s/%s\n", b.Version, b.Commit, b.Go, b.OS, b.Arch)
		return err
	}
	return c
}

// A build says what this program was made of.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

func readBuild() build {
	b := build{Version: "unknown", Commit: "unknown", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Version = info.Main.Version
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}
