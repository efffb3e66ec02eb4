package web

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/store"
)

func TestHealth(t *testing.T) {
	for _, c := range []struct {
		name        string
		age         time.Duration // of the last batch; 0: none
		ready       error
		live, reads int
	}{
		{"fresh", time.Second, nil, 200, 200},
		{"three windows late", 10 * time.Second, nil, 503, 200},
		{"store fails", time.Second, errors.New("disk is full"), 200, 503},
		{"no batch yet", 0, nil, 200, 503},
	} {
		recent := store.NewRecent(store.RecentOptions{})
		if c.age > 0 {
			recent.Append(batchAt(time.Now().Add(-c.age), 0))
		}
		// A password and a full house must not keep a machine from asking.
		srv := httptest.NewServer(Handler(Options{
			Recent: recent, Interval: 3 * time.Second, Users: Users{"u": "p"}, Ready: func() error { return c.ready },
		}))
		live, _, _ := get(t, srv, "/healthz")
		reads, body, _ := get(t, srv, "/readyz")
		if live != c.live || reads != c.reads {
			t.Errorf("%s: healthz %d, readyz %d, want %d, %d", c.name, live, reads, c.live, c.reads)
		}
		if c.ready != nil && !strings.Contains(body, c.ready.Error()) {
			t.Errorf("readyz says %q", body)
		}
		srv.Close()
	}
}

func TestIndexLeadsToAll(t *testing.T) {
	srv := usual(t, Options{Pprof: true, Interval: time.Minute, Documents: map[string]Document{"families": {"the catalogue", func() any { return []string{} }}}})
	code, body, _ := get(t, srv, "/")
	if code != 200 {
		t.Fatal(code)
	}
	links := 0
	for rest := body; ; links++ {
		_, after, found := strings.Cut(rest, `<a href="`)
		if !found {
			break
		}
		link, after, _ := strings.Cut(after, `"`)
		rest = after
		link = strings.ReplaceAll(link, "&#34;", `"`)
		if code, body, _ := get(t, srv, link); code != 200 {
			t.Errorf("%s: %d %s", link, code, clip(body))
		}
	}
	if links != 9 {
		t.Errorf("%d links in %s", links, body)
	}
	if code, _, _ := get(t, srv, "/nothing"); code != 404 {
		t.Errorf("/nothing: %d", code)
	}
}

func TestPprofIsOff(t *testing.T) {
	if code, _, _ := get(t, usual(t, Options{}), "/debug/pprof/"); code != 404 {
		t.Errorf("status %d", code)
	}
}

