package main

import (
	"fmt"

	"viperprobe.dev/viperprobe/internal/probe"
)

// checkRights says which capabilities are missing, if no program can be loaded or
// attached without them, and how to grant them.
func checkRights() error {
	missing, needed, err := probe.MissingRights("/proc/self/status")
	if err != nil {
		return fmt.Errorf("read own capabilities: %w", err)
	}
	if needed {
		return fmt.Errorf("rights: %s", missing)
	}
	return nil
}
