package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
)

// answerTimeout is how long an answer may take: a plan is put in force meanwhile.
const answerTimeout = 30 * time.Second

// A Client asks the instance that listens on a unix socket. What it refuses comes back
// as a RefusedError.
type Client struct{ Path string }

// Set is Controller.Set.
func (c Client) Set(ctx context.Context, w Wish) (x Change, err error) {
	err = c.ask(ctx, "set", w, &x)
	return x, err
}

// SetCritical is Controller.SetCritical.
func (c Client) SetCritical(ctx context.Context, w Critical) (out []Change, err error) {
	err = c.ask(ctx, "critical", w, &out)
	return out, err
}

// Unset is Controller.Unset.
func (c Client) Unset(ctx context.Context, ids []int64, why string) (out []Change, err error) {
	err = c.ask(ctx, "unset", unset{ids, why}, &out)
	return out, err
}

// Changes is Controller.Changes.
func (c Client) Changes(ctx context.Context) (out Changes, err error) {
	err = c.ask(ctx, "changes", struct{}{}, &out)
	return out, err
}

// Explain is Controller.Explain.
func (c Client) Explain(ctx context.Context, glob string) (out []Explanation, err error) {
	err = c.ask(ctx, "explain", glob, &out)
	return out, err
}

// AppProbes is Controller.AppProbes.
func (c Client) AppProbes(ctx context.Context) (out []policy.AppStatus, err error) {
	err = c.ask(ctx, "probes", struct{}{}, &out)
	return out, err
}

// Diff is Controller.Diff.
func (c Client) Diff(ctx context.Context, files []policy.File) (out []Difference, err error) {
	err = c.ask(ctx, "diff", files, &out)
	return out, err
}

// Cost is Controller.Cost.
func (c Client) Cost(ctx context.Context) (b metric.Bill, err error) {
	err = c.ask(ctx, "cost", struct{}{}, &b)
	return b, err
}

// Forecast is Controller.Forecast.
func (c Client) Forecast(ctx context.Context, files []policy.File, add string) (f metric.Forecast, err error) {
	err = c.ask(ctx, "forecast", forecast{files, add}, &f)
	return f, err
}

func (c Client) ask(ctx context.Context, what string, body, into any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("ask to %s: %w", what, err)
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://control/"+what, bytes.NewReader(b))
	if err != nil {
		return fmt.Errorf("ask to %s: %w", what, err)
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", c.Path)
	}}
	res, err := (&http.Client{Transport: transport}).Do(r)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing listens on %s; start `viperprobe run`, or say where it is with --control", c.Path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s is for root and its group; use sudo", c.Path)
	case err != nil:
		return fmt.Errorf("ask to %s: %w", what, err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("ask to %s: %w", what, err)
	}
	switch text := strings.TrimSpace(string(answer)); {
	case res.StatusCode == http.StatusBadRequest:
		return &RefusedError{errors.New(text)}
	case res.StatusCode != http.StatusOK:
		return errors.New(text)
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("ask to %s: read answer: %w", what, err)
	}
	return nil
}
