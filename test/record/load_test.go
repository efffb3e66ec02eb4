package main

import (
	"bufio"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// redis answers the two commands of a visit until the test ends.
func redis(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for in := bufio.NewReader(c); ; {
					line, err := in.ReadString('\n')
					if err != nil {
						return
					}
					answer := ":1\r\n"
					if strings.HasPrefix(line, "SORT") {
						answer = "*1\r\n$2\r\n17\r\n"
					}
					if _, err := c.Write([]byte(answer)); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

// Every visit that falls due is told of, whether the servers are fast or stand still, and as many as the seed says.
func TestVisits(t *testing.T) {
	var counts []int
	for _, slow := range []bool{false, true} {
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if slow {
				time.Sleep(100 * time.Millisecond)
			}
			w.Write([]byte("ok"))
		}))
		defer web.Close()
		o := order{Start: time.Now(), Values: []float64{200, 200, 200, 0, 200}, Nginx: strings.TrimPrefix(web.URL, "http://"), Redis: redis(t), Clients: 2, Seed: 3}
		seconds, err := o.visit()
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		for _, s := range seconds {
			total += s.Visits
			if slow && s.P99 < .1 {
				t.Errorf("p99 is %g s of servers that take 0.1 s", s.P99)
			}
		}
		counts = append(counts, total)
	}
	if counts[0] != counts[1] || counts[0] < 50 || counts[0] > 120 {
		t.Errorf("%v visits fell due, want as many for slow servers as for fast ones, about 80", counts)
	}
}

func TestTally(t *testing.T) {
	at := func(unix int64) time.Time { return time.Unix(unix, 5) }
	got := tally([]visit{{at(8), time.Second, true}, {at(7), 2 * time.Second, false}, {at(8), 3 * time.Second, false}})
	want := []second{{Unix: 7, Visits: 1, P50: 2, P99: 2}, {Unix: 8, Visits: 2, Failed: 1, P50: 3, P99: 3}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("seconds (-want +got):\n%s", d)
	}
}

func TestCosts(t *testing.T) {
	got, err := costs([]byte(`{"families":[{"family":"a","cpu_percent":0.5,"containers":[{},{}]},{"family":"rare","cpu_percent":0},{"family":"","cpu_percent":-1}]}`))
	if diff := cmp.Diff("family,cost\na,0.25\nrare,0\n", string(got)); err != nil || diff != "" {
		t.Errorf("%v, (-want +got):\n%s", err, diff)
	}
	if _, err := costs([]byte("{")); err == nil {
		t.Error("half a bill was read")
	}
}

func TestPath(t *testing.T) {
	f := path(0, 1, .5, 2, 1, 0)
	for at, want := range map[float64]float64{0: 1, .25: 1.5, .5: 2, .75: 1, 1: 0, 2: 0} {
		if got := f(at); got != want {
			t.Errorf("at %g: %g, want %g", at, got, want)
		}
	}
}
