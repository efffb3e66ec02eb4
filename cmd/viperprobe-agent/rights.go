package main

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// checkRights says which capability is missing without which no program can be
// loaded or attached, and how to grant it. CAP_SYS_ADMIN stands for both.
func checkRights() error {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&head, &data[0]); err != nil {
		return fmt.Errorf("read own capabilities: %w", err)
	}
	has := func(bit int) bool { return data[bit/32].Effective&(1<<(bit%32)) != 0 }
	var missing []string
	for _, c := range []struct {
		bit  int
		name string
	}{{unix.CAP_BPF, "CAP_BPF (to load programs)"}, {unix.CAP_PERFMON, "CAP_PERFMON (to attach programs)"}} {
		if !has(c.bit) && !has(unix.CAP_SYS_ADMIN) {
			missing = append(missing, c.name)
		}
	}
	if missing == nil {
		return nil
	}
	return fmt.Errorf("rights: missing %s: run as root, with AmbientCapabilities= in a systemd unit, or securityContext.capabilities.add in Kubernetes", strings.Join(missing, ", "))
}
