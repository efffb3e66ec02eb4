package probe

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"

	"viperprobe.dev/viperprobe/internal/kerneltest"
)

var protocolNames = []string{"protocol_requests", "protocol_latency", "outbound_protocol_requests", "outbound_protocol_latency"}

// pg is a message of PostgreSQL's protocol.
func pg(kind byte, body string) string {
	return string(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4))) + body
}

// startup is the first message of a connection to PostgreSQL.
var startup = string(binary.BigEndian.AppendUint32(nil, 8+12)) + "\x00\x03\x00\x00user\x00postg\x00\x00"

// frame is one of HTTP/2.
func frame(kind, flags byte, stream uint32, payload string) string {
	n := len(payload)
	return string(binary.BigEndian.AppendUint32([]byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags}, stream)) + payload
}

const (
	huffman   = "\x40\x88\x9a\xca\xc8\xb2\x12\x34\xda\x8f" // grpc-status, to be put into the table
	preface   = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	ready     = "Z\x00\x00\x00\x05I"
	pgFailure = "SERROR\x00VERROR\x00C42P01\x00Mrelation does not exist\x00\x00"
)

// An exchange is a request, its answer, and how it counts.
type exchange struct {
	protocol, class string
	ask, answer     string
}

func exchanges() []exchange {
	http := func(status, class string) exchange {
		return exchange{"http", class, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 " + status + "\r\nContent-Length: 0\r\n\r\n"}
	}
	redis := func(class, answer string) exchange {
		return exchange{"redis", class, "*2\r\n$3\r\nGET\r\n$5\r\nke\r\ny\r\n", answer}
	}
	postgres := func(class, ask, answer string) exchange { return exchange{"postgresql", class, ask, answer} }
	h2 := func(protocol, class, answer string) exchange {
		return exchange{protocol, class, frame(1, 5, 1, "\x82\x86\x84\x41\x01a"), answer}
	}
	body := frame(1, 4, 1, "\x88\x0f\x0d\x019") + frame(0, 0, 1, strings.Repeat(frame(1, 5, 1, "\x8e"), 100))
	row := pg('D', "\x00\x01\x00\x00\x00\x01Z")
	return []exchange{
		http("200 OK", "ok"), http("204 No Content", "ok"), http("302 Found", "redirect"), http("304 Not Modified", "redirect"),
		http("404 Not Found", "client_error"), http("500 Internal Server Error", "server_error"), http("999 Odd", "unknown"),
		{"http", "client_error", "OPTIONS * HTTP/1.0\r\n\r\n", "HTTP/1.0 405 \r\n\r\n"},
		{"http", "ok", "POST /p HTTP/1.1\r\nContent-Length: 5\r\n\r\nGET /", "HTTP/1.1 201 Created\r\nContent-Length: 14\r\n\r\nHTTP/1.1 500 x"},
		h2("http2", "ok", body+frame(0, 1, 1, "")), h2("http2", "ok", frame(1, 5, 1, "\x89")), h2("http2", "redirect", frame(1, 5, 1, "\x3f\x61\x48\x03302")),
		h2("http2", "redirect", frame(1, 5, 1, "\x08\x82\x64\x02")), h2("http2", "server_error", frame(1, 5, 1, "\x18\x03503\x40\x01x\x01y\xbe")),
		h2("http2", "client_error", frame(1, 4, 1, "\x48\x03103")+frame(4, 1, 0, "")+frame(1, 5, 1, "\x8d")),
		h2("http2", "unknown", frame(1, 13, 1, "\x02\x88\x00\x00")), h2("http2", "unknown", frame(1, 5, 1, "\xfe")),
		h2("http2", "error", frame(1, 4, 1, "\x88")+frame(3, 0, 1, "\x00\x00\x00\x02")),
		h2("grpc", "ok", body+frame(1, 5, 1, "\x00\x0bgrpc-status\x010")), h2("grpc", "ok", body+frame(1, 5, 1, huffman+"\x81\x07")),
		h2("grpc", "server_error", body+frame(1, 5, 1, huffman+"\x82\x0b\x3f\x40\x0cgrpc-message\x00")), h2("grpc", "client_error", frame(1, 5, 1, "\x88"+huffman+"\x0216")),
		h2("grpc", "unknown", body+frame(1, 5, 1, huffman+"\x03abc")), h2("grpc", "ok", frame(1, 4, 1, "\x88"+huffman+"\x010")+frame(1, 5, 1, "\xbe")),
		redis("ok", "$3\r\na\nb\r\n"), redis("ok", "$-1\r\n"), redis("ok", "$0\r\n\r\n"), redis("ok", ":9223372036854775807\r\n"), redis("ok", "+OK\r\n"),
		redis("ok", "*3\r\n:1\r\n*2\r\n$1\r\nx\r\n-ERR inside\r\n*0\r\n"), redis("ok", "*-1\r\n"), redis("ok", "_\r\n"),
		redis("ok", "%2\r\n+a\r\n:1\r\n+b\r\n~2\r\n#t\r\n,1.5\r\n"), redis("ok", "|1\r\n+ttl\r\n:3600\r\n$2\r\nok\r\n"),
		redis("ok", ">2\r\n$7\r\nmessage\r\n+x\r\n+OK\r\n"),
		redis("error", "-ERR wrong number of arguments for a command whose name is long\r\n"), redis("error", "-E\r\n"), redis("error", "!9\r\nERR a\r\nbc\r\n"),
		redis("redirect", "-MOVED 3999 127.0.0.1:6381\r\n"), redis("redirect", "-ASK 3999 127.0.0.1:6381\r\n"),
		{"redis", "ok", "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5000\r\n" + strings.Repeat("*1\r\n$4\r\n", 625) + "\r\n", "+OK\r\n"},
		{"redis", "ok", "PING\r\n", "+PONG\r\n"},
		postgres("ok", pg('Q', "SELECT 1\x00"), pg('T', strings.Repeat("t", 30))+row+row+pg('C', "SELECT 2\x00")+ready),
		postgres("error", pg('Q', "SELECT x\x00"), pg('E', pgFailure)+ready),
		postgres("error", pg('P', "\x00SELECT $1\x00\x00\x00")+pg('B', strings.Repeat("b", 20))+pg('D', "P\x00")+pg('E', "\x00\x00\x00\x00\x00")+pg('S', ""), pg('E', pgFailure)+ready),
		postgres("ok", pg('B', strings.Repeat("b", 20))+pg('E', "\x00\x00\x00\x00\x00")+pg('S', ""), pg('2', "")+row+pg('N', "SNOTICE\x00\x00")+pg('C', "SELECT 1\x00")+ready),
	}
}

// protocolPair makes a server and a client, targets both, and a connection between them.
func protocolPair(t testing.TB, s *Set, family int) (server, client side) {
	t.Helper()
	for _, one := range []*side{&server, &client} {
		one.group = newGroup(t, nil)
		one.target = newTarget(t, s, protocolNames, one.group)
		one.worker = startWorker(t, workerOptions{Cgroup: one.group})
		one.do("pin 0") // on two CPUs segments of one direction may overtake each other
	}
	server.do("listen l %d 16", family)
	client.do("connect c %d %d", family, server.do("port l")["port"])
	server.do("accept l s")
	return server, client
}

// exchanged does an exchange n times between the ends of a connection.
func exchanged(server, client *worker, e exchange, n, piece int) (ns uint64) {
	server.tell("answer s %s %s %d %d", code(e.ask), code(e.answer), n, piece)
	ns = uint64(client.do("ask c %s %s %d %d", code(e.ask), code(e.answer), n, piece)["ns"])
	server.answer()
	return ns
}

// line reports whether it is a command of Redis that is a line: a connection that
// begins with one is not recognised.
func (e exchange) line() bool { return e.protocol == "redis" && e.ask[0] != '*' }

func (e exchange) http2() bool { return e.protocol == "http2" || e.protocol == "grpc" }

// open does what comes before the first exchange on a connection, and does not count.
func (e exchange) open(server, client side) {
	switch {
	case e.protocol == "postgresql":
		exchanged(server.worker, client.worker, exchange{ask: startup, answer: pg('R', "\x00\x00\x00\x00") + pg('S', "a\x00b\x00") + ready}, 1, 0)
	case e.http2():
		exchanged(server.worker, client.worker, exchange{ask: preface + frame(4, 0, 0, ""), answer: frame(4, 0, 0, "") + frame(4, 1, 0, "")}, 1, 0)
	case e.line():
		exchanged(server.worker, client.worker, exchange{ask: "*1\r\n$4\r\nPING\r\n", answer: "+PONG\r\n"}, 1, 0)
	}
}

// spoke checks that a target counted n requests of one kind, timed unless untimed, and
// nothing else.
func (m mark) spoke(t testing.TB, side, protocol, class string, n uint64) {
	t.Helper()
	if kind := protocol + "/" + class; n > 0 && (m[side+"protocol_requests/"+kind] == 0 || m[side+"protocol_latency/"+kind+"/count"] == 0) {
		t.Errorf("nothing of %s%s", side, kind)
	}
	for name, got := range m {
		want := uint64(0)
		if name == side+"protocol_requests/"+protocol+"/"+class || name == side+"protocol_latency/"+protocol+"/"+class+"/count" {
			want = n
		}
		if got != want && !strings.HasSuffix(name, "/sum") {
			t.Errorf("%s = %d, want %d", name, got, want)
		}
	}
}

// Each exchange counts once for both ends, whole and in pieces; times are bounded by
// what the client saw.
func TestProtocols(t *testing.T) {
	s := want(t, protocolNames...)
	kerneltest.Exact(t, protocolNames...)
	for _, family := range []int{4, 6} {
		for _, e := range exchanges() {
			server, client := protocolPair(t, s, family)
			e.open(server, client)
			before, asked := server.mark(), client.mark()
			took, n := exchanged(server.worker, client.worker, e, 10, 0), uint64(10)
			if e.protocol != "http" {
				for _, piece := range []int{1, 7, 1000} {
					took += exchanged(server.worker, client.worker, e, 2, piece)
					n += 2
				}
			}
			t.Run(e.protocol+" "+e.class, func(t *testing.T) {
				m, out := server.mark().since(before), client.mark().since(asked)
				m.spoke(t, "", e.protocol, e.class, n)
				out.spoke(t, "outbound_", e.protocol, e.class, n)
				served, waited := m["protocol_latency/"+e.protocol+"/"+e.class+"/sum"], out["outbound_protocol_latency/"+e.protocol+"/"+e.class+"/sum"]
				if served == 0 || waited < served || waited > took {
					t.Errorf("%d ns at the server, %d at the client, who says %d (%.60q)", served, waited, took, e.answer)
				}
			})
			server.kill()
			client.kill()
		}
	}
	lossless(t, s)
}

// Requests of one packet, and packets of requests before the first answer.
func TestProtocolPipelines(t *testing.T) {
	s := want(t, protocolNames...)
	kerneltest.Exact(t, protocolNames[0])
	for _, e := range exchanges() {
		if e.protocol == "http" || e.line() || e.http2() {
			continue
		}
		server, client := protocolPair(t, s, 4)
		e.open(server, client)
		served, asked := server.mark(), client.mark()
		const n = 60
		client.do("say c %s %d 0", code(e.ask), n)
		client.do("say c %s %d %d", code(e.ask), n, len(e.ask))
		client.do("say c %s %d 11", code(e.ask), n)
		server.do("hear s %s %d", code(e.ask), 3*n)
		server.do("say s %s %d 0", code(e.answer), 2*n)
		server.do("say s %s %d 13", code(e.answer), n)
		client.do("hear c %s %d", code(e.answer), 3*n)
		server.mark().since(served).spoke(t, "", e.protocol, e.class, 3*n)
		client.mark().since(asked).spoke(t, "outbound_", e.protocol, e.class, 3*n)
		server.kill()
		client.kill()
	}
	lossless(t, s)
}

// A segment that is sent again counts once, at both ends.
func TestProtocolRetransmits(t *testing.T) {
	s := want(t, protocolNames...)
	for _, e := range []exchange{exchanges()[0], exchanges()[9]} {
		server, client := protocolPair(t, s, 4)
		exchanged(server.worker, client.worker, e, 1, 0)
		server.do("deaf s on")
		client.do("say c %s 1 0", code(e.ask))
		eventually(t, "two retransmissions", func() bool { return client.do("info c")["retransmits"] >= 2 })
		server.do("deaf s off")
		server.do("hear s %s 1", code(e.ask))
		client.do("deaf c on")
		server.do("say s %s 1 0", code(e.answer))
		eventually(t, "two retransmissions", func() bool { return server.do("info s")["retransmits"] >= 2 })
		client.do("deaf c off")
		client.do("hear c %s 1", code(e.answer))
		server.mark().spoke(t, "", e.protocol, e.class, 2)
		client.mark().spoke(t, "outbound_", e.protocol, e.class, 2)
	}
	lossless(t, s)
}

// Connections that are older than the wish, and what passes while nobody wants it.
func TestProtocolsSwitchedWhileOpen(t *testing.T) {
	s := want(t, protocolNames...)
	for _, e := range exchanges() {
		if e.line() {
			continue
		}
		server, client := protocolPair(t, s, 4)
		for round := range 3 {
			before := server.mark()
			if err := s.Switch(server.slot, nil); err != nil {
				t.Fatal(err)
			}
			exchanged(server.worker, client.worker, e, 3, 0)
			client.do("say c %s 1 0", code(e.ask)) // asked before it is on, answered after
			if err := s.Switch(server.slot, server.families); err != nil {
				t.Fatal(err)
			}
			server.do("hear s %s 1", code(e.ask))
			server.do("say s %s 1 0", code(e.answer))
			client.do("hear c %s 1", code(e.answer))
			exchanged(server.worker, client.worker, e, 5, 0)
			m := server.mark().since(before)
			if n := m["protocol_requests/"+e.protocol+"/"+e.class]; n != 5 && (e.protocol != "http" || n != 6) {
				t.Errorf("round %d, %.60q: %d requests, want 5", round, e.answer, n)
			}
		}
	}
	lossless(t, s)
}

// The listener's maker is one target, who accepts another (systemd and its services):
// after the next pass over descriptors it is the other's.
func TestProtocolsBelongToTheHolder(t *testing.T) {
	s := want(t, protocolNames...)
	e := exchanges()[0]
	server, client := protocolPair(t, s, 4)
	g := newGroup(t, nil)
	other := side{target: newTarget(t, s, protocolNames, g), worker: startWorker(t, workerOptions{Cgroup: g}), group: g}
	exchanged(server.worker, client.worker, e, 3, 0)
	server.tell("give l")
	_, rights := server.receive()
	other.worker.send(rights, "take l")
	closeAll(t, rights)
	server.tell("give s")
	_, rights = server.receive()
	other.worker.send(rights, "take s")
	closeAll(t, rights)
	server.do("close s")
	s.Pass()
	if err := s.Tick(); err != nil {
		t.Fatal(err)
	}
	exchanged(other.worker, client.worker, e, 4, 0) // the connection was handed on
	client.do("close c")
	client.do("connect c 4 %d", server.do("port l")["port"])
	other.worker.do("accept l s")
	exchanged(other.worker, client.worker, e, 5, 0) // the listener was
	server.mark().spoke(t, "", "http", "ok", 3)
	other.mark().spoke(t, "", "http", "ok", 9)
	client.mark().spoke(t, "outbound_", "http", "ok", 12)
	lossless(t, s)
}

// What a listener waits for comes with the end of the handshake, where no connection
// is yet: the answer counts, and has no time.
func TestProtocolsOfDeferredConnections(t *testing.T) {
	s := want(t, protocolNames...)
	e := exchanges()[0]
	server, client := protocolPair(t, s, 4)
	server.do("defer l")
	for range 5 {
		client.do("close c")
		client.do("connect c 4 %d", server.do("port l")["port"])
		client.do("say c %s 1 0", code(e.ask))
		server.do("accept l s")
		server.do("hear s %s 1", code(e.ask))
		server.do("say s %s 1 0", code(e.answer))
		client.do("hear c %s 1", code(e.answer))
		exchanged(server.worker, client.worker, e, 2, 0)
	}
	m := server.mark()
	m.same(t, "protocol_requests/http/ok", 15)
	m.same(t, "protocol_latency/http/ok/count", 10)
	client.mark().spoke(t, "outbound_", "http", "ok", 15)
	lossless(t, s)
}

// Streams that are open at once; what there is no room for is counted.
func TestProtocolStreams(t *testing.T) {
	const streams, room = 200, 64 // protocol_http2.h
	s := want(t, protocolNames...)
	server, client := protocolPair(t, s, 4)
	exchange{protocol: "http2"}.open(server, client)
	var ask, answer string
	for i := range uint32(streams) {
		ask += frame(1, 5, 2*i+1, "\x82\x86\x84\x41\x01a")
		answer = frame(1, 5, 2*i+1, "\x88") + answer
	}
	exchanged(server.worker, client.worker, exchange{ask: ask, answer: answer}, 1, 0)
	server.mark().spoke(t, "", "http2", "ok", room)
	client.mark().spoke(t, "outbound_", "http2", "ok", room)
	if n := kernelCount(t, s, "protocol", "vp_failed"); n != 2*(streams-room) {
		t.Errorf("%d streams found no room, want %d", n, 2*(streams-room))
	}
	exchanged(server.worker, client.worker, exchange{ask: ask[:15*room], answer: answer[len(answer)-10*room:]}, 1, 0)
	server.mark().spoke(t, "", "http2", "ok", 2*room)
}

// Go's own server and client.
func TestProtocolsOfGo(t *testing.T) {
	s := want(t, protocolNames...)
	g := newGroup(t, nil)
	tg, w := newTarget(t, s, protocolNames, g), startWorker(t, workerOptions{Cgroup: g, Env: []string{"GODEBUG="}})
	var m mark
	for _, protocol := range []string{"http", "http2"} {
		w.do("web %s 20", protocol)
		m = tg.mark()
		for _, side := range []string{"", "outbound_"} {
			for class, n := range map[string]uint64{"ok": 40, "redirect": 40, "client_error": 60, "server_error": 40} {
				m.same(t, side+"protocol_requests/"+protocol+"/"+class, n)
				m.same(t, side+"protocol_latency/"+protocol+"/"+class+"/count", n)
			}
		}
	}
	w.do("web tls 20")
	m = tg.mark().since(m)
	m.same(t, "protocol_requests/tls/unknown", 180)
	m.same(t, "outbound_protocol_requests/tls/unknown", 180)
	lossless(t, s)
}

// Each command of redis-benchmark counts; pipelined ones too.
func TestProtocolsOfRedis(t *testing.T) {
	sg, cg := newGroup(t, nil), newGroup(t, nil)
	port := startRedis(t, sg)
	s := want(t, protocolNames...)
	server, client := newTarget(t, s, protocolNames, sg), newTarget(t, s, protocolNames, cg)
	redisBenchmark(t, cg, "-p", port, 20000)
	server.mark().spoke(t, "", "redis", "ok", 20002) // the tool asks for two settings
	client.mark().spoke(t, "outbound_", "redis", "ok", 20002)
	lossless(t, s)
}

// Whatever bytes come, nothing counts that was not asked, and the next connection is as
// good as any.
func TestProtocolsSurviveRubbish(t *testing.T) {
	s := want(t, protocolNames...)
	server, client := protocolPair(t, s, 4)
	random := rand.New(rand.NewPCG(1, 2))
	var asked uint64
	for range 20 {
		for _, e := range exchanges() {
			e.ask, e.answer = spoil(random, e.ask), spoil(random, e.answer)
			exchanged(server.worker, client.worker, e, 2, 1+random.IntN(300))
			asked += 2 * uint64(len(e.ask)) // a byte is no request
		}
		server.do("close s")
		client.do("close c")
		client.do("connect c 4 %d", server.do("port l")["port"])
		server.do("accept l s")
	}
	var counted uint64
	for name, n := range server.mark() {
		if strings.HasPrefix(name, "protocol_requests/") {
			counted += n
		}
	}
	if counted == 0 || counted > asked {
		t.Errorf("%d requests counted in %d bytes", counted, asked)
	}
	before := server.mark()
	exchanged(server.worker, client.worker, exchanges()[0], 5, 0)
	server.mark().since(before).same(t, "protocol_requests/http/ok", 5)
}

// spoil changes some bytes.
func spoil(random *rand.Rand, text string) string {
	b := []byte(text)
	for range 1 + len(b)/50 {
		b[random.IntN(len(b))] = byte(random.Uint32())
	}
	return string(b)
}

// Connections of protocols that are not known are soon let alone.
func TestProtocolsPassOthersOver(t *testing.T) {
	s := want(t, protocolNames...)
	server, client := protocolPair(t, s, 4)
	exchanged(server.worker, client.worker, exchange{ask: "\x00\x00\x00\x10hello", answer: "\x00\x01"}, 40, 0)
	exchanged(server.worker, client.worker, exchanges()[0], 3, 0)
	for name, n := range server.mark() {
		if n != 0 {
			t.Errorf("%s = %d", name, n)
		}
	}
	lossless(t, s)
}
