package probe

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"viperprobe.dev/viperprobe/internal/kerneltest"
)

// speakGRPC calls a server of this process so many times for each code, which the
// method's name says.
func speakGRPC(times int) error {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, s grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(s)
		code, _ := strconv.Atoi(method[len("/codes/"):])
		if err := s.RecvMsg(&emptypb.Empty{}); err != nil {
			return err
		}
		if code != 0 {
			return status.Error(codes.Code(code), "as asked")
		}
		return s.SendMsg(&emptypb.Empty{})
	}))
	served := make(chan error)
	go func() { served <- server.Serve(l) }()
	conn, err := grpc.NewClient("passthrough:"+l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	for range times {
		for code := codes.OK; code <= codes.Unauthenticated; code++ {
			err := conn.Invoke(context.Background(), fmt.Sprintf("/codes/%d", code), &emptypb.Empty{}, &emptypb.Empty{})
			if got := status.Code(err); got != code {
				return fmt.Errorf("asked for %v: %w", code, err)
			}
		}
	}
	if err := conn.Close(); err != nil {
		return err
	}
	server.Stop()
	return <-served
}

// The codes of a real server of gRPC, most of which stand in the table of the
// compression from the second time on.
func TestProtocolsOfGRPC(t *testing.T) {
	s := want(t, protocolNames...)
	kerneltest.Exact(t, protocolNames...)
	g := newGroup(t, nil)
	tg, w := newTarget(t, s, protocolNames, g), startWorker(t, workerOptions{Cgroup: g, Env: []string{"GODEBUG="}})
	w.do("grpc 30")
	m := tg.mark()
	for _, side := range []string{"", "outbound_"} {
		for class, n := range map[string]uint64{"ok": 1, "client_error": 10, "server_error": 6} {
			m.same(t, side+"protocol_requests/grpc/"+class, 30*n)
			m.same(t, side+"protocol_latency/grpc/"+class+"/count", 30*n)
		}
	}
	for name := range m {
		if !strings.Contains(name, "/grpc/") {
			t.Errorf("there is a %s", name)
		}
	}
	lossless(t, s)
}
