package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// A protocol is one small request, and how its answer begins. All answers are as long
// as the first.
type protocol struct {
	hello   []byte // sent once, before
	request []byte
	begins  []byte // of the answer
	ends    []byte // of the first answer
}

// protocols are what a server may be asked in.
func protocols(name string) protocol {
	switch name {
	case "redis":
		return protocol{request: []byte("*2\r\n$4\r\nECHO\r\n$8\r\nbenchval\r\n"), begins: []byte("$8\r\n"), ends: []byte("benchval\r\n")}
	case "postgresql":
		startup := []byte("\x00\x03\x00\x00user\x00postgres\x00database\x00postgres\x00\x00")
		query := []byte("SELECT 1\x00")
		ready := []byte("Z\x00\x00\x00\x05I")
		return protocol{
			hello:   append(binary.BigEndian.AppendUint32(nil, uint32(len(startup)+4)), startup...),
			request: append(binary.BigEndian.AppendUint32([]byte("Q"), uint32(len(query)+4)), query...),
			begins:  []byte("T"), ends: ready,
		}
	}
	return protocol{request: []byte("GET / HTTP/1.1\r\nHost: bench\r\n\r\n"), begins: []byte("HTTP/1.1 200 "), ends: []byte("\r\n\r\nok\n")}
}

// A conn is a connection that has been asked once, so that it knows how long an
// answer is. It is not safe for concurrent use.
type conn struct {
	protocol
	fd     int
	length int // of an answer
	got    int // of the answer that is awaited
	since  int64
	buf    [4096]byte
}

// dial connects and asks once.
func dial(name string, port int) (_ *conn, err error) {
	c := &conn{protocol: protocols(name)}
	if c.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return nil, err
	}
	err = errors.Join(unix.Connect(c.fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}),
		unix.SetsockoptInt(c.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5}))
	if err == nil && c.hello != nil {
		if _, err = unix.Write(c.fd, c.hello); err == nil {
			_, err = c.until(c.ends)
		}
	}
	if err == nil {
		c.length, err = c.first()
	}
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (c *conn) first() (int, error) {
	if _, err := unix.Write(c.fd, c.request); err != nil {
		return 0, err
	}
	n, err := c.until(c.ends)
	if err == nil && !bytes.HasPrefix(c.buf[:n], c.begins) {
		err = fmt.Errorf("it answers %q", c.buf[:n])
	}
	return n, err
}

// until reads up to what ends with the given bytes.
func (c *conn) until(end []byte) (n int, err error) {
	for !bytes.HasSuffix(c.buf[:n], end) {
		m, err := unix.Read(c.fd, c.buf[n:])
		if err != nil {
			return n, err
		}
		if m <= 0 {
			return n, fmt.Errorf("it ends with %q: %w", c.buf[:n], io.ErrUnexpectedEOF)
		}
		n += m
	}
	return n, nil
}

// ask asks and waits for the answer.
func (c *conn) ask() error {
	if err := c.send(0); err != nil {
		return err
	}
	for {
		if done, err := c.receive(); done || err != nil {
			return err
		}
	}
}

// send asks for what was due at a time.
func (c *conn) send(due int64) error {
	c.got, c.since = 0, due
	if n, err := unix.Write(c.fd, c.request); err != nil || n != len(c.request) {
		return fmt.Errorf("send %d of %d bytes: %w", n, len(c.request), err)
	}
	return nil
}

// receive reads once, and tells whether the answer is whole.
func (c *conn) receive() (bool, error) {
	n, err := unix.Read(c.fd, c.buf[c.got:c.length])
	if err != nil {
		return false, err
	}
	c.got += n
	switch {
	case n == 0:
		return false, io.ErrUnexpectedEOF
	case c.got < c.length:
		return false, nil
	case !bytes.HasPrefix(c.buf[:c.got], c.begins):
		return false, fmt.Errorf("it answers %q", c.buf[:c.got])
	}
	return true, nil
}

func (c *conn) close() error { return unix.Close(c.fd) }
