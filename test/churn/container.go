package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"viperprobe.dev/viperprobe/test/rig"
)

// containersAtOnce is how many containers live at the same time: runc itself takes
// a multiple of what they do.
const containersAtOnce = 4

func (c *churn) containerID(i int) string { return fmt.Sprintf("%s-c%d", c.tag, i) }

// containersIn runs all containers, each with this program inside. made is called
// as soon as a container's cgroup is there.
func (c *churn) containersIn(made func(i int)) error {
	dir, err := os.MkdirTemp("", "viperprobe-churn")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := copyProgram(filepath.Join(dir, "churn")); err != nil {
		return err
	}
	errs := make(chan error, c.containers)
	room := make(chan struct{}, containersAtOnce)
	var wait sync.WaitGroup
	for i := range c.containers {
		room <- struct{}{}
		wait.Go(func() {
			errs <- c.containerIn(dir, i, made)
			<-room
		})
	}
	wait.Wait()
	close(errs)
	for e := range errs {
		err = errors.Join(err, e)
	}
	return err
}

func copyProgram(to string) error {
	in, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func (c *churn) containerIn(dir string, i int, made func(int)) error {
	id := c.containerID(i)
	bundle := filepath.Join(dir, id)
	root := filepath.Join(bundle, "rootfs")
	if err := os.MkdirAll(filepath.Join(root, "proc"), 0o755); err != nil {
		return err
	}
	if err := os.Link(filepath.Join(dir, "churn"), filepath.Join(root, "churn")); err != nil {
		return err
	}
	if err := writeConfig(bundle, id, shareOf(i)); err != nil {
		return err
	}
	cmd := exec.Command("runc", "run", "--bundle", bundle, id)
	cmd.Dir, cmd.Stderr = bundle, os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	at := filepath.Join(c.host.V2, id)
	if !rig.Poll(10*time.Second, func() bool { _, err := os.Stat(at); return err == nil }) {
		return fmt.Errorf("container %s: no cgroup after 10 s", id)
	}
	made(i)
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("runc run %s: %w", id, err)
	}
	return os.RemoveAll(bundle)
}

func writeConfig(bundle, id string, s share) error {
	type object = map[string]any
	config, err := json.Marshal(object{
		"ociVersion": "1.0.2",
		"process":    object{"args": []string{"/churn"}, "env": []string{s.env()}, "cwd": "/"},
		"root":       object{"path": "rootfs"},
		"mounts":     []object{{"destination": "/proc", "type": "proc", "source": "proc"}},
		"linux":      object{"cgroupsPath": "/" + id, "namespaces": []object{{"type": "pid"}, {"type": "mount"}}},
	})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(bundle, "config.json"), config, 0o644)
}

// nameLimit is within how long 99 of 100 containers should have their names. A busy
// machine may take longer, so it is printed and not tested.
const nameLimit = 200 * time.Millisecond

// naming runs the containers again under an agent with short windows, to see how
// long each waits for its name: from when its cgroup is there to the end of the
// first window that names it.
func (c *churn) naming() error {
	if c.containers == 0 {
		return nil
	}
	c.tag += "-n"
	a, err := rig.StartAgent(c.agent, c.families, "--interval", "50ms")
	if err != nil {
		return err
	}
	var mu sync.Mutex
	made := map[string]time.Time{}
	err = a.Windows(2)
	err = errors.Join(err, c.containersIn(func(i int) {
		mu.Lock()
		defer mu.Unlock()
		made["/"+c.containerID(i)] = time.Now()
	}))
	l, stopErr := a.Stop()
	if err := errors.Join(err, stopErr); err != nil {
		return err
	}
	var waits []time.Duration
	for path, at := range made {
		named, ok := l.Named[path]
		if !ok {
			err = errors.Join(err, fmt.Errorf("container %s was never named", path))
		}
		if seen := l.Targets[path].Started; seen.Before(at) {
			at = seen
		}
		waits = append(waits, named.Sub(at))
	}
	slices.Sort(waits)
	p50, p99 := waits[len(waits)/2], waits[(len(waits)*99-1)/100]
	verdict := "held"
	if p99 > nameLimit {
		verdict = "NOT held"
	}
	fmt.Printf("churn: a container's name is in the output after %v (p50), %v (p99), windows of 50 ms included; at most %v: %s\n",
		p50.Round(time.Millisecond), p99.Round(time.Millisecond), nameLimit, verdict)
	return err
}
