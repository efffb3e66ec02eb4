package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"viperprobe.dev/viperprobe/internal/metric"
)

// A finding says whether a family works here: by which hook, or why not and what
// to do.
type finding struct {
	Family string `json:"family"`
	Works  bool   `json:"works"`
	Hook   string `json:"hook"`
	Reason string `json:"reason"`
}

func newDoctor(p parts) *cobra.Command {
	output := oneOf("table", "json")
	f, probes := flags{}, ""
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Say which families work on this machine, and why others do not",
		Long: `Doctor looks at this kernel, the rights of the caller and the mounts that are
needed, loads and attaches every family once, and says which work, by which hook,
and for each that does not the reason and what to do. It leaves nothing behind.

-o json prints an array of {family, works, hook, reason}; what is wrong with the
machine is then told on standard error.

Exit codes: 0 everything works, 1 failure, 2 wrong usage, 3 some families do not
work, 4 none of those that need BPF does.`,
		Example: "  viperprobe doctor\n  viperprobe doctor -o json | jq '.[] | select(.works | not)'",
		Args:    noArgs,
	}
	f.FlagSet = c.Flags()
	f.output(&output)
	f.probes(&probes)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := f.err(); err != nil {
			return err
		}
		p, err := p.withProbes(probes)
		if err != nil {
			return usage(err)
		}
		signs := examine("/")
		findings, more := p.check(p)
		signs = append(signs, more...)
		if output.value == "json" {
			for _, s := range signs {
				if s.mark == fault {
					fmt.Fprintf(c.ErrOrStderr(), "viperprobe: %s: %s\n", s.what, s.text)
				}
			}
			err = writeJSON(c.OutOrStdout(), findings)
		} else {
			err = writeDiagnosis(c, signs, findings)
		}
		if err != nil {
			return err
		}
		if code := diagnose(findings, p.families); code != exitOK {
			return &exitError{code: code}
		}
		return nil
	}
	return c
}

// diagnose is the exit code of what was found.
func diagnose(findings []finding, families []*metric.Family) int {
	works := map[string]bool{}
	for _, f := range findings {
		works[f.Family] = f.Works
	}
	kernel, refused := 0, 0
	for _, f := range families {
		if !works[f.Name] {
			refused++
		} else if f.Tier == metric.Snapshot || f.Tier == metric.Event {
			kernel++
		}
	}
	switch {
	case kernel == 0:
		return exitUnsupported
	case refused > 0:
		return exitPartial
	}
	return exitOK
}

func writeDiagnosis(c *cobra.Command, signs []sign, findings []finding) error {
	w := c.OutOrStdout()
	for _, s := range signs {
		if _, err := fmt.Fprintf(w, "%s  %-14s %s\n", s.mark, s.what, s.text); err != nil {
			return err
		}
	}
	fmt.Fprintln(w)
	t := newTable(w, "FAMILY", "WORKS", "BY, OR WHY NOT")
	working := 0
	for _, f := range findings {
		if f.Works {
			working++
			t.row(f.Family, "yes", f.Hook)
		} else {
			t.row(f.Family, "no", f.Reason)
		}
	}
	if err := t.flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%d of %d families work here.\n", working, len(findings))
	return err
}
