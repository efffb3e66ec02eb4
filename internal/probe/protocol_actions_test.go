package probe

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"

	"golang.org/x/sys/unix"
)

// protocolActions speak protocols. Bytes are in base64.
//
//	say NAME BYTES TIMES PIECE   in segments of at most PIECE bytes (0: one)
//	hear NAME BYTES TIMES        reads exactly these
//	ask NAME REQUEST ANSWER TIMES     one after the other, and how long it took
//	answer NAME REQUEST ANSWER TIMES
//	port NAME, defer NAME        of a listener: where it is; it waits for data
//	grpc TIMES                   the same with gRPC: each code in turn
//	web KIND TIMES               a Go server and client in this process: each status in turn
func protocolActions() map[string]action {
	return map[string]action{
		"say": func(j *job, args []string) (answer, error) {
			return nil, say(j.fds[args[0]], raw(args[1]), number(args, 2), number(args, 3))
		},
		"hear": func(j *job, args []string) (answer, error) {
			return nil, hearBytes(j.fds[args[0]], bytes.Repeat(raw(args[1]), number(args, 2)))
		},
		"ask": func(j *job, args []string) (answer, error) {
			began := monotonic()
			for range number(args, 3) {
				if err := say(j.fds[args[0]], raw(args[1]), 1, number(args, 4)); err != nil {
					return nil, err
				}
				if err := hearBytes(j.fds[args[0]], raw(args[2])); err != nil {
					return nil, err
				}
			}
			return answer{"ns": int64(monotonic() - began)}, nil
		},
		"answer": func(j *job, args []string) (answer, error) {
			for range number(args, 3) {
				if err := hearBytes(j.fds[args[0]], raw(args[1])); err != nil {
					return nil, err
				}
				if err := say(j.fds[args[0]], raw(args[2]), 1, number(args, 4)); err != nil {
					return nil, err
				}
			}
			return nil, nil
		},
		"port": func(j *job, args []string) (answer, error) {
			at, err := port(j.fds[args[0]])
			return answer{"port": at}, err
		},
		"defer": func(j *job, args []string) (answer, error) {
			return nil, unix.SetsockoptInt(j.fds[args[0]], unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 5)
		},
		"grpc": func(_ *job, args []string) (answer, error) { return nil, speakGRPC(number(args, 0)) },
		"web":  func(_ *job, args []string) (answer, error) { return nil, web(args[0], number(args, 1)) },
	}
}

// code is bytes as an argument of an action.
func code(b string) string { return base64.RawURLEncoding.EncodeToString([]byte(b)) }

func raw(code string) []byte {
	b, err := base64.RawURLEncoding.DecodeString(code)
	if err != nil {
		panic(err)
	}
	return b
}

func say(fd int, b []byte, times, piece int) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	for all := bytes.Repeat(b, times); len(all) > 0; {
		n := len(all)
		if piece > 0 {
			n = min(n, piece)
		}
		n, err := unix.SendmsgN(fd, all[:n], nil, nil, 0)
		if err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}

func hearBytes(fd int, want []byte) error {
	got := make([]byte, len(want))
	if n, _, err := unix.Recvfrom(fd, got, unix.MSG_WAITALL); err != nil || !bytes.Equal(got, want) {
		return fmt.Errorf("heard %q, want %q (%v)", got[:max(n, 0)], want, err)
	}
	return nil
}

// statuses are what web's server answers in turn.
var statuses = []int{200, 204, 302, 304, 400, 404, 418, 500, 503}

// web asks a Go server of this process, whose answers have bodies of different sizes.
func web(kind string, times int) error {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, _ := strconv.Atoi(r.URL.Path[1:])
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
		if status == 200 {
			_, _ = w.Write(make([]byte, 100_000))
		}
	}))
	protocols := new(http.Protocols)
	protocols.SetHTTP1(kind != "http2")
	protocols.SetUnencryptedHTTP2(kind == "http2")
	server.Config.Protocols = protocols
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server.Listener.Close()
	server.Listener = l
	if kind == "tls" {
		server.StartTLS()
	} else {
		server.Start()
	}
	defer server.Close()
	client := server.Client()
	transport := client.Transport.(*http.Transport)
	if kind == "http2" {
		transport.Protocols = protocols
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for range times {
		for i, status := range statuses {
			r, err := client.Post(fmt.Sprintf("%s/%d", server.URL, status), "text/plain", bytes.NewReader(make([]byte, i*10_000)))
			if err != nil {
				return err
			}
			_, _ = io.Copy(io.Discard, r.Body)
			r.Body.Close()
		}
	}
	return nil
}
