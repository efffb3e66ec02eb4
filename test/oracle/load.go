package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
)

// loadEnv makes this program the load of nginx: address, connections, requests.
const loadEnv = "VIPERPROBE_ORACLE_LOAD"

func load() int {
	var address string
	var clients, requests int
	_, err := fmt.Sscan(os.Getenv(loadEnv), &address, &clients, &requests)
	if err == nil {
		done := make(chan error, clients)
		for i := range clients {
			n := requests / clients
			if i < requests%clients {
				n++
			}
			go func() { done <- ask(address, n) }()
		}
		for range clients {
			err = errors.Join(err, <-done)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		return 1
	}
	return 0
}

// ask sends n requests one after the other over one connection.
func ask(address string, n int) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	in := bufio.NewReader(c)
	for range n {
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: oracle\r\n\r\n"); err != nil {
			return err
		}
		r, err := http.ReadResponse(in, nil)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return err
		}
		r.Body.Close()
		if r.StatusCode != http.StatusOK {
			return fmt.Errorf("answer %s", r.Status)
		}
	}
	return nil
}
