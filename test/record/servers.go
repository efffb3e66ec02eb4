package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"viperprobe.dev/viperprobe/test/rig"
)

// limit bounds a group to a share of a CPU, and gives it that many times the usual weight.
func limit(g *rig.Group, share float64, weight int) error {
	quota := strconv.Itoa(int(share * period))
	if v1 := g.V1["cpu"]; v1 != "" {
		return errors.Join(os.WriteFile(filepath.Join(v1, "cpu.cfs_period_us"), []byte(strconv.Itoa(period)), 0o644),
			os.WriteFile(filepath.Join(v1, "cpu.cfs_quota_us"), []byte(quota), 0o644),
			os.WriteFile(filepath.Join(v1, "cpu.shares"), []byte(strconv.Itoa(1024*weight)), 0o644))
	}
	err := errors.Join(os.WriteFile(filepath.Join(g.V2, "cpu.max"), fmt.Appendf(nil, "%s %d", quota, period), 0o644),
		os.WriteFile(filepath.Join(g.V2, "cpu.weight"), []byte(strconv.Itoa(100*weight)), 0o644))
	if err != nil {
		return fmt.Errorf("limit CPU of %s: %w: is the controller on? echo +cpu > cgroup.subtree_control in the root", g.Path, err)
	}
	return nil
}

func (s *stage) startServers() error {
	for _, name := range []string{"redis", "nginx"} {
		port, err := rig.FreePort()
		if err != nil {
			return err
		}
		s.ports[name] = port
	}
	nginx, err := rig.Nginx(s.ports["nginx"], s.dir, fmt.Sprintf("access_log off; root %s; gzip on; gzip_min_length 1;", s.dir), "")
	if err := errors.Join(err, os.Chmod(s.dir, 0o755), os.WriteFile(filepath.Join(s.dir, "index.html"), page(), 0o644)); err != nil {
		return err
	}
	return errors.Join(s.serve("redis", rig.Redis(s.ports["redis"], s.dir)), s.serve("nginx", nginx), fill(s.address("redis")))
}

// page is one that takes nginx some time to compress.
func page() []byte {
	var b bytes.Buffer
	r := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		fmt.Fprintf(&b, "<li>article %d costs %d\n", r.IntN(1e6), r.IntN(1e4))
	}
	return b.Bytes()
}

// fill gives Redis a list that takes it some time to sort.
func fill(address string) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	r := rand.New(rand.NewPCG(2, 2))
	command := "RPUSH stock"
	for range 1000 {
		command += fmt.Sprint(" ", r.IntN(1e6))
	}
	if _, err := fmt.Fprint(c, command+"\r\n"); err != nil {
		return err
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && answer != ":1000\r\n" {
		err = fmt.Errorf("redis answers %q", answer)
	}
	return err
}

func (s *stage) address(name string) string { return rig.Address(s.ports[name]) }

func (s *stage) serve(name string, command []string) error {
	cmd := rig.Pinned("0", command...)
	if err := s.groups[name].Start(cmd); err != nil {
		return err
	}
	s.served = append(s.served, cmd)
	return rig.Listens(s.ports[name])
}
