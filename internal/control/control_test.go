package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"viperprobe.dev/viperprobe/internal/policy"
)

// Files are followed; bad ones change nothing and say why.
func TestFilesAreFollowed(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yml")
	write(t, a, "a", "selector: {patterns: [redis]}, families: [runq_latency]")
	write(t, filepath.Join(dir, ".hidden.yaml"), "a", "families: [all]")
	c, e := start(t, dir)
	follow := func(redis, web, fault string) {
		t.Helper()
		c.follow(time.Now())
		if e.has(0) != redis || e.has(1) != web {
			t.Errorf("redis has %q, want %q; web has %q, want %q", e.has(0), redis, e.has(1), web)
		}
		if got := c.Status().Fault; fault == "" && got != "" || !strings.Contains(got, fault) {
			t.Errorf("fault %q, want %q", got, fault)
		}
	}
	follow("cpu_usage runq_latency", "cpu_usage", "")
	if len(e.plans) != 1 {
		t.Errorf("%d plans although nothing changed", len(e.plans))
	}
	write(t, b, "b", "families: [block_latency]")
	follow("block_latency cpu_usage runq_latency", "block_latency cpu_usage", "")
	write(t, b, "b", "families: [block_latencyy]")
	follow("block_latency cpu_usage runq_latency", "block_latency cpu_usage", b+`:4:spec.families[0]: unknown family "block_latencyy", did you mean "block_latency"?`)
	follow("block_latency cpu_usage runq_latency", "block_latency cpu_usage", "unknown family")
	if err := os.Remove(b); err != nil {
		t.Fatal(err)
	}
	follow("cpu_usage runq_latency", "cpu_usage", "")
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	follow("cpu_usage runq_latency", "cpu_usage", "no such file or directory")
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	follow("cpu_usage runq_latency", "cpu_usage", "")
	var actions []string
	for _, x := range c.Changes().Recorded {
		actions = append(actions, x.Action)
	}
	if d := cmp.Diff([]string{"reload", "reload"}, actions); d != "" {
		t.Error(d)
	}
}

