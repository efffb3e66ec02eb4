package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
)

// newDemo is the inside of the demo: run starts it with --demo.
func newDemo() *cobra.Command {
	c := &cobra.Command{Use: "demo", Hidden: true, Short: "Be a part of the demo's workload", Args: noArgs}
	c.AddCommand(
		&cobra.Command{Use: "server", Short: "Be the web server", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
			return demoServer(untilInputEnds(c), c.OutOrStdout())
		}},
		&cobra.Command{Use: "client ADDRESS", Short: "Be its clients", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
			return demoClients(untilInputEnds(c), "http://"+args[0])
		}},
	)
	return c
}

// untilInputEnds is a context that ends with standard input: then whoever started
// us is gone.
func untilInputEnds(c *cobra.Command) context.Context {
	ctx, stop := context.WithCancel(c.Context())
	go func() {
		_, _ = io.Copy(io.Discard, c.InOrStdin()) // however it ends, it has ended
		stop()
	}()
	return ctx
}

// demoServer prints its address and answers: some work for the CPU for every
// request, and some for the disk for every fiftieth.
func demoServer(ctx context.Context, out io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	scratch, err := os.CreateTemp("", "viperprobe-demo-")
	if err != nil {
		return fmt.Errorf("make scratch file: %w", err)
	}
	defer scratch.Close()
	if err := os.Remove(scratch.Name()); err != nil { // it stays ours, and goes with us
		return fmt.Errorf("make scratch file: %w", err)
	}
	var requests atomic.Uint64
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		page := make([]byte, 64<<10)
		sum := sha256.Sum256(page)
		copy(page, sum[:])
		if requests.Add(1)%50 == 0 {
			if _, err := scratch.WriteAt(page, 0); err != nil || scratch.Sync() != nil {
				http.Error(w, "disk", http.StatusInternalServerError)
				return
			}
		}
		_, _ = w.Write(page[:4<<10]) // the client may be gone
	})
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Second}
	fmt.Fprintln(out, l.Addr())
	stopped := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stopped()
	if err := server.Serve(l); ctx.Err() == nil {
		return err
	}
	return nil
}

// demoClients ask between 20 and 180 times a second, in waves of a minute.
func demoClients(ctx context.Context, url string) error {
	for start := time.Now(); ctx.Err() == nil; {
		go demoRequest(ctx, url)
		phase := time.Since(start).Minutes() * 2 * math.Pi
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(float64(time.Second) / (100 + 80*math.Sin(phase)))):
		}
	}
	return nil
}

func demoRequest(ctx context.Context, url string) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return
	}
	if res, err := http.DefaultClient.Do(r); err == nil {
		_, _ = io.Copy(io.Discard, res.Body) // a slow server is part of the show
		res.Body.Close()
	}
}
