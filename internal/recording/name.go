package recording

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"

	"viperprobe.dev/viperprobe/internal/analysis"
	"viperprobe.dev/viperprobe/internal/metric"
)

// A namer reads names of series:
//
//	[CONTAINER/]FAMILY[(LABEL)][.STATISTIC]
//	FAMILY{label="value",...}[.STATISTIC]
//
// Everything before the last slash is the container: redis/runq_latency.p99,
// shop/cart-0/cart/requests.rate, /system.slice/nginx.service/cpu_usage. A dot begins a
// statistic where a word for one follows. Labels in braces are Prometheus': they make
// the container and service as identify says.
type namer struct {
	prom map[string]*metric.Family // by name on /metrics
	own  map[string]*metric.Family // by name and alias
}

// self tells families of what the agent says of itself.
func (n namer) self(family string) bool {
	f := n.own[family]
	return f != nil && f.Tier == metric.Self
}

func newNamer(families []*metric.Family) namer {
	n := namer{map[string]*metric.Family{}, map[string]*metric.Family{}}
	for _, f := range families {
		n.prom[f.PromName()], n.own[f.Name] = f, f
		for _, a := range f.Aliases {
			n.own[a] = f
		}
	}
	return n
}

var statistics = regexp.MustCompile(`^(rate|count|sum|mean|min|max|last|p[0-9]{1,3})$`)

// read takes a name apart. counter says that its values are totals, by the suffix
// that Prometheus gives them.
func (n namer) read(name string) (s analysis.Series, counter bool, err error) {
	s.Name = name
	family := name
	if open := strings.IndexByte(name, '{'); open >= 0 {
		end := strings.LastIndexByte(name, '}')
		if end < open {
			return s, false, errors.New("its brace { is never closed")
		}
		labels, err := parseLabels(name[open+1 : end])
		if err != nil {
			return s, false, err
		}
		family = name[:open] + name[end+1:]
		identify(&s, labels)
		s.Label = n.label(name[:open], labels)
	} else if slash := strings.LastIndexByte(cutLabel(name), '/'); slash >= 0 {
		s.Container, family = name[:slash], name[slash+1:]
		s.Service = serviceOf(s.Container)
	}
	if dot := strings.LastIndexByte(family, '.'); dot >= 0 && statistics.MatchString(family[dot+1:]) {
		s.Statistic, family = family[dot+1:], family[:dot]
	}
	if bare := cutLabel(family); bare != family {
		family, s.Label = bare, strings.Trim(family[len(bare):], "()")
	}
	if family == "" {
		return s, false, errors.New("it names no family")
	}
	counter = s.Statistic == "" && strings.HasSuffix(family, "_total")
	s.Family = n.family(family)
	if counter {
		s.Statistic = "rate"
	}
	return s, counter, nil
}

// cutLabel takes "(read)" off "block_latency(read)".
func cutLabel(s string) string {
	if open := strings.IndexByte(s, '('); open > 0 && strings.HasSuffix(strings.TrimRight(s, ".0123456789abcdefghijklmnopqrstuvwxyz"), ")") {
		return s[:open]
	}
	return s
}

// family is what the catalogue calls a family, if it knows it.
func (n namer) family(name string) string {
	if f := n.own[name]; f != nil {
		return f.Name
	}
	if f := n.prom[name]; f != nil {
		return f.Name
	}
	return name
}

// whose are labels that tell whose a series is, what of it, or where it was read: not which series of its family.
var whose = []string{"namespace", "pod", "container", "cgroup", "name", "kind", "target", "instance", "job", "workload",
	"service", "app", "app_kubernetes_io_name", "deployment", "pattern", "statistic", "quantile", "node", "image", "id", "uid",
	"cluster", "endpoint", "prometheus", "metrics_path"}

