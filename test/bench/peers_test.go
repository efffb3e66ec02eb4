package main

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"testing"
)

func TestPeerFlags(t *testing.T) {
	for _, c := range []struct {
		flag      string
		name, url string
		command   []string
	}{
		{"x=y -a=b", "x", "", []string{"y", "-a=b"}},
		{"a b=http://127.0.0.1:1/m?f=g@y -z", "a b", "http://127.0.0.1:1/m?f=g", []string{"y", "-z"}},
		{"x=root@host", "x", "", []string{"root@host"}},
		{"x", "", "", nil}, {"=y", "", "", nil}, {"x= ", "", "", nil}, {"x=http://127.0.0.1:1/", "", "", nil},
	} {
		var p peerFlags
		err := p.Set(c.flag)
		if c.command == nil {
			if err == nil {
				t.Errorf("%q: taken as %v", c.flag, p)
			}
			continue
		}
		if err != nil || len(p) != 1 || p[0].name != c.name || p[0].url != c.url || !slices.Equal(p[0].command, c.command) {
			t.Errorf("%q: got %v, %v", c.flag, p, err)
		}
	}
}

func TestShows(t *testing.T) {
	found := true
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !found {
			w.WriteHeader(http.StatusNotFound)
		}
		w.Write([]byte("a{id=\"/vp-1\"} 1\nb{id=\"/vp-1\"} 1\na{id=\"/vp-10\"} 1\n"))
	}))
	defer s.Close()
	if n, err := shows(s.URL, regexp.MustCompile(`vp-\d+`)); n != 2 || err != nil {
		t.Errorf("got %d, %v, want 2", n, err)
	}
	found = false
	if _, err := shows(s.URL, regexp.MustCompile(`vp-\d+`)); err == nil {
		t.Error("an answer with an error's status is taken")
	}
}