func TestBadFilesAtTheStart(t *testing.T) {
	dir := t.TempDir()
	for i := range 3 {
		write(t, filepath.Join(dir, fmt.Sprint(i, ".yaml")), "same", "families: [x]")
	}
	_, err := New(Options{Paths: []string{dir}, Families: families})
	if err == nil || len(strings.Split(err.Error(), "\n")) != 5 {
		t.Errorf("got %v, want 3 unknown families and 2 names that are taken", err)
	}
	if _, err := New(Options{Paths: []string{filepath.Join(dir, "none")}}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no such path: %v", err)
	}
	large := filepath.Join(dir, "large.yaml")
	if err := os.WriteFile(large, make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read([]string{large}); err == nil || !strings.Contains(err.Error(), "is it the right file?") {
		t.Errorf("a large file: %v", err)
	}
	for i := range maxFiles + 1 {
		write(t, filepath.Join(dir, fmt.Sprint("many", i, ".yaml")), "x", "families: [cpu]")
	}
	if _, err := Read([]string{dir}); err == nil || !strings.Contains(err.Error(), "at most 1000 are read") {
		t.Errorf("too many files: %v", err)
	}
}

// Live changes win, end by themselves, and are taken back.
func TestLive(t *testing.T) {
	c, e := start(t)
	who := Who{UID: 7, PID: 8, Command: "me"}
	set := func(w Wish) Change {
		t.Helper()
		x, err := c.Set(w, who)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	first := set(Wish{Selector: "pattern=redis", Families: []string{"all"}, Ratio: 1, For: time.Minute, Why: "slow"})
	second := set(Wish{Selector: "redis", Families: []string{"cpu"}, Ratio: 0})
	if e.has(0) != "block_latency" || e.has(1) != "cpu_usage" || e.has(2) != "cpu_usage" {
		t.Errorf("redis %q, web %q, node %q", e.has(0), e.has(1), e.has(2))
	}
	why, err := c.Explain("redis")
	if err != nil || len(why) != 1 || why[0].Reasons[0].Policy != "live change 1" || why[0].Reasons[1].Policy != "live change 2" || why[0].Reasons[1].Ratio != 0 {
		t.Errorf("explained %+v, %v", why, err)
	}
	if _, err := c.Unset([]int64{second.ID, 99}, "", who); err == nil || err.Error() != "no change 99 is in force; `viperprobe changes` lists those that are" {
		t.Errorf("unset of nothing: %v", err)
	}
	if _, err := c.Unset([]int64{second.ID}, "enough", who); err != nil {
		t.Fatal(err)
	}
	if e.has(0) != "block_latency cpu_usage runq_latency" {
		t.Errorf("redis %q", e.has(0))
	}
	c.follow(first.Until)
	if e.has(0) != "cpu_usage" || len(c.Changes().Live) != 0 {
		t.Errorf("after its time: %q, %+v", e.has(0), c.Changes().Live)
	}
	set(Wish{Selector: "web", Families: []string{"cpu"}, Ratio: 0})
	if out, err := c.Unset(nil, "", who); err != nil || len(out) != 1 {
		t.Errorf("unset of all: %v, %v", out, err)
	}
	var got []string
	for _, x := range c.Changes().Recorded {
		got = append(got, fmt.Sprint(x.ID, x.Action, x.Of, x.Why, x.Who.UID, x.Generation))
	}
	want := []string{"1set0slow7 2", "2set07 3", "3unset2enough7 4", "4end1its time is over0 5", "5set07 6", "6unset57 7"}
	normal := func(s []string) (out []string) {
		for _, x := range s {
			out = append(out, strings.ReplaceAll(x, " ", ""))
		}
		return out
	}
	if d := cmp.Diff(normal(want), normal(got)); d != "" {
		t.Error(d)
	}
	e.err = errors.New("no hook")
	if x := set(Wish{Selector: "web", Families: []string{"cpu"}, Ratio: 1}); x.Fault != "no hook" {
		t.Errorf("fault %q", x.Fault)
	}
}

// What is switched on in vain is told at once, and explained, but what is off is not.
func TestUnsupported(t *testing.T) {
	c, e := start(t)
	e.refused = map[string]string{"block_latency": "no disk", "cpu_usage": "no file"}
	for words, want := range map[string][]Unsupported{
		"all":                    {{"cpu_usage", "no file", false}, {"block_latency", "no disk", false}},
		"disk,runq_latency":      {{"block_latency", "no disk", false}},
		"cpu_usage,disk":         {{"cpu_usage", "no file", true}, {"block_latency", "no disk", false}},
		"runq_latency":           nil,
		"block_latency,cpu":      {{"cpu_usage", "no file", false}, {"block_latency", "no disk", true}},
		"disk,cpu,block_latency": {{"cpu_usage", "no file", false}, {"block_latency", "no disk", true}},
	} {
		x, err := c.Set(Wish{Selector: "redis", Families: strings.Split(words, ","), Ratio: 1}, Who{})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, x.Unsupported); d != "" {
			t.Errorf("%s: %s", words, d)
		}
	}
	x, err := c.Set(Wish{Selector: "redis", Families: []string{"cpu"}, Ratio: 0}, Who{})
	if err != nil || x.Unsupported != nil {
		t.Errorf("switched off: %+v, %v", x.Unsupported, err)
	}
	why, err := c.Explain("redis")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, r := range why[0].Reasons {
		got[r.Family] = r.Unsupported
	}
	if d := cmp.Diff(map[string]string{"block_latency": "no disk", "cpu_usage": "", "runq_latency": ""}, got); d != "" {
		t.Error(d)
	}
	for _, l := range c.Changes().Live {
		if l.Unsupported != nil {
			t.Errorf("recorded: %+v", l)
		}
	}
}

func TestWishesAreRefused(t *testing.T) {
	c, e := start(t)
	for want, w := range map[string]Wish{
		"cpu_usage cannot be sampled: it is read once a window and costs nothing between, so that a share of it would not cost less; want 0 (off) or 1 (on), have 0.5": {Selector: "x", Families: []string{"cpu_usage"}, Ratio: 0.5},
		`unknown family "cpuu", did you mean "cpu"?`:                {Selector: "x", Families: []string{"cpuu"}, Ratio: 1},
		"selector: want a target's name or key=value, have nothing": {Families: []string{"cpu"}, Ratio: 1},
		`block_latency has no label "x"; want operation`:            {Selector: "x", Families: []string{"block_latency"}, Ratio: 1, Labels: policy.Labels{"x": nil}},
		"want at least one family":                                  {Selector: "x"},
		"--for: want more than 0 and at most 30d, have -1s":         {Selector: "x", Families: []string{"cpu"}, For: -time.Second},
		"--why: want one line of at most 500 bytes":                 {Selector: "x", Families: []string{"cpu"}, Why: "a\nb"},
	} {
		var refused *RefusedError
		if _, err := c.Set(w, Who{}); !errors.As(err, &refused) || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if len(e.plans) != 1 {
		t.Errorf("%d plans for refused wishes", len(e.plans)-1)
	}
	for i := range maxLive + 1 {
		_, err := c.Set(Wish{Selector: "x", Families: []string{"cpu"}, Ratio: 1}, Who{})
		if (err != nil) != (i == maxLive) {
			t.Fatalf("change %d: %v", i, err)
		}
	}
}

func TestDiff(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), "a", "selector: {containers: [redis]}, families: [runq_latency]")
	c, e := start(t, dir)
	other := filepath.Join(t.TempDir(), "new.yaml")
	write(t, other, "a", "selector: {containers: [redis]}, families: [block_latency, {name: cpu, ratio: 0}]")
	files, err := Read([]string{other})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Diff(files)
	if err != nil {
		t.Fatal(err)
	}
	want := []Difference{{e.targets[0], []string{"block_latency"}, []string{"cpu_usage", "runq_latency"}, []Ratio{}, []Series{}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if len(e.plans) != 1 {
		t.Error("diff changed something")
	}
	files[0].Data = append(files[0].Data, "bad: 1\n"...)
	var refused *RefusedError
	if _, err := c.Diff(files); !errors.As(err, &refused) || !strings.Contains(err.Error(), "new.yaml:5:bad: unknown key") {
		t.Errorf("a bad file: %v", err)
	}
}

// A policy that ends gives back what it took, the interval too.
func TestPolicyEnds(t *testing.T) {
	dir := t.TempDir()
	end := time.Now().Add(time.Hour).Truncate(time.Second)
	write(t, filepath.Join(dir, "a.yaml"), "a", "families: [block_latency], interval: 200ms, until: "+end.UTC().Format(time.RFC3339))
	c, e := start(t, dir)
	if p := c.Plan(); p.Interval != 200*time.Millisecond || e.has(0) != "block_latency cpu_usage" {
		t.Errorf("interval %v, redis %s", p.Interval, e.has(0))
	}
	c.follow(end)
	c.follow(end.Add(time.Second))
	if p := c.Plan(); len(e.plans) != 2 || p.Interval != time.Second || len(p.Rules) != 1 {
		t.Errorf("%d plans, the last %+v", len(e.plans), p)
	}
}

// The journal survives, bounded, with what was torn passed over.
func TestJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "changes.jsonl")
	j, err := openJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	j.limit = 10_000
	for i := range maxRecent + 500 {
		if err := j.add(&Change{Action: "set", Why: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if len(j.recent) != maxRecent || j.dropped != 500 {
		t.Errorf("%d in memory, %d dropped", len(j.recent), j.dropped)
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + ".1"} {
		if info, err := os.Stat(name); err != nil || info.Size() > j.limit || info.Size() == 0 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(f, `{"id": 99999, "acti`)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := openJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.close()
	if again.last != maxRecent+500 || len(again.recent) < 50 || again.recent[len(again.recent)-1].Why != fmt.Sprint(maxRecent+499) {
		t.Errorf("last %d, %d in memory", again.last, len(again.recent))
	}
}

func FuzzJournal(f *testing.F) {
	f.Add("{\"id\":1,\"action\":\"set\"}\n{}\nx\n")
	f.Fuzz(func(t *testing.T, text string) {
		j := &journal{}
		if err := j.load(strings.NewReader(text)); err == nil && len(j.recent) > maxRecent {
			t.Errorf("%d in memory", len(j.recent))
		}
	})
}

// listening serves c on a socket until the test ends.
func listening(t *testing.T, c *Controller) Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, c, l, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return Client{path}
}

func TestSocket(t *testing.T) {
	c, e := start(t)
	client, ctx := listening(t, c), t.Context()
	if info, err := os.Stat(client.Path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("socket %v, %v", info.Mode(), err)
	}
	x, err := client.Set(ctx, Wish{Selector: "redis", Families: []string{"runq_latency"}, Ratio: 1, For: time.Minute, Why: "to see"})
	if err != nil || x.ID != 1 || e.has(0) != "cpu_usage runq_latency" {
		t.Errorf("set: %+v, %v; redis has %s", x, err, e.has(0))
	}
	if x.Who.UID != os.Geteuid() || x.Who.PID != os.Getpid() || !strings.HasPrefix(x.Who.Command, os.Args[0]) {
		t.Errorf("who: %+v", x.Who)
	}
	why, err := client.Explain(ctx, "re*")
	if err != nil || len(why) != 1 || why[0].Target.Container != "redis" || len(why[0].Reasons) != 2 {
		t.Errorf("explain: %+v, %v", why, err)
	}
	differences, err := client.Diff(ctx, nil)
	if err != nil || len(differences) != 0 {
		t.Errorf("diff: %+v, %v", differences, err)
	}
	out, err := client.Unset(ctx, nil, "")
	if err != nil || len(out) != 1 {
		t.Errorf("unset: %+v, %v", out, err)
	}
	changes, err := client.Changes(ctx)
	if err != nil || len(changes.Live) != 0 || len(changes.Recorded) != 2 {
		t.Errorf("changes: %+v, %v", changes, err)
	}
	var refused *RefusedError
	if _, err := client.Set(ctx, Wish{}); !errors.As(err, &refused) || !strings.Contains(err.Error(), "selector") {
		t.Errorf("nothing set: %v", err)
	}
	if _, err := (Client{client.Path + "none"}).Changes(ctx); err == nil || !strings.Contains(err.Error(), "start `viperprobe run`") {
		t.Errorf("no socket: %v", err)
	}
	if _, err := Listen(client.Path); !errors.Is(err, ErrInUse) {
		t.Errorf("a second listener: %v", err)
	}
}

// What a dead instance left is no hindrance; a file that is no socket is.
func TestListenAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	again, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
	file := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(file); err == nil {
		t.Error("listens in place of a file")
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "x" {
		t.Errorf("the file is %q, %v", b, err)
	}
}

// askEnv makes the test binary ask for the changes at the socket that it names.
const askEnv = "VIPERPROBE_CONTROL_ASK"

func TestMain(m *testing.M) {
	if path := os.Getenv(askEnv); path != "" {
		_, err := Client{path}.Changes(context.Background())
		fmt.Print(err)
		return
	}
	os.Exit(m.Run())
}

// A user who is neither root nor of the group is kept out, by the file's mode and,
// should that be opened, by who the kernel says he is.
func TestOthersAreKeptOut(t *testing.T) {
	c, _ := start(t)
	client := listening(t, c)
	for dir := filepath.Dir(client.Path); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(filepath.Dir(client.Path), "ask")
	in, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(program, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	ask := func(uid, gid uint32, more ...uint32) string {
		t.Helper()
		cmd := exec.Command(program)
		cmd.Env, cmd.Dir = append(os.Environ(), askEnv+"="+client.Path), "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid, Groups: more}}
		b, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, b)
		}
		return string(b)
	}
	if got := ask(65534, 65534); !strings.Contains(got, "is for root and its group") {
		t.Errorf("another user: %s", got)
	}
	if err := os.Chmod(client.Path, 0o666); err != nil {
		t.Fatal(err)
	}
	if got := ask(65534, 65534); !strings.Contains(got, "user 65534 may not") {
		t.Errorf("another user at an open socket: %s", got)
	}
	if got := ask(65534, uint32(os.Getegid())); got != "<nil>" {
		t.Errorf("one of the group: %s", got)
	}
	others := make([]uint32, 20, 21) // more than are asked for at first
	for i := range others {
		others[i] = 50000 + uint32(i)
	}
	if got := ask(65534, 65534, others...); !strings.Contains(got, "user 65534 may not") {
		t.Errorf("one of other groups: %s", got)
	}
	if got := ask(65534, 65534, append(others, uint32(os.Getegid()))...); got != "<nil>" {
		t.Errorf("one who is of the group among others: %s", got)
	}
}
