package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"viperprobe.dev/viperprobe/internal/document"
	"viperprobe.dev/viperprobe/internal/policy"
)

// settings are run's options with where each was written.
type settings struct {
	runOptions
	flags    flags
	config   string
	document *document.Document // nil without --config
}

// defaultControl is the socket of an instance.
const defaultControl = "/run/viperprobe.sock"

func defaults() runOptions {
	return runOptions{
		Interval: span(time.Second), Families: []string{"default"}, Listen: "127.0.0.1:9733", Store: "./viperprobe.data",
		RetentionTime: span(15 * 24 * time.Hour), RetentionSize: 2 << 30, MaxSeries: 50_000, LogFormat: oneOf("text", "json"), Demo: "off", Control: defaultControl,
	}
}

// bindPlan binds the flags that say what is measured.
func (s *settings) bindPlan(set *pflag.FlagSet) {
	s.flags.FlagSet = set
	f := &s.flags
	f.text(&s.Interval, "interval", "duration", "length of a window: how often families are read")
	f.StringSliceVar(&s.Families, "families", s.Families, "what is measured: families, aliases, classes, tiers, beginnings (flow_*), all, or default: all but those on demand; may be repeated")
	f.StringArrayVar(&s.Cgroups, "cgroup", nil, "measure only targets whose cgroup path matches this glob; /** at the end means the tree; may be repeated")
	f.StringArrayVar(&s.ExcludeCgroups, "exclude-cgroup", nil, "leave out targets whose cgroup path matches this glob; may be repeated")
	f.probes(&s.ProbeDir)
}

// bindServer binds the flags that say where samples go.
func (s *settings) bindServer(set *pflag.FlagSet) {
	s.flags.FlagSet = set
	f := &s.flags
	f.StringVar(&s.Listen, "listen", s.Listen, "address of the HTTP server")
	f.StringVar(&s.Store, "store", s.Store, "directory of the store")
	f.text(&s.RetentionTime, "retention-time", "duration", "how long samples are kept")
	f.text(&s.RetentionSize, "retention-size", "size", "how large the store may grow")
	f.text(&s.MaxSeries, "max-series", "count", "how many series are stored; what is over goes to label value other")
	f.StringArrayVar(&s.Policies, "policy", nil, "file or folder of policies, which are followed while they change; may be repeated")
	f.StringVar(&s.Control, "control", s.Control, "unix socket for live control by root and its group; none: none")
	f.StringVar(&s.TLSCert, "tls-cert", "", "serve HTTPS with this certificate (PEM)")
	f.StringVar(&s.TLSKey, "tls-key", "", "key of --tls-cert (PEM)")
	f.StringVar(&s.BasicAuthFile, "basic-auth-file", "", "ask for a password: file with lines user:password or user:bcrypt-hash")
	f.text(&s.LogLevel, "log-level", "level", "debug, info, warn or error")
	f.text(&s.LogFormat, "log-format", "format", "text or json")
	f.BoolVar(&s.Pprof, "pprof", false, "serve /debug/pprof")
	f.text(&s.Demo, "demo", "mode", "start a small workload of our own to have something to see: off, on, or auto, which is on when there is no container")
	f.Lookup("demo").NoOptDefVal = "on"
	f.StringVar(&s.config, "config", "", "YAML file with the same keys as these flags")
}

// load reads the file, lets flags that were given win, adds the person's own
// probes and checks everything. All faults come back together.
func (s *settings) load(p parts) (parts, error) {
	faults := s.flags.faults
	s.flags.faults = nil
	if s.config != "" {
		merged := defaults()
		d, err := document.Read(s.config, &merged, document.Options{Nearest: policy.Nearest})
		if unread := (*fs.PathError)(nil); errors.As(err, &unread) {
			err = fmt.Errorf("--config: %w", unread)
		}
		if err != nil {
			return p, errors.Join(append(faults, err)...)
		}
		s.document = d
		if err := s.merge(merged); err != nil {
			return p, err
		}
	}
	p, err := p.withProbes(s.ProbeDir)
	if err != nil {
		faults = append(faults, err)
	}
	return p, errors.Join(append(faults, s.check(p.families)...)...)
}

// merge puts the file's values in place of those that no flag gave.
func (s *settings) merge(file runOptions) error {
	values := map[*pflag.Flag][]string{}
	s.flags.Visit(func(f *pflag.Flag) {
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values[f] = list.GetSlice()
		} else {
			values[f] = []string{f.Value.String()}
		}
	})
	s.runOptions = file
	var faults []error
	for f, given := range values {
		if list, ok := f.Value.(pflag.SliceValue); ok {
			faults = append(faults, list.Replace(given))
		} else {
			faults = append(faults, f.Value.Set(given[0]))
		}
	}
	return errors.Join(faults...)
}

// fault says where the setting key was written and what is wrong with it.
func (s *settings) fault(key, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	name, _, _ := strings.Cut(key, "[")
	if s.document != nil && s.document.Line(name) > 0 && !s.flags.Changed(name) {
		return s.document.Fault(key, what)
	}
	return fmt.Errorf("--%s: %s", name, what)
}

// origin is where the setting key was written, for people.
func (s *settings) origin(key string) string {
	if s.document != nil && s.document.Line(key) > 0 && !s.flags.Changed(key) {
		return fmt.Sprintf("%s:%d", s.document.File, s.document.Line(key))
	}
	return "--" + key
}