// label says which series of its family one is: by the values of the labels that the catalogue knows, else by all labels
// that are nothing else.
func (n namer) label(family string, labels map[string]string) string {
	if f := n.prom[family]; f != nil {
		var values []string
		for _, l := range f.Labels {
			if v := labels[l.Name]; v != "" {
				values = append(values, v)
			}
		}
		return strings.Join(values, ",")
	}
	rest := maps.Clone(labels)
	for _, key := range whose {
		delete(rest, key)
	}
	return strings.Trim(printLabels(rest), "{}")
}

// identify says whose a series is, by its labels: namespace, pod and container, else
// the path of a cgroup, cAdvisor's name, target, instance or job.
func identify(s *analysis.Series, labels map[string]string) {
	first := func(keys ...string) string {
		for _, k := range keys {
			if labels[k] != "" {
				return labels[k]
			}
		}
		return ""
	}
	if c := labels["container"]; c != "" && c != "POD" || labels["pod"] != "" {
		s.Container = join(labels["namespace"], labels["pod"], c)
	} else if s.Container = first("cgroup", "name"); s.Container == "" && labels["target"] != "" {
		s.Container = first("kind", "target") // our node, and what is in no target
	} else if s.Container == "" {
		s.Container = first("instance", "job")
	}
	switch service := first("workload", "service", "app", "app_kubernetes_io_name", "deployment"); {
	case service != "":
		s.Service = join(labels["namespace"], service)
	case s.Container == labels["instance"] && labels["job"] != "":
		s.Service = labels["job"]
	default:
		s.Service = serviceOf(s.Container)
	}
	s.Pattern = labels["pattern"]
	s.Statistic = labels["statistic"]
	if q, err := strconv.ParseFloat(labels["quantile"], 64); err == nil && q > 0 && q < 1 {
		s.Statistic = "p" + strings.TrimPrefix(strconv.FormatFloat(q*100, 'f', -1, 64), ".")
	}
}

func join(parts ...string) string {
	var out []string
	for _, p := range parts {
		if p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, "/")
}

// replica is what Kubernetes adds to a workload's name: an ordinal, or the hashes of a
// ReplicaSet and its pod, in an alphabet that makes no words.
var replica = regexp.MustCompile(`(-[0-9]{1,3}|-[b-df-hj-np-tv-z0-9]{6,10}-[b-df-hj-np-tv-z0-9]{5})$`)

// serviceOf is the service of a container called namespace/pod/container,
// pod/container or pod: the pod's workload. Paths of cgroups are their own.
func serviceOf(container string) string {
	parts := strings.Split(container, "/")
	switch {
	case strings.HasPrefix(container, "/") || container == "":
		return container
	case len(parts) >= 3:
		return parts[0] + "/" + replica.ReplaceAllString(parts[1], "")
	}
	return replica.ReplaceAllString(parts[0], "")
}

// parseLabels reads key="value", separated by commas; the last may have one, too.
func parseLabels(text string) (map[string]string, error) {
	labels := map[string]string{}
	for text = strings.TrimSpace(text); text != ""; {
		key, rest, ok := strings.Cut(text, "=")
		if key = strings.TrimSpace(key); !ok || key == "" {
			return nil, fmt.Errorf("want label=\"value\" in its braces, have %q", clip(text))
		}
		quoted, err := strconv.QuotedPrefix(strings.TrimLeft(rest, " "))
		if err != nil {
			return nil, fmt.Errorf("the value of its label %s is not in quotes", clip(key))
		}
		value, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, fmt.Errorf("the value of its label %s is not in quotes", clip(key))
		}
		if _, twice := labels[key]; twice {
			return nil, fmt.Errorf("it has the label %s twice", clip(key))
		}
		labels[key] = value
		text = strings.TrimSpace(strings.TrimLeft(rest, " ")[len(quoted):])
		if text == "" {
			break
		}
		if text[0] != ',' {
			return nil, fmt.Errorf("want a comma before %q", clip(text))
		}
		text = strings.TrimSpace(text[1:])
	}
	return labels, nil
}
