package probe

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// translate gives connections to a virtual address and port, with netfilter in this network
// namespace, another: at a hook (output: where the client is, prerouting: on the way).
func translate(hook, family, virtual, real string) error {
	nft := exec.Command("nft", "-f", "-")
	at := strings.LastIndexByte(virtual, ':')
	nft.Stdin = strings.NewReader(fmt.Sprintf("table inet vp { chain vp { type nat hook %s priority -100; %s daddr %s tcp dport %s dnat %s to %s; }; }",
		hook, family, strings.Trim(virtual[:at], "[]"), virtual[at+1:], family, real))
	if out, err := nft.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, out)
	}
	return nil
}

// A client asks a virtual address, as of a Service: both ends tell of each other at the
// port where the server listens, wherever the address is translated.
func TestFlowsThroughAVirtualAddress(t *testing.T) {
	if _, err := exec.LookPath("nft"); err != nil {
		t.Fatal("nft is not installed: run make tools")
	}
	for _, hook := range []string{"output", "prerouting"} {
		for family, at := range map[string]struct{ client, service, virtual, real string }{
			"ip":  {"10.96.0.1 24", "10.96.0.10 24", "10.96.0.10:80", "10.77.0.2"},
			"ip6": {"fd96::1 64", "fd96::10 64", "[fd96::10]:80", "[fd77::2]"},
		} {
			t.Run(hook+"/"+family, func(t *testing.T) {
				exactOnce(t, func(t testing.TB) {
					s := want(t, flowNames...)
					a, b := flowSides(t, s)
					a.do("address %s", at.client)
					b.do("address %s", at.service)
					port := b.do("offer l")["port"]
					translator := a
					if hook == "prerouting" {
						translator = b
					}
					translator.do("translate %s %s %s %s:%d", hook, family, at.virtual, at.real, port)
					a.do("dial c %s", at.virtual)
					b.do("accept l s")
					a.do("send c 1003")
					b.do("recv s 1003")
					b.do("send s 501")
					a.do("recv c 501")
					name := flow(a, b, port)
					for _, end := range []struct {
						side
						sent, received uint64
					}{{a, 1003, 501}, {b, 501, 1003}} {
						m := end.mark()
						m.same(t, name("sent_bytes"), end.sent)
						m.same(t, name("received_bytes"), end.received)
						m.same(t, name("connects"), 1)
						if got := flowsOf(m); len(got) != 1 {
							t.Errorf("%s has flows %q, want one", end.name(), got)
						}
					}
					lossless(t, s)
				})
			})
		}
	}
}
