package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"

	"viperprobe.dev/viperprobe/internal/kerneltest"
)

// stormEnv makes this program the storm: its value is a duration.
const stormEnv = "VIPERPROBE_STORM"

// startStorm runs a storm on all CPUs in a process of its own, to its end: what it costs
// is not the agent's.
func startStorm(d time.Duration) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), stormEnv+"="+d.String())
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("storm: %w", err)
	}
	return nil
}

func storm(length string) error {
	d, err := time.ParseDuration(length)
	if err != nil {
		return err
	}
	stop := kerneltest.Storm(runtime.NumCPU())
	time.Sleep(d)
	stop()
	return nil
}
