package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"
)

// roleEnv makes this program the load or the neighbour, told on standard input what to do.
const roleEnv = "VIPERPROBE_RECORD_ROLE"

// An order is what a role is told. Values are for each tenth of a second from Start on.
type order struct {
	Start        time.Time
	Values       []float64 // visits a second, or the share of a CPU to burn
	Nginx, Redis string    // addresses
	Clients      int
	Closed       bool // as many visits as the clients can, at no rate: to find the capacity
	Seed         uint64
}

func play(role string, in io.Reader, out io.Writer) error {
	var o order
	if err := json.NewDecoder(in).Decode(&o); err != nil {
		return fmt.Errorf("read order: %w", err)
	}
	switch role {
	case "load":
		seconds, err := o.visit()
		if err != nil {
			return err
		}
		return json.NewEncoder(out).Encode(seconds)
	case "neighbour":
		o.burn()
		return nil
	}
	return fmt.Errorf("no such role")
}

// burners is how many threads the neighbour has.
const burners = 3

// burn uses, of every hundredth of a second, the share that it is told, with threads that all want to run at once.
func (o order) burn() {
	runtime.GOMAXPROCS(burners)
	time.Sleep(time.Until(o.Start))
	const slice = 10 * time.Millisecond
	var all sync.WaitGroup
	for range burners {
		all.Go(func() {
			for n := 0; n < 10*len(o.Values); n++ {
				begin := o.Start.Add(time.Duration(n) * slice)
				end := begin.Add(time.Duration(o.Values[n/10] * float64(slice)))
				for time.Now().Before(end) {
				}
				time.Sleep(time.Until(begin.Add(slice)))
			}
		})
	}
	all.Wait()
}
