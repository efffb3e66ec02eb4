package web

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"viperprobe.dev/viperprobe/internal/metric"
	"viperprobe.dev/viperprobe/internal/store"
)

// api adds our own JSON API.
func (s *server) api(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/targets", func(w http.ResponseWriter, _ *http.Request) { s.json(w, s.targets()) })
	mux.HandleFunc("GET /api/top", s.top)
	mux.HandleFunc("GET /api/batch", s.batch)
	mux.HandleFunc("GET /api/query", s.rows)
	mux.HandleFunc("GET /api/gaps", s.gaps)
	for name, document := range s.Documents {
		mux.HandleFunc("GET /api/"+name, func(w http.ResponseWriter, _ *http.Request) { s.json(w, document.Make()) })
	}
}

func (s *server) documentNames() []string { return slices.Sorted(maps.Keys(s.Documents)) }

// targets lists the targets that live, then those that ended lately.
func (s *server) targets() []*metric.Target {
	v, targets := s.Recent.View(), []*metric.Target{}
	for _, b := range v.Batches {
		for i := range b.Groups {
			if !b.Groups[i].Last {
				targets = append(targets, b.Groups[i].Target)
			}
		}
	}
	for _, e := range v.Ended {
		t := *e.Group.Target
		if t.Ended.IsZero() {
			t.Ended = e.At
		}
		targets = append(targets, &t)
	}
	return targets
}

// top answers with an array of store.TopRow; ?by= groups it.
func (s *server) top(w http.ResponseWriter, r *http.Request) {
	by := store.Grouping(r.URL.Query().Get("by"))
	if by != "" && !slices.Contains(store.Groupings, by) {
		s.refuse(w, http.StatusBadRequest, fmt.Errorf("cannot group by %q; it is one of %v", by, store.Groupings))
		return
	}
	s.json(w, store.Top(s.Recent.View().Batches, nil, by))
}

// A fault is what our API answers instead, and how a stream of lines ends early.
type fault struct {
	Error string `json:"error"`
}

func (s *server) refuse(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	s.json(w, fault{err.Error()})
}

func (s *server) json(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	if err := e.Encode(v); err != nil {
		s.Log.Debug("write answer", "err", err)
	}
}
