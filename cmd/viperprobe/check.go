package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
)

// The shortest and longest windows. Below 100 ms the cost of reading snapshots
// is no longer small; above an hour gauges say nothing.
const (
	minInterval = 100 * time.Millisecond
	maxInterval = time.Hour
)

// check is every fault of the settings that a single value does not show.
func (s *settings) check(catalogue []*metric.Family) []error {
	var faults []error
	add := func(key, format string, args ...any) { faults = append(faults, s.fault(key, format, args...)) }
	if d := time.Duration(s.Interval); d < minInterval || d > maxInterval {
		add("interval", "want between %v and 1h, have %v", minInterval, d)
	}
	for i, name := range s.Families {
		if _, err := policy.Resolve([]string{name}, catalogue); err != nil {
			add(fmt.Sprintf("families[%d]", i), "%v", err)
		}
	}
	if len(s.Families) == 0 {
		add("families", "want at least one; `viperprobe metrics` lists them")
	}
	faults = append(faults, s.checkGlobs("cgroup", s.Cgroups)...)
	faults = append(faults, s.checkGlobs("exclude-cgroup", s.ExcludeCgroups)...)
	if what := badAddress(s.Listen); what != "" {
		add("listen", "%s", what)
	}
	if s.Store == "" {
		add("store", "want a directory, have nothing")
	}
	if s.Control == "" || len(s.Control) > maxSocket {
		add("control", "want the path of a unix socket, of at most %d bytes, or none", maxSocket)
	}
	if s.RetentionTime <= 0 {
		add("retention-time", "want more than 0")
	}
	if s.RetentionSize <= 0 {
		add("retention-size", "want more than 0")
	}
	switch {
	case s.TLSCert != "" && s.TLSKey == "":
		add("tls-cert", "has no key: give --tls-key too")
	case s.TLSCert == "" && s.TLSKey != "":
		add("tls-key", "has no certificate: give --tls-cert too")
	}
	return append(faults, s.checkPaths()...)
}

// maxSocket is how long the kernel lets the path of a unix socket be.
const maxSocket = 107

func (s *settings) checkPaths() []error {
	var faults []error
	for _, p := range []struct {
		key, path string
	}{
		{"tls-cert", s.TLSCert},
		{"tls-key", s.TLSKey},
		{"basic-auth-file", s.BasicAuthFile},
	} {
		if p.path == "" {
			continue
		}
		switch info, err := os.Stat(p.path); {
		case err != nil:
			faults = append(faults, s.fault(p.key, "%v", err))
		case info.IsDir():
			faults = append(faults, s.fault(p.key, "%s is a directory, want a file", p.path))
		}
	}
	if len(faults) == 0 && s.TLSCert != "" && s.TLSKey != "" {
		if _, err := tls.LoadX509KeyPair(s.TLSCert, s.TLSKey); err != nil {
			faults = append(faults, s.fault("tls-cert", "cannot serve HTTPS with %s and key %s: %v", s.TLSCert, s.TLSKey, err))
		}
	}
	return faults
}

func (s *settings) checkGlobs(key string, globs []string) []error {
	var faults []error
	for i, g := range globs {
		key := fmt.Sprintf("%s[%d]", key, i)
		if err := policy.CheckGlob(g); err != nil {
			faults = append(faults, s.fault(key, "%v", err))
		} else if !strings.HasPrefix(g, "/") {
			faults = append(faults, s.fault(key, "%q matches nothing: want a path from the root of the cgroup tree, such as /system.slice/**", g))
		}
	}
	return faults
}

func badAddress(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Sprintf("want host:port, such as 127.0.0.1:9733, have %q", address)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Sprintf("want a port from 0 to 65535, have %q", port)
	} else if n == 0 && port != "0" {
		return fmt.Sprintf("want a port, have %q", port)
	}
	return ""
}
