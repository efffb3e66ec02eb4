package web

import (
	"fmt"
	"html"
	"net/http"
	"strings"
)

const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>ViperProbe</title>
<style>
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem; }
code { font-size: .9em; overflow-wrap: anywhere; }
li { margin: .4rem 0; }
</style>
<h1>ViperProbe</h1>
<p>%s</p>
<ul>
%s</ul>
<p>Grafana: add a data source of type Prometheus with this address.</p>
</html>
`

// index is a page that leads to the rest.
func (s *server) index(w http.ResponseWriter, _ *http.Request) {
	links := [][2]string{
		{"/metrics", "all numbers, for Prometheus to scrape"},
		{"/api/top", "every target and what it does now, as JSON"},
		{"/api/targets", "the targets"},
		{"/api/batch", "the last window in full, as JSON"},
	}
	for _, name := range s.documentNames() {
		links = append(links, [2]string{"/api/" + name, s.Documents[name].What})
	}
	if s.Store != nil {
		links = append(links, [2]string{"/api/v1/query?query=count+by+(__name__)+({__name__%3D~\"viperprobe_.%2B\"})", "PromQL over what is stored"})
	}
	links = append(links, [2]string{"/healthz", "alive?"}, [2]string{"/readyz", "ready?"})
	if s.Pprof {
		links = append(links, [2]string{"/debug/pprof/", "profiles of this process"})
	}
	var list strings.Builder
	for _, l := range links {
		path, _, _ := strings.Cut(l[0], "?")
		fmt.Fprintf(&list, "<li><a href=\"%s\"><code>%s</code></a> - %s\n", html.EscapeString(l[0]), html.EscapeString(path), html.EscapeString(l[1]))
	}
	targets, samples := 0, 0
	for _, b := range s.Recent.View().Batches {
		targets, samples = targets+len(b.Groups), samples+b.Samples()
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	fmt.Fprintf(w, page, html.EscapeString(fmt.Sprintf("Version %s. %d targets, %d samples in the last window.", s.Version, targets, samples)), list.String())
}
