package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// stormEnv makes this program the storm: its value is a duration.
const stormEnv = "VIPERPROBE_STORM"

// startStorm runs a storm in a process of its own to its end.
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

// storm makes two threads on each CPU hand a byte to and fro for the time that the
// environment says.
func storm() {
	d, err := time.ParseDuration(os.Getenv(stormEnv))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	for cpu := range runtime.NumCPU() {
		var there, back [2]int
		if unix.Pipe(there[:]) != nil || unix.Pipe(back[:]) != nil {
			os.Exit(1)
		}
		go hand(cpu, there[0], back[1])
		go hand(cpu, back[0], there[1])
		_, _ = unix.Write(there[1], []byte{1}) // an empty pipe takes it
	}
	time.Sleep(d)
}

func hand(cpu, from, to int) {
	runtime.LockOSThread()
	var cpus unix.CPUSet
	cpus.Set(cpu)
	_ = unix.SchedSetaffinity(0, &cpus) // elsewhere it storms, too
	b := make([]byte, 1)
	for {
		if n, err := unix.Read(from, b); err != nil || n == 0 {
			return
		}
		if _, err := unix.Write(to, b); err != nil {
			return
		}
	}
}
