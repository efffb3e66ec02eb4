package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"syscall"
	"time"

	"viperprobe.dev/viperprobe/internal/web"
)

const (
	defaultURL    = "http://127.0.0.1:9733"
	answerTimeout = time.Minute // until an instance begins to answer: twice what a query may take there
)

// An instance is the running viperprobe that a command asks.
type instance struct {
	url, ca string
	flags   *flags
}

func (i *instance) bind(f *flags, help string) {
	i.flags = f
	f.StringVar(&i.url, "url", defaultURL, help)
	f.StringVar(&i.ca, "ca-cert", "", "trust this certificate authority (PEM) for an https:// address; a self-signed certificate is its own")
}

// named reports whether a person said where, so that nothing else will do.
func (i *instance) named() bool { return i.flags.Changed("url") }

func (i *instance) check() error {
	if u, err := url.Parse(i.url); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("--url: want an address such as %s, have %q", defaultURL, i.url)
	}
	return nil
}

func (i *instance) remote() (*web.Remote, error) {
	transport, err := i.transport()
	if err != nil {
		return nil, err
	}
	return &web.Remote{URL: i.url, Client: &http.Client{Transport: transport}}, nil
}

// transport trusts the authority of --ca-cert.
func (i *instance) transport() (*http.Transport, error) {
	transport := &http.Transport{ResponseHeaderTimeout: answerTimeout}
	if i.ca != "" {
		pem, err := os.ReadFile(i.ca)
		if err != nil {
			return nil, usage(fmt.Errorf("--ca-cert: %w", err))
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, usage(fmt.Errorf("--ca-cert: %s has no certificate in PEM", i.ca))
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return transport, nil
}

// absent reports whether err says that nothing runs there, where nobody said that
// something does: then there is another way.
func (i *instance) absent(err error) bool { return !i.named() && errors.Is(err, syscall.ECONNREFUSED) }

// explain adds to a fault of the first question what to do about it.
func (i *instance) explain(r *web.Remote, err error, otherwise string) error {
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("ask %s: nothing listens there; start `viperprobe run`, or %s", r.Name(), otherwise)
	case errors.As(err, &unknown):
		return fmt.Errorf("%w; give its authority with --ca-cert", err)
	}
	return err
}
