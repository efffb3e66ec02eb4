package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/test/rig"
)

const tenants = 100

// crowd is the containers that are measured.
type crowd struct {
	groups []*rig.Group
	stdins []io.Closer
	cmds   []*exec.Cmd
}

func (b *bench) newCrowd() (*crowd, error) {
	c := &crowd{}
	self, err := os.Executable()
	if err != nil {
		return c, err
	}
	for i := range tenants {
		g, err := rig.NewGroup(b.host, fmt.Sprintf("/vp-bench-%d-%d", os.Getpid(), i), "cpu", "cpuacct", "memory", "blkio")
		c.groups = append(c.groups, g)
		if err != nil {
			return c, err
		}
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), roleEnv+"=tenant", "GOMAXPROCS=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			return c, err
		}
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = g.Start(cmd)
		}
		if err != nil {
			return c, err
		}
		c.stdins, c.cmds = append(c.stdins, in), append(c.cmds, cmd)
		if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			return c, fmt.Errorf("tenant %d: %w", i, err)
		}
	}
	return c, nil
}

func (c *crowd) end() (err error) {
	for i, in := range c.stdins {
		in.Close()
		err = errors.Join(err, c.cmds[i].Wait())
	}
	for _, g := range c.groups {
		err = errors.Join(err, g.Remove())
	}
	return err
}

func (c *crowd) tasks() (n int) {
	for _, cmd := range c.cmds {
		entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", cmd.Process.Pid))
		n += len(entries)
	}
	return n
}

// tiers measures what it costs to look at idle containers once a second.
func (b *bench) tiers() (err error) {
	c, err := b.newCrowd()
	defer func() { err = errors.Join(err, c.end()) }()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "viperprobe-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	stored := func(families string) []string {
		return []string{b.viperprobe, "run", "--families", families, "--listen", "127.0.0.1:0", "--store", dir + "/" + families, "--log-level", "error"}
	}
	subjects := append([]subject{
		{name: "file and snapshot tiers, agent alone", command: []string{b.agent, "run", "--families", "file,snapshot"}},
		{name: "file and snapshot tiers, with the store", command: stored("file,snapshot")},
		{name: "default families, agent alone", command: []string{b.agent, "run"}},
		{name: "default families, with the store", command: stored("default")},
	}, b.peers...)
	cost := &tierCost{cpu: map[string][]float64{}, rss: map[string][]float64{}, maps: map[string]mapBytes{}}
	rounds := max(1, b.rounds/2)
	if err := inTurn(subjects, rounds, func(s subject, r *running) error { return cost.measure(s, r, b.seconds) }); err != nil {
		return err
	}
	fmt.Printf("\n## %d containers, %d tasks, %d sockets in %d network namespaces, 1 Hz (%d rounds of %d s)\n\n",
		tenants, c.tasks(), tenants*2*pairs, tenants, rounds, b.seconds)
	fmt.Printf("| subject | %% of one CPU | RSS, MiB | kernel maps, MiB: here | 8 CPUs | 64 CPUs | 128 CPUs |\n|---|---|---|---|---|---|---|\n")
	for _, s := range subjects {
		m := cost.maps[s.name]
		fmt.Printf("| %s | %s | %s | %.1f | %.1f | %.1f | %.1f |\n", s.name, spread(cost.cpu[s.name], "%.2f"), spread(cost.rss[s.name], "%.0f"),
			mib(m.fixed+m.perCPU), mib(m.on(8)), mib(m.on(64)), mib(m.on(128)))
	}
	return nil
}

type tierCost struct {
	cpu, rss map[string][]float64
	maps     map[string]mapBytes
}

func (c *tierCost) measure(s subject, r *running, seconds int) error {
	<-time.After(12 * time.Second) // the first windows open files, make cells, and find out which targets sleep
	before, err := r.cpu()
	if err != nil {
		return err
	}
	began := time.Now()
	<-time.After(time.Duration(seconds) * time.Second)
	after, err := r.cpu()
	if err != nil {
		return err
	}
	c.cpu[s.name] = append(c.cpu[s.name], 100*(after-before).Seconds()/time.Since(began).Seconds())
	kib, err := r.rss()
	if err != nil {
		return err
	}
	c.rss[s.name] = append(c.rss[s.name], kib/1024)
	if c.maps[s.name], err = measureMaps(r.cmd.Process.Pid); err != nil || s.url == "" {
		return err
	}
	n, err := shows(s.url, regexp.MustCompile(fmt.Sprintf(`vp-bench-%d-[0-9]+`, os.Getpid())))
	if err == nil && n != tenants {
		err = fmt.Errorf("%s shows %d of %d containers", s.name, n, tenants)
	}
	return err
}

// mapBytes is the kernel memory of maps: what is the same everywhere, and what
// there is once for each CPU here.
type mapBytes struct {
	fixed, perCPU float64
	cpus          int
}

func (m mapBytes) on(cpus int) float64 { return m.fixed + m.perCPU*float64(cpus)/float64(m.cpus) }

func mib(bytes float64) float64 { return bytes / (1 << 20) }

// measureMaps adds up the maps of a process. Histograms of families that are per
// CPU, and cells of their hook groups, have a copy for each; so have maps of the
// kernel's own per-CPU types.
func measureMaps(pid int) (mapBytes, error) {
	all, err := rig.MapsOf(pid)
	if err != nil {
		return mapBytes{}, err
	}
	hot := map[string]bool{}
	for _, f := range catalogue.Families() {
		if f.PerCPU {
			hot[short(f.Name+"_inner")], hot[short(f.Object+"_cells")] = true, true
		}
	}
	m := mapBytes{cpus: possibleCPUs()}
	for _, x := range all {
		if hot[x.Name] || strings.HasPrefix(x.Type, "percpu_") {
			m.perCPU += float64(x.Memlock)
		} else {
			m.fixed += float64(x.Memlock)
		}
	}
	return m, nil
}

// short is a name as the kernel keeps it.
func short(name string) string { return name[:min(len(name), 15)] }

func possibleCPUs() int {
	b, err := os.ReadFile("/sys/devices/system/cpu/possible")
	var first, last int
	if n, _ := fmt.Sscanf(string(b), "%d-%d", &first, &last); err != nil || n < 2 {
		return 1
	}
	return last + 1
}
