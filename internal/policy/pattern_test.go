package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/internal/metric"
)

func TestRecognize(t *testing.T) {
	shipped, err := Patterns()
	if err != nil {
		t.Fatal(err)
	}
	run := func(names ...string) (all []Process) {
		for _, n := range names {
			all = append(all, Process{Command: n, Executable: n})
		}
		return all
	}
	recognized := map[string]bool{}
	for name, tc := range map[string]struct {
		target    metric.Target
		processes []Process
		want      string
	}{
		"redis":            {processes: run("redis-server"), want: "redis"},
		"image alone":      {target: metric.Target{Image: "registry.example:5000/library/postgres:16@sha256:00"}, want: "postgresql"},
		"image with owner": {target: metric.Target{Image: "docker.io/openpolicyagent/opa:edge-envoy"}, want: "opa"},
		"nginx":            {processes: run("nginx", "nginx"), want: "nginx"},
		"ingress-nginx":    {processes: run("dumb-init", "nginx-ingress-c", "nginx"), want: "nginx"},
		"haproxy":          {processes: run("haproxy"), want: "haproxy"},
		"traefik":          {processes: []Process{{Command: "traefik", Executable: "traefik", Build: "go"}}, want: "traefik"},
		"mongodb":          {processes: run("sh", "mongod"), want: "mongodb"},
		"mysql":            {processes: run("mysqld_safe", "mysqld"), want: "mysql"},
		"memcached":        {processes: run("memcached"), want: "memcached"},
		"sentinel":         {processes: run("redis-sentinel"), want: "redis"},
		"opa":              {processes: []Process{{Command: "opa_linux_amd64", Executable: "opa_linux_amd64", Build: "go"}}, want: "opa"},
		// What rabbitmq-server of 3.7, and of 3.10 under systemd, starts; in its image a shell of its name stays.
		"rabbitmq 3.7":     {processes: []Process{{Command: "beam.smp", Executable: "beam.smp", Arguments: []string{"beam.smp", "-home", "/root", "-sname", "rabbit@shop"}}}, want: "rabbitmq"},
		"rabbitmq 3.10":    {processes: []Process{{Command: "beam.smp", Executable: "beam.smp", Arguments: []string{"beam.smp", "-progname", "erl", "-home", "/var/lib/rabbitmq", "-pa", "", "-noinput", "-s", "rabbit", "boot"}}}, want: "rabbitmq"},
		"rabbitmq image":   {processes: []Process{{Command: "rabbitmq-server", Executable: "dash"}, {Command: "beam.smp", Executable: "beam.smp"}}, want: "rabbitmq"},
		"erlang":           {processes: []Process{{Command: "beam.smp", Executable: "beam.smp", Arguments: []string{"beam.smp", "-home", "/root"}}}, want: ""},
		"kafka native":     {processes: run("kafka.Kafka"), want: "kafka"},
		"managed in place": {processes: []Process{{Command: "manager", Executable: "manager", Build: "go"}, {Command: "postgres", Executable: "postgres"}}, want: "postgresql"},
		"another's nginx":  {target: metric.Target{Image: "nginx/nginx-prometheus-exporter"}, processes: run("sh"), want: ""},
		"sidecar":          {processes: run("pilot-agent", "envoy"), want: "istio-proxy"},
		"gateway":          {target: metric.Target{Image: "emissary-ingress/emissary"}, processes: run("python3", "envoy", "busyambassador"), want: "emissary"},
		"plain envoy":      {processes: run("envoy"), want: "envoy"},
		"mariadb":          {processes: run("mariadbd"), want: "mysql"},
		"kafka":            {processes: []Process{{Command: "java", Executable: "java", Arguments: []string{"java", "-Xmx1G", "kafka.Kafka", "server.properties"}}}, want: "kafka"},
		"jvm":              {processes: []Process{{Command: "java", Executable: "java", Arguments: []string{"java", "-jar", "shop.jar"}}}, want: "jvm"},
		"python":           {processes: []Process{{Command: "web", Executable: "python3.11"}}, want: "python"},
		"node":             {processes: run("node"), want: "node"},
		"go":               {processes: []Process{{Command: "shop", Executable: "shop", Build: "go"}}, want: "go"},
		"coredns is go":    {processes: []Process{{Command: "coredns", Executable: "coredns", Build: "go"}}, want: "coredns"},
		"operator":         {processes: []Process{{Command: "manager", Executable: "manager", Build: "go"}}, want: "operator"},
		"istiod":           {processes: run("pilot-discovery"), want: "istiod"},
		"linkerd":          {processes: run("linkerd2-proxy"), want: "linkerd2-proxy"},
		"shell":            {processes: run("bash"), want: ""},
		"nothing":          {want: ""},
	} {
		got := ""
		if p := Recognize(shipped, &tc.target, tc.processes); p != nil {
			got = p.Name
		}
		if got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
		recognized[got] = true
	}
	for _, p := range shipped {
		if p.Role != RoleLibrary && !recognized[p.Name] {
			t.Errorf("nothing is recognised as %s here: write a case", p.Name)
		}
	}
	mine := []Pattern{{Name: "mine", Ports: []int{9440}}}
	if p := Recognize(mine, &metric.Target{}, []Process{{Ports: []int{80, 9440}}}); p == nil || p.Name != "mine" {
		t.Error("a port tells nothing")
	}
	if d := cmp.Diff(Needs{Arguments: true, Build: true}, NeedsOf(shipped)); d != "" {
		t.Error(d)
	}
}

// Every pattern that we promise is there.
func TestShippedPatterns(t *testing.T) {
	shipped, err := Patterns()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range shipped {
		got = append(got, p.Name)
	}
	want := []string{
		"emissary", "istio-proxy", "linkerd2-proxy", "traefik",
		"coredns", "envoy", "haproxy", "istiod", "kafka", "memcached", "mongodb", "mysql", "nginx", "opa", "postgresql", "rabbitmq", "redis",
		"operator",
		"go", "jvm", "node", "openssl", "python",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestImageNames(t *testing.T) {
	for image, want := range map[string][]string{
		"redis:7":                   {"redis"},
		"r.example:5000/a/b:1@sha2": {"r.example:5000/a/b", "a/b", "b"},
		"r.example:5000/a":          {"r.example:5000/a", "a"},
	} {
		if d := cmp.Diff(want, imageNames(image)); d != "" {
			t.Errorf("%s: %s", image, d)
		}
	}
}
