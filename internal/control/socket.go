package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"viperprobe.dev/viperprobe/internal/policy"
)

// ErrInUse says that another instance listens on the socket.
var ErrInUse = errors.New("another viperprobe answers there")

// Listen makes the unix socket at path, for root and the group of the file. What a
// dead instance left there is taken away.
func Listen(path string) (net.Listener, error) {
	if c, err := net.Dial("unix", path); err == nil {
		return nil, fmt.Errorf("listen on %s: %w", path, errors.Join(ErrInUse, c.Close()))
	} else if info, other := os.Lstat(path); errors.Is(err, syscall.ECONNREFUSED) && other == nil && info.Mode().Type() == fs.ModeSocket {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("listen on %s: %w", path, err)
		}
	}
	l, err := net.Listen("unix", path)
	if op := (*net.OpError)(nil); errors.As(err, &op) { // which says the path again
		return nil, fmt.Errorf("listen on %s: %w", path, op.Err)
	}
	if err := os.Chmod(path, 0o660); err != nil {
		return nil, errors.Join(fmt.Errorf("listen on %s: %w", path, err), l.Close())
	}
	return l, nil
}

// Timeouts and bounds of the socket's connections.
const (
	readTimeout  = 5 * time.Second
	graceTimeout = time.Second
	maxBody      = 8 << 20 // of a request: documents
	maxAtOnce    = 8       // requests
)

// serve answers on the socket l until ctx ends. It closes l.
func serve(ctx context.Context, c *Controller, l net.Listener, log *slog.Logger) error {
	srv := &http.Server{
		Handler: handler(c, group(l.Addr().String())), ReadTimeout: readTimeout, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, callerKey{}, callerOf(conn))
		},
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceTimeout)
	defer cancel()
	if srv.Shutdown(grace) != nil {
		_ = srv.Close() // requests that did not end in time are cut off
	}
	<-done
	return nil
}

// group is the group that owns a file; -1 when that cannot be told.
func group(path string) int {
	var s syscall.Stat_t
	if syscall.Stat(path, &s) != nil {
		return -1
	}
	return int(s.Gid)
}

// allowed lets root, ourselves and the socket's group in.
func allowed(r *http.Request, gid int) (Who, error) {
	peer, _ := r.Context().Value(callerKey{}).(caller)
	if peer.err != nil || peer.cred == nil {
		return Who{}, fmt.Errorf("who asks is unknown: %w", errors.Join(peer.err, fs.ErrPermission))
	}
	who := Who{UID: int(peer.cred.Uid), PID: int(peer.cred.Pid)}
	if who.UID != 0 && who.UID != os.Geteuid() && (gid < 0 || !peer.in(uint32(gid))) {
		return who, fmt.Errorf("user %d may not: only root and the socket's group %d may; use sudo", who.UID, gid)
	}
	if line, err := os.ReadFile("/proc/" + strconv.Itoa(who.PID) + "/cmdline"); err == nil {
		who.Command = clip(strings.ReplaceAll(strings.TrimSuffix(string(line), "\x00"), "\x00", " "))
	}
	return who, nil
}

func clip(s string) string {
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "")
	}
	return s
}

func handler(c *Controller, gid int) http.Handler {
	mux := http.NewServeMux()
	route(mux, "POST /set", gid, func(w Wish, who Who) (any, error) { return c.Set(w, who) })
	route(mux, "POST /critical", gid, func(w Critical, who Who) (any, error) { return c.SetCritical(w, who) })
	route(mux, "POST /unset", gid, func(u unset, who Who) (any, error) { return c.Unset(u.IDs, u.Why, who) })
	route(mux, "POST /explain", gid, func(glob string, _ Who) (any, error) { return c.Explain(glob) })
	route(mux, "POST /diff", gid, func(files []policy.File, _ Who) (any, error) { return c.Diff(files) })
	route(mux, "POST /cost", gid, func(_ struct{}, _ Who) (any, error) { return c.Cost() })
	route(mux, "POST /forecast", gid, func(f forecast, _ Who) (any, error) { return c.Forecast(f.Files, f.Add) })
	route(mux, "POST /changes", gid, func(struct{}, Who) (any, error) { return c.Changes(), nil })
	route(mux, "POST /probes", gid, func(struct{}, Who) (any, error) { return c.AppProbes() })
	slots := make(chan struct{}, maxAtOnce)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
			mux.ServeHTTP(w, r)
		default:
			http.Error(w, "too many requests at once; try again", http.StatusServiceUnavailable)
		}
	})
}

type unset struct {
	IDs []int64 `json:"ids"`
	Why string  `json:"why"`
}

// route answers a request whose body is a T.
func route[T any](mux *http.ServeMux, pattern string, gid int, answer func(T, Who) (any, error)) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		who, err := allowed(r, gid)
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		var body T
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
		d.DisallowUnknownFields()
		if err := d.Decode(&body); err != nil {
			http.Error(w, "read request: "+err.Error(), http.StatusBadRequest)
			return
		}
		out, err := answer(body, who)
		var refused *RefusedError
		switch {
		case errors.As(err, &refused):
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(out) // the asker has gone: there is nobody to tell
	})
}