func TestTop(t *testing.T) {
	srv := usual(t, Options{})
	_, body, _ := get(t, srv, "/api/top")
	var rows []struct {
		Target map[string]any `json:"target"`
		Values map[string]any `json:"values"`
	}
	if err := json.Unmarshal([]byte(body), &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 5 {
		t.Fatalf("%d rows: %s", len(rows), body)
	}
	web := rows[len(rows)-1]
	for key, want := range map[string]any{"id": string(metric.MakeID("m", "web")), "node": "n1", "namespace": "shop", "pod": "web-0", "container": "web",
		"workload": "Deployment/web", "cgroup": "/kubepods/web"} {
		if web.Target[key] != want {
			t.Errorf("target %s = %v, want %v", key, web.Target[key], want)
		}
	}
	if web.Values["tcp_sent"] != 1000.0 || web.Values["memory_working_set"] != 4096.0 {
		t.Errorf("values %v", web.Values)
	}
	h, _ := web.Values["runq_latency"].(map[string]any)
	if h["count"] != 7.0 || h["sum"] != 0.0035 || h["p50"].(float64) <= 0 || len(h) != 5 {
		t.Errorf("runq_latency %v", h)
	}
	if h := web.Values["block_latency"].(map[string]any); h["count"] != 7.0 {
		t.Errorf("block_latency, both operations: %v", h)
	}
	_, body, _ = get(t, srv, "/api/top?by=node")
	if err := json.Unmarshal([]byte(body), &rows); err != nil || len(rows) != 1 || rows[0].Values["tcp_sent"] != 1000.0 /* the node's own */ || rows[0].Target["pod"] != "" {
		t.Errorf("by node: %v %s", err, body)
	}
	if code, body, _ := get(t, srv, "/api/top?by=colour"); code != 400 || !strings.Contains(body, "workload") {
		t.Errorf("by colour: %d %s", code, body)
	}
	_, body, _ = get(t, srv, "/api/targets")
	var targets []metric.Target
	if err := json.Unmarshal([]byte(body), &targets); err != nil || len(targets) != 6 || targets[5].Ended.IsZero() {
		t.Errorf("targets: %v %s", err, body)
	}
}

func TestPassword(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	users, err := parseUsers("users", "# people\nplain:pass:word\n\nhashed:"+string(hash)+"\n")
	if err != nil {
		t.Fatal(err)
	}
	srv := usual(t, Options{Users: users})
	for _, c := range []struct {
		user, password string
		want           int
	}{
		{"plain", "pass:word", 200}, {"hashed", "secret", 200}, {"hashed", "secret", 200}, {"hashed", string(hash), 401},
		{"plain", "", 401}, {"plain", "pass", 401}, {"hashed", "Secret", 401}, {"nobody", "secret", 401}, {"nobody", "pass:word", 401}, {"", "", 401},
	} {
		req, err := http.NewRequest(http.MethodGet, srv.URL+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(c.user, c.password)
		resp, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("%s:%s: %d, want %d", c.user, c.password, resp.StatusCode, c.want)
		}
	}
	if code, _, header := get(t, srv, "/"); code != 401 || !strings.HasPrefix(header.Get("WWW-Authenticate"), "Basic ") {
		t.Errorf("without a name: %d %v", code, header)
	}
}

func TestUsersFile(t *testing.T) {
	for text, want := range map[string]string{
		"":                "no users in it",
		"a:b\nnobody\n":   "users:2: want user:password",
		"a:\n":            "users:1: want user:password",
		"a:b\na:c\n":      `users:2: user "a" is there twice`,
		"a:$2y$nothash\n": `users:1: bcrypt hash of "a"`,
	} {
		if _, err := parseUsers("users", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	if _, err := ReadUsers(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("no file: %v", err)
	}
}

func FuzzUsers(f *testing.F) {
	f.Add("a:b\n# c\n")
	f.Fuzz(func(t *testing.T, text string) {
		users, err := parseUsers("users", text)
		if err == nil && len(users) == 0 {
			t.Error("neither users nor an error")
		}
	})
}

// A full house answers at once that it is full; one that leaves makes room.
func TestConcurrentRequestsAreBounded(t *testing.T) {
	inside, leave := make(chan bool), make(chan bool)
	h := bounded(1, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		inside <- true
		<-leave
	}))
	ask := func() int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		return w.Code
	}
	first := make(chan int)
	go func() { first <- ask() }()
	<-inside
	if code := ask(); code != http.StatusServiceUnavailable {
		t.Errorf("second request: %d", code)
	}
	leave <- true
	if code := <-first; code != 200 {
		t.Errorf("first request: %d", code)
	}
	go func() { first <- ask() }()
	<-inside
	leave <- true
	if code := <-first; code != 200 {
		t.Errorf("third request: %d", code)
	}
}

func TestBodyIsBounded(t *testing.T) {
	srv := usual(t, Options{})
	resp, err := srv.Client().PostForm(srv.URL+"/api/v1/query", url.Values{"query": {strings.Repeat("1+", maxBody) + "1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestServeTLSUntilTheEnd(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pool := selfSigned(t, cert, key)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	h := Handler(Options{Recent: store.NewRecent(store.RecentOptions{})})
	go func() { done <- Serve(ctx, Server{Handler: h, Listener: l, Cert: cert, Key: key}) }()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	defer client.CloseIdleConnections()
	resp, err := client.Get("https://" + l.Addr().String() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 || resp.TLS.Version < tls.VersionTLS12 {
		t.Errorf("status %d, TLS %x", resp.StatusCode, resp.TLS.Version)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("still listening")
	}
}

func TestServeSaysWhatIsWrong(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	err = Serve(context.Background(), Server{Handler: http.NotFoundHandler(), Listener: l, Cert: "no.pem", Key: "no.key"})
	if err == nil || !strings.Contains(err.Error(), "load certificate no.pem and key no.key") {
		t.Errorf("Serve: %v", err)
	}
	if _, err := l.Accept(); err == nil {
		t.Error("the listener is open")
	}
}

func selfSigned(t *testing.T, cert, key string) *x509.CertPool {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "viperprobe"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return pool
}
