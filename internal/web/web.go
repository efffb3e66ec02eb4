// Package web serves what is measured over HTTP: /metrics for Prometheus, the
// Prometheus query API over the store, a JSON API of our own, health, and a plain
// page that leads to them.
//
// /metrics has one series per target, family and label values, under the labels
// namespace, pod, container and node (and workload with ?workload=true); a target
// without a container name has cgroup, the node and the remainder have kind.
// Everything else about a target is in viperprobe_target_info. Where two targets
// have the same labels - a container that was restarted within its pod - the one
// that lives, or began last, has them, and the others carry target, their id, as
// well. Targets that ended keep their counters and histograms there for 5 minutes.
package web

import (
	"log/slog"
	"net/http"
	"net/http/pprof"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/store"
)

// Options says what is served. Recent is needed; everything else may be left out,
// and what needs it then answers that it is not there.
type Options struct {
	Recent   *store.Recent
	Store    *store.Reader    // for the Prometheus query API
	Families []*metric.Family // the catalogue, for metadata
	Version  string
	Interval time.Duration // length of a window: /healthz wants one in 3 of them; 0: 1 s

	// Documents are served as JSON below /api/, by name: families, status, ...
	Documents map[string]Document
	// Own are metrics about ViperProbe itself that no batch carries.
	Own func() []Own
	// Ready says why requests should not come yet; nil: ready.
	Ready func() error

	MaxSeries     int   // on /metrics, histograms counted once; more are left out and counted; 0: 50,000
	Users         Users // nil: no password
	Pprof         bool  // serve /debug/pprof
	MaxConcurrent int   // requests at once, more get 503; 0: 32
	Log           *slog.Logger
}

// A Document is made anew for each request; it must do for json.Marshal.
type Document struct {
	What string // for the index, in a few words
	Make func() any
}

// An Own is one number about ViperProbe itself. Those of one name have one kind
// and one help and stand together.
type Own struct {
	Name, Help string // Name as on /metrics
	Kind       metric.Kind
	Labels     []store.Pair
	Value      float64
}

const (
	maxBody = 1 << 20 // of a request: PromQL in a form
	windows = 3       // without a batch, after which we are not alive
)

type server struct {
	Options
	started time.Time
}

// Handler answers requests as the package says. It may be used from any number of
// goroutines; nothing is modified after the call.
func Handler(o Options) http.Handler {
	if o.Interval == 0 {
		o.Interval = time.Second
	}
	if o.MaxSeries == 0 {
		o.MaxSeries = 50_000
	}
	if o.MaxConcurrent == 0 {
		o.MaxConcurrent = 32
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &server{Options: o, started: time.Now()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.index)
	mux.HandleFunc("GET /metrics", s.metrics)
	s.prometheus(mux)
	s.api(mux)
	if o.Pprof {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	guarded := bounded(o.MaxConcurrent, o.Users.require(mux))
	outer := http.NewServeMux()
	// Health is asked by machines without a password, and must be answered under load.
	outer.HandleFunc("GET /healthz", s.healthz)
	outer.HandleFunc("GET /readyz", s.readyz)
	outer.Handle("/", guarded)
	return outer
}

// bounded limits the requests at once and the size of their bodies.
func bounded(n int, h http.Handler) http.Handler {
	slots := make(chan struct{}, n)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		default:
			w.Header().Set("Retry-After", "1")
			http.Error(w, "too many requests at once; try again", http.StatusServiceUnavailable)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		h.ServeHTTP(w, r)
	})
}

// healthz is well while batches come.
func (s *server) healthz(w http.ResponseWriter, _ *http.Request) {
	last, limit := s.Recent.View().Last(), windows*s.Interval
	if last.IsZero() {
		last, limit = s.started, max(limit, 10*time.Second)
	}
	if age := time.Since(last); age > limit {
		http.Error(w, "no batch for "+age.Round(time.Millisecond).String()+"; windows are "+s.Interval.String(), http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

// readyz is well once there is something to read.
func (s *server) readyz(w http.ResponseWriter, _ *http.Request) {
	if len(s.Recent.View().Batches) == 0 {
		http.Error(w, "no batch yet", http.StatusServiceUnavailable)
		return
	}
	if s.Ready != nil {
		if err := s.Ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
	}
	_, _ = w.Write([]byte("ok\n"))
}
