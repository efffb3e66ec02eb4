package policy

import (
	"slices"
	"testing"
	"time"

	"viperprobe.dev/viperprobe/catalogue"
	"viperprobe.dev/viperprobe/internal/metric"
)

func appPlan(t *testing.T, files ...File) Plan {
	t.Helper()
	d, err := Parse(files, catalogue.Families())
	if err != nil {
		t.Fatal(err)
	}
	return Make(Wishes{Interval: time.Second, Documents: d}, 1, time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC))
}

func probeNames(probes []AppProbe) (names []string) {
	for _, p := range probes {
		names = append(names, p.Name)
	}
	return names
}

func TestAppProbesOfTargets(t *testing.T) {
	plan := appPlan(t,
		policyOf("shop", `selector: {namespaces: [shop]}, probes: [{name: cart, function: main.addToCart, images: [shop/*]}, {name: command, usdt: "a:b", limit: 5}], until: 2027-01-01T00:00:00Z`))
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	ssl := []string{"ssl_handshake", "ssl_read", "ssl_read_ex", "ssl_write", "ssl_write_ex"}
	redis := []string{"aof_flush", "command", "eviction", "expire_cycle"}
	for name, tc := range map[string]struct {
		target metric.Target
		now    time.Time
		want   []string
	}{
		"unknown software": {metric.Target{Kind: metric.Plain, Cgroup: "/x"}, now, ssl},
		"redis":            {metric.Target{Kind: metric.Plain, Cgroup: "/x", Pattern: "redis"}, now, append(redis, ssl...)},
		"the node":         {metric.Target{Kind: metric.Node}, now, nil},
		"by a policy":      {metric.Target{Kind: metric.Container, Namespace: "shop", Image: "r.example/shop/cart:1"}, now, append([]string{"cart", "command"}, ssl...)},
		"another image":    {metric.Target{Kind: metric.Container, Namespace: "shop", Image: "x"}, now, append([]string{"command"}, ssl...)},
		"past its end":     {metric.Target{Kind: metric.Container, Namespace: "shop", Image: "shop/cart"}, now.AddDate(1, 0, 0), ssl},
	} {
		if got := probeNames(plan.AppProbes(&tc.target, tc.now)); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	both := metric.Target{Kind: metric.Container, Namespace: "shop", Pattern: "redis"}
	for _, p := range plan.AppProbes(&both, now) {
		if p.Name == "command" && (p.USDT != "a:b" || p.Limit != 5 || p.Origin != "shop.yaml:4") {
			t.Errorf("a policy's probe does not stand in place of the pattern's: %+v", p)
		}
	}
	if !plan.Lapsed(now, now.AddDate(1, 0, 0)) {
		t.Error("the end of a policy with probes alone is not seen")
	}
	wants := plan.For(&both, now)
	if _, ok := wants["app_latency"]; !ok || len(wants) != 2 {
		t.Errorf("a policy with probes wants %v, want the application families", wants)
	}
}

func TestAppProbeRuns(t *testing.T) {
	for _, tc := range []struct {
		binary, file string
		executable   bool
		want         bool
	}{
		{"", "/usr/bin/x", true, true}, {"", "/lib/x.so", false, false},
		{"libssl.so*", "/usr/lib/libssl.so.3", false, true}, {"libssl.so*", "/usr/lib/libssl.so.3.d/x", false, false},
		{"/usr/sbin/*", "/usr/sbin/nginx", true, true}, {"/opt/**", "/opt/a/b", false, true}, {"/opt/*", "/usr/opt", true, false},
	} {
		var globs []string
		if tc.binary != "" {
			globs = []string{tc.binary}
		}
		if got := (&AppProbe{Binaries: globs}).Runs(tc.file, tc.executable); got != tc.want {
			t.Errorf("%q on %q: %v", tc.binary, tc.file, got)
		}
	}
}
