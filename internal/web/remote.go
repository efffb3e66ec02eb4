package web

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"viperprobe.dev/viperprobe/internal/store"
)

// A Remote reads what a running instance has through its API. It is safe for
// concurrent use.
type Remote struct {
	URL    string // http://127.0.0.1:9733; may hold user:password@
	Client *http.Client
}

// maxLine bounds one line of an answer.
const maxLine = 1 << 20

// Range is store.Reader.Range over there.
func (m *Remote) Range(ctx context.Context, q store.Query) iter.Seq2[store.Row, error] {
	form := url.Values{
		"family": {q.Family.Name}, "target": {q.Target}, "by": {string(q.By)}, "rate": {strconv.FormatBool(q.Rate)},
		"start": {q.From.Format(time.RFC3339Nano)}, "end": {q.To.Format(time.RFC3339Nano)}, "step": {strconv.FormatFloat(q.Step.Seconds(), 'f', -1, 64)},
	}
	return func(yield func(store.Row, error) bool) {
		body, err := m.get(ctx, "/api/query", form)
		if err != nil {
			yield(store.Row{}, err)
			return
		}
		defer body.Close()
		lines := bufio.NewScanner(body)
		lines.Buffer(nil, maxLine)
		for lines.Scan() {
			var line rowLine
			err := json.Unmarshal(lines.Bytes(), &line)
			if err == nil && line.Error != "" {
				err = errors.New(line.Error)
			}
			if !yield(decodeRow(line), err) || err != nil {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(store.Row{}, fmt.Errorf("read answer of %s: %w", m.Name(), err))
		}
	}
}

// Gaps is store.Reader.Gaps over there.
func (m *Remote) Gaps(ctx context.Context, from, to time.Time) ([]store.Gap, error) {
	body, err := m.get(ctx, "/api/gaps", url.Values{"start": {from.Format(time.RFC3339Nano)}, "end": {to.Format(time.RFC3339Nano)}})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var lines []gapLine
	if err := json.NewDecoder(io.LimitReader(body, 64<<20)).Decode(&lines); err != nil {
		return nil, fmt.Errorf("read answer of %s: %w", m.Name(), err)
	}
	var gaps []store.Gap
	for _, l := range lines {
		gaps = append(gaps, store.Gap{Node: l.Node, Reason: l.Reason, From: l.From, To: l.To})
	}
	return gaps, nil
}

// Close does nothing: each call has a connection of its own.
func (m *Remote) Close() error { return nil }

// Name is the address without a password.
func (m *Remote) Name() string {
	if u, err := url.Parse(m.URL); err == nil {
		return u.Redacted()
	}
	return "the server"
}

func (m *Remote) get(ctx context.Context, path string, form url.Values) (io.ReadCloser, error) {
	res, err := m.ask(ctx, path, form, nil)
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

// ask gives answers that are well, or 304; the caller closes their bodies.
func (m *Remote) ask(ctx context.Context, path string, form url.Values, header http.Header) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(m.URL, "/")+path+"?"+form.Encode(), nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", m.Name(), err)
	}
	if header != nil {
		r.Header = header
	}
	res, err := m.Client.Do(r)
	if err != nil {
		var failed *url.Error // it would say the whole query again
		if errors.As(err, &failed) {
			err = failed.Err
		}
		return nil, fmt.Errorf("ask %s: %w", m.Name(), err)
	}
	if res.StatusCode == http.StatusOK || res.StatusCode == http.StatusNotModified {
		return res, nil
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxLine))
	var line rowLine
	switch {
	case err == nil && json.Unmarshal(text, &line) == nil && line.Error != "":
		return nil, &RefusedError{Status: res.StatusCode, Text: line.Error}
	case res.StatusCode == http.StatusUnauthorized && res.Request.URL.User != nil:
		return nil, fmt.Errorf("ask %s: it does not take this name and password; the file that it was given with --basic-auth-file has those it takes", m.Name())
	case res.StatusCode == http.StatusUnauthorized:
		return nil, fmt.Errorf("ask %s: it wants a name and password; put them into the address, as in USER:PASSWORD@HOST:PORT", m.Name())
	case bytes.Contains(text, []byte("HTTP request to an HTTPS server")):
		return nil, fmt.Errorf("ask %s: it speaks HTTPS; begin the address with https://", m.Name())
	}
	return nil, fmt.Errorf("ask %s: it answered %s; is it a viperprobe of this version?", m.Name(), res.Status)
}

// A RefusedError is what an instance answers to what it cannot do.
type RefusedError struct {
	Status int // of HTTP
	Text   string
}

func (e *RefusedError) Error() string { return e.Text }
