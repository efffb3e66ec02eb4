// Command viperprobe measures kernel-level metrics of every container of a
// machine with eBPF, stores them and shows them. Each subcommand is one file;
// engine.go joins the packages below.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"viperprobe.dev/viperprobe/internal/policy"
)

// Exit codes are part of what scripts may rely on.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitPartial     = 3
	exitUnsupported = 4
)

// An exitError ends the program with a code other than exitFailure. Its err may
// be nil: then everything has been said on standard output.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func usage(err error) error {
	if err == nil {
		return nil
	}
	return &exitError{exitUsage, err}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := execute(ctx, newParts(), os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// execute runs one command line and gives its exit code.
func execute(ctx context.Context, p parts, args []string, stdout, stderr io.Writer) int {
	root := newRoot(p)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	command, err := root.ExecuteContextC(ctx)
	if err == nil || errors.Is(err, syscall.EPIPE) {
		return exitOK
	}
	exit := &exitError{code: exitFailure, err: err}
	errors.As(err, &exit)
	if exit.err != nil {
		for line := range strings.SplitSeq(strings.TrimRight(exit.err.Error(), "\n"), "\n") {
			fmt.Fprintln(stderr, "viperprobe:", line)
		}
	}
	if exit.code == exitUsage {
		fmt.Fprintf(stderr, "`%s --help` explains.\n", command.CommandPath())
	}
	return exit.code
}

func newRoot(p parts) *cobra.Command {
	root := &cobra.Command{
		Use:   "viperprobe",
		Short: "eBPF metrics per container, cheap enough to leave on",
		Long: `ViperProbe measures kernel-level metrics per container with eBPF: how long tasks
wait for a CPU, what disks and connections do, how long requests take. Nothing in
the containers is changed.`,
		Example: `  viperprobe run             measure this machine, serve on 127.0.0.1:9733
  viperprobe top             watch its containers
  viperprobe doctor          which families work here, and why others do not`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
	}
	root.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		var words []string
		for _, sub := range c.Commands() {
			words = append(words, sub.Name())
		}
		hint := ""
		if near := policy.Nearest(args[0], words); near != "" {
			hint = fmt.Sprintf(", did you mean %q?", near)
		}
		return usage(fmt.Errorf("unknown command %q%s", args[0], hint))
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(newRun(p), newTop(p), newMetrics(p), newDoctor(p), newQuery(p), newFlows(p), newExport(p),
		newAnalyze(p), newSet(), newFull(), newUnset(), newChanges(), newExplain(), newProbes(), newDiff(), newCost(), newVersion(), newDemo())
	return root
}

// flagError adds the nearest flag to an unknown one.
func flagError(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		var words []string
		c.Flags().VisitAll(func(f *pflag.Flag) { words = append(words, f.Name) })
		if near := policy.Nearest(unknown.GetSpecifiedName(), words); near != "" {
			err = fmt.Errorf("%w, did you mean --%s?", err, near)
		}
	}
	return usage(err)
}

// noArgs is cobra.NoArgs as a usage error.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(fmt.Errorf("%s takes no arguments, have %q", c.Name(), args[0]))
	}
	return nil
}

// codes is the section of a command's help about its exit codes.
func codes(more ...string) string {
	return "\n\nExit codes: 0 done, 1 failure, 2 wrong usage" + strings.Join(append([]string{""}, more...), ", ") + "."
}
