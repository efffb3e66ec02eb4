package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"viperprobe.dev/viperprobe/internal/ratelog"
)

// runOptions are the settings of run. A file given with --config has the same
// keys as the flags.
type runOptions struct {
	Interval       span     `yaml:"interval"`
	Families       []string `yaml:"families"`
	Cgroups        []string `yaml:"cgroup"`
	ExcludeCgroups []string `yaml:"exclude-cgroup"`
	Listen         string   `yaml:"listen"`
	Store          string   `yaml:"store"`
	RetentionTime  span     `yaml:"retention-time"`
	RetentionSize  size     `yaml:"retention-size"`
	MaxSeries      count    `yaml:"max-series"`
	TLSCert        string   `yaml:"tls-cert"`
	TLSKey         string   `yaml:"tls-key"`
	BasicAuthFile  string   `yaml:"basic-auth-file"`
	LogLevel       level    `yaml:"log-level"`
	LogFormat      choice   `yaml:"log-format"`
	Pprof          bool     `yaml:"pprof"`
	ProbeDir       string   `yaml:"probe-dir"`
	Demo           demoMode `yaml:"demo"`
	Policies       []string `yaml:"policy"`
	Control        string   `yaml:"control"`
}

func newRun(p parts) *cobra.Command {
	s := settings{runOptions: defaults()}
	c := &cobra.Command{
		Use:   "run",
		Short: "Measure this machine, store the samples and serve them",
		Long: `Run finds every container and service of this machine, measures the families that
are asked for, stores the samples and serves them: /metrics for Prometheus, the
Prometheus query API, and a JSON API. It needs root, or CAP_BPF, CAP_PERFMON,
CAP_SYS_RESOURCE, CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE; ` + "`viperprobe doctor`" + ` says
what is missing.

A file given with --config has the same keys as the flags, without the dashes:

  interval: 5s
  families: [cpu, runq_latency]
  exclude-cgroup: [/system.slice/**]

A flag that is given wins over the file.

Policies (--policy) say what is measured of which targets; they are followed while
they change. Set, full, unset, explain and diff talk to the instance by a unix socket,
for root and its group.` + codes("4 no cgroup v2"),
		Example: `  viperprobe run
  viperprobe run --families cpu,network,runq_latency --interval 5s
  viperprobe run --cgroup '/kubepods/**' --listen :9733 --tls-cert cert.pem --tls-key key.pem
  viperprobe run --policy policies/
  viperprobe run --config viperprobe.yaml`,
		Args: noArgs,
	}
	s.bindPlan(c.Flags())
	s.bindServer(c.Flags())
	c.RunE = func(c *cobra.Command, _ []string) error {
		p, err := s.load(p)
		if err != nil {
			return usage(err)
		}
		log := s.logger(c.ErrOrStderr())
		controller, err := s.controller(p, log)
		if err != nil {
			return usage(err)
		}
		listener, err := listen(s.Listen)
		if err != nil {
			return err
		}
		defer listener.Close()
		if os.Getenv("GOGC") == "" {
			// Little is allocated and much is kept: half the headroom costs no CPU to speak of.
			debug.SetGCPercent(50)
		}
		return s.serve(c.Context(), p, controller, listener, log)
	}
	return c
}

// listen opens the address before anything is loaded into the kernel, so that a
// port that is taken costs nothing.
func listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		_, port, _ := net.SplitHostPort(address)
		return nil, fmt.Errorf("listen on %s: the port is taken, perhaps by another viperprobe; `ss -ltnp sport = :%s` shows by whom; stop it, or choose another address with --listen", address, port)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("listen on %s: ports below 1024 need root or CAP_NET_BIND_SERVICE; choose a higher one with --listen", address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("listen on %s: this machine does not have that address; `ip address` lists those it has; change --listen", address)
	case err != nil:
		return nil, fmt.Errorf("listen on %s: %w; change --listen", address, err)
	}
	return l, nil
}

// logger is the program's log: text or JSON lines.
func (o *runOptions) logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: slog.Level(o.LogLevel)}
	if o.LogFormat.value == "json" {
		return slog.New(ratelog.New(slog.NewJSONHandler(w, options)))
	}
	return slog.New(ratelog.New(slog.NewTextHandler(w, options)))
}
