// Command viperprobe-agent is the privileged process alone: it measures the
// containers of one machine and hands batches on. It has no store, no server and
// no rights in a cluster.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"viperprobe.dev/viperprobe/internal/cgroup"
)

// Exit codes, as in viperprobe.
const (
	exitFailure     = 1
	exitUsage       = 2
	exitPartial     = 3
	exitUnsupported = 4
)

// A codedError ends the program with its own exit code.
type codedError struct {
	error
	code int
}

func (e codedError) Unwrap() error { return e.error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{
		Use:           "viperprobe-agent",
		Short:         "Measure the containers of this machine (the privileged process alone)",
		SilenceErrors: true, SilenceUsage: true,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return codedError{err, exitUsage} })
	root.AddCommand(newRun(), newCheck())
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "viperprobe-agent: %v\n", err)
		os.Exit(codeOf(err))
	}
}

// noArgs is cobra.NoArgs as a usage error.
func noArgs(c *cobra.Command, args []string) error {
	if err := cobra.NoArgs(c, args); err != nil {
		return codedError{err, exitUsage}
	}
	return nil
}

func codeOf(err error) int {
	var coded codedError
	switch {
	case errors.As(err, &coded):
		return coded.code
	case errors.Is(err, cgroup.ErrNoCgroup2):
		return exitUnsupported
	}
	return exitFailure
}
