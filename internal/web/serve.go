package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// A Server says how Serve listens.
type Server struct {
	Handler  http.Handler
	Listener net.Listener // Serve closes it
	Cert     string       // file; serve HTTPS with it and Key
	Key      string
	Log      *slog.Logger // faults of connections; nil: none
}

// Timeouts of connections. Answers may take as long as a query, or a CPU profile
// of half a minute.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 15 * time.Second
	writeTimeout  = 2 * time.Minute
	idleTimeout   = 2 * time.Minute
	graceTimeout  = time.Second
)

// Serve answers requests until ctx ends, gives those that run a second to end, and
// returns nil then.
func Serve(ctx context.Context, o Server) error {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	l := o.Listener
	if o.Cert != "" || o.Key != "" {
		cert, err := tls.LoadX509KeyPair(o.Cert, o.Key)
		if err != nil {
			return errors.Join(fmt.Errorf("load certificate %s and key %s: %w", o.Cert, o.Key, err), l.Close())
		}
		l = tls.NewListener(l, &tls.Config{
			Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		})
	}
	srv := &http.Server{
		Handler: o.Handler, ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn),
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: 64 << 10,
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve %s: %w", o.Listener.Addr(), err)
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
