package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"viperprobe.dev/viperprobe/internal/cgroup"
	"viperprobe.dev/viperprobe/internal/kerneltest"
)

var update = flag.Bool("update", false, "rewrite what is generated: docs, and the expected output of scripts")

func TestMain(m *testing.M) {
	testscript.Main(kerneltest.Locked{M: m}, map[string]func(){"viperprobe": main, "viperprobe-get": printURL, "viperprobe-send": sendNumbers})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"occupy":  occupy,
			"free":    free,
			"answers": answers,
			"exits":   exits,
			"cgroup":  newCgroup,
			"until":   until,
		},
	})
}

// occupy NAME holds a port of the loopback until the script ends and puts its
// address into the environment variable NAME.
func occupy(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: occupy NAME")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	ts.Setenv(args[0], l.Addr().String())
}

// free NAME puts an address of the loopback that nobody uses into NAME.
func free(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: free NAME")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Check(l.Close())
	ts.Setenv(args[0], l.Addr().String())
}

// answers URL waits until URL answers with 200.
func answers(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: answers URL")
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		res, err := http.Get(args[0])
		if err == nil {
			err = res.Body.Close()
		}
		if err == nil && res.StatusCode == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s does not answer in a minute: %v", args[0], err)
		}
	}
}

// newCgroup NAME makes a cgroup that ends with the script and puts its path into NAME.
func newCgroup(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: cgroup NAME")
	}
	host, err := cgroup.Find("/")
	ts.Check(err)
	path := fmt.Sprintf("/viperprobe-test-%d-%s-%s", os.Getpid(), ts.Name(), strings.ToLower(args[0]))
	ts.Check(os.Mkdir(host.V2+path, 0o755))
	ts.Defer(func() { os.Remove(host.V2 + path) })
	ts.Setenv(args[0], path)
}

// until PATTERN COMMAND ARGS... runs a command until its output matches.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until PATTERN COMMAND ARGS...")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		err := ts.Exec(args[1], args[2:]...)
		if err == nil && pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("no %q in 30 s: %v, %s", args[0], err, ts.ReadFile("stdout"))
		}
	}
}

// exits CODES COMMAND ARGS... runs a command that must end with one of these exit
// codes, separated by commas.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODES COMMAND ARGS...")
	}
	code := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if !slices.Contains(strings.Split(args[0], ","), strconv.Itoa(code)) {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// printURL is the command viperprobe-get of scripts: it prints what is at a URL.
func printURL() { fmt.Print(get(os.Args[1])) }
