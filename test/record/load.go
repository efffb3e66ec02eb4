package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// A second is what the load saw of the visits that were due in it.
type second struct {
	Unix   int64
	Visits int
	Failed int     // given up, or turned away by our own queue
	P50    float64 // seconds, from when a visit was due
	P99    float64
	Run    string
}

const (
	waiting = 4096        // visits that may wait for a client; what is over fails
	giveUp  = time.Second // after which a visit that waits is given up, as people do
)

// A visit is one that is done, or failed.
type visit struct {
	due    time.Time
	took   time.Duration
	failed bool
}

// visit drives the load: visits fall due at random times at the rate wanted whatever the servers do (open loop), and
// their time counts from then, so that a stall is not hidden by clients that wait with it.
func (o order) visit() ([]second, error) {
	clients := make([]*client, o.Clients)
	for i := range clients {
		c, err := dial(o.Nginx, o.Redis)
		if err != nil {
			return nil, err
		}
		defer c.close()
		clients[i] = c
	}
	due := make(chan time.Time, waiting)
	done := make([][]visit, o.Clients+1)
	errs := make([]error, o.Clients)
	var all sync.WaitGroup
	for i, c := range clients {
		all.Go(func() { done[i], errs[i] = c.serve(due) })
	}
	done[o.Clients] = o.fallDue(due)
	close(due)
	all.Wait()
	return tally(slices.Concat(done...)), errors.Join(errs...)
}

// fallDue hands visits to the clients and gives those that found no room.
func (o order) fallDue(due chan<- time.Time) (turnedAway []visit) {
	end := o.Start.Add(time.Duration(len(o.Values)) * time.Second / 10)
	time.Sleep(time.Until(o.Start))
	if o.Closed {
		for now := time.Now(); now.Before(end); now = time.Now() {
			due <- now
		}
		return nil
	}
	r := rand.New(rand.NewPCG(o.Seed, 7))
	for at := 0.0; ; {
		i := int(at * 10)
		if i >= len(o.Values) {
			return turnedAway
		}
		rate := max(o.Values[i], 1)
		if at += r.ExpFloat64() / rate; int(at*10) >= len(o.Values) {
			return turnedAway
		}
		when := o.Start.Add(time.Duration(at * float64(time.Second)))
		time.Sleep(time.Until(when))
		select {
		case due <- when:
		default:
			turnedAway = append(turnedAway, visit{due: when, failed: true})
		}
	}
}

// tally gives the seconds in order.
func tally(all []visit) []second {
	of := map[int64][]visit{}
	for _, v := range all {
		of[v.due.Unix()] = append(of[v.due.Unix()], v)
	}
	var out []second
	for unix, visits := range of {
		s := second{Unix: unix, Visits: len(visits)}
		var took []float64
		for _, v := range visits {
			if v.failed {
				s.Failed++
			}
			took = append(took, v.took.Seconds())
		}
		slices.Sort(took)
		s.P50, s.P99 = took[len(took)/2], took[(len(took)*99)/100]
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b second) int { return int(a.Unix - b.Unix) })
	return out
}

// A client makes one visit at a time: a page of nginx, then two commands to Redis.
type client struct {
	web, store net.Conn
	page, data *bufio.Reader
}

func dial(nginx, redis string) (*client, error) {
	web, err := net.Dial("tcp", nginx)
	if err != nil {
		return nil, err
	}
	store, err := net.Dial("tcp", redis)
	if err != nil {
		return nil, errors.Join(err, web.Close())
	}
	return &client{web, store, bufio.NewReader(web), bufio.NewReader(store)}, nil
}

func (c *client) close() { c.web.Close(); c.store.Close() }

func (c *client) serve(due <-chan time.Time) (done []visit, err error) {
	for when := range due {
		if time.Since(when) > giveUp {
			done = append(done, visit{when, time.Since(when), true})
			continue
		}
		if err := c.visit(); err != nil {
			return done, err
		}
		done = append(done, visit{when, time.Since(when), false})
	}
	return done, nil
}

func (c *client) visit() error {
	if _, err := io.WriteString(c.web, "GET / HTTP/1.1\r\nHost: shop\r\nAccept-Encoding: gzip\r\n\r\n"); err != nil {
		return err
	}
	r, err := http.ReadResponse(c.page, nil)
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return err
	}
	if err := r.Body.Close(); err != nil || r.StatusCode != http.StatusOK {
		return fmt.Errorf("nginx answers %s, %v", r.Status, err)
	}
	for _, command := range []string{"INCR visits\r\n", "SORT stock LIMIT 0 1\r\n"} {
		if _, err := io.WriteString(c.store, command); err != nil {
			return err
		}
		if err := c.reply(); err != nil {
			return err
		}
	}
	return nil
}

// reply reads one of Redis: a number, or an array of one string.
func (c *client) reply() error {
	line, err := c.data.ReadString('\n')
	if err == nil && line == "*1\r\n" {
		if _, err = c.data.ReadString('\n'); err == nil {
			_, err = c.data.ReadString('\n')
		}
	}
	if err == nil && strings.HasPrefix(line, "-") {
		err = fmt.Errorf("redis answers %q", line)
	}
	return err
}
