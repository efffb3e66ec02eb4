package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"viperprobe.dev/viperprobe/internal/codec"
	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/policy"
)

// batch answers /api/batch with the last batch as one line of JSON, in the form of
// codec.JSON. ?families= leaves out all others: names, aliases, classes or tiers,
// separated by commas. With If-None-Match the answer is 304 until the next window.
func (s *server) batch(w http.ResponseWriter, r *http.Request) {
	batches := s.Recent.View().Batches
	switch len(batches) {
	case 0:
		s.refuse(w, http.StatusServiceUnavailable, errors.New("no window has ended yet; try again"))
		return
	case 1:
	default:
		s.refuse(w, http.StatusConflict, fmt.Errorf("%d nodes report here, and a batch is of one; /api/top has them all", len(batches)))
		return
	}
	b := batches[0]
	if names := r.URL.Query().Get("families"); names != "" {
		families, err := policy.Resolve(strings.Split(names, ","), s.Families)
		if err != nil {
			s.refuse(w, http.StatusBadRequest, err)
			return
		}
		b = only(b, families)
	}
	tag := fmt.Sprintf("\"%d-%d\"", b.Epoch, b.Seq)
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := (&codec.JSON{W: w}).Write(b); err != nil {
		s.Log.Debug("write answer", "err", err)
	}
}

// only is b without the samples of other families; b is left as it is.
func only(b *metric.Batch, families []*metric.Family) *metric.Batch {
	wanted := make(map[string]bool, len(families))
	for _, f := range families {
		wanted[f.Name] = true
	}
	c := *b
	c.Groups = make([]metric.Group, len(b.Groups))
	for i := range b.Groups {
		c.Groups[i] = metric.Group{Target: b.Groups[i].Target, Last: b.Groups[i].Last}
		for _, m := range b.Groups[i].Samples {
			if wanted[m.Family.Name] {
				c.Groups[i].Samples = append(c.Groups[i].Samples, m)
			}
		}
	}
	return &c
}

// Last is the last batch over there, with the samples of the families given. The
// tag goes into the next call: while there is no newer batch, that gives nil and the
// same tag.
func (m *Remote) Last(ctx context.Context, families []*metric.Family, tag string) (b *metric.Batch, newTag string, err error) {
	names := make([]string, len(families))
	for i, f := range families {
		names[i] = f.Name
	}
	header := http.Header{}
	if tag != "" {
		header.Set("If-None-Match", tag)
	}
	res, err := m.ask(ctx, "/api/batch", url.Values{"families": {strings.Join(names, ",")}}, header)
	if err != nil {
		return nil, tag, err
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusNotModified {
		return nil, tag, nil
	}
	line, err := io.ReadAll(io.LimitReader(res.Body, codec.MaxLine+1))
	if err == nil && len(line) > codec.MaxLine {
		err = errors.New("the batch is too large")
	}
	if err == nil {
		b, err = codec.Decode(line, families)
	}
	if err != nil {
		return nil, tag, fmt.Errorf("read answer of %s: %w", m.Name(), err)
	}
	return b, res.Header.Get("ETag"), nil
}

// Document reads /api/NAME, one of Options.Documents, into v.
func (m *Remote) Document(ctx context.Context, name string, v any) error {
	res, err := m.ask(ctx, "/api/"+name, nil, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(io.LimitReader(res.Body, codec.MaxLine)).Decode(v); err != nil {
		return fmt.Errorf("read answer of %s: %w", m.Name(), err)
	}
	return nil
}
