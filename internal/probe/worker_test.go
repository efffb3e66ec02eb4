package probe

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A worker is this test binary, run again in a cgroup of its own. It does what it
// is told over a socket pair (send and recv: neither counts as a read or write
// call) on one locked thread, answers with what it counted, and is silent in
// between, so that marks are taken while nothing happens.
type worker struct {
	t       testing.TB
	cmd     *exec.Cmd
	control int
	pid     int
}

const (
	workerEnv     = "VIPERPROBE_TEST_WORKER"
	workerControl = 3 // descriptor of the worker's end
)

// workerOptions say where a worker starts.
type workerOptions struct {
	Cgroup *group
	Join   bool // by cgroup.procs after its start, not born there
	NewNet bool // in a network namespace of its own, with lo up
	Env    []string
}

// answer is what a worker counted of itself.
type answer map[string]int64

type message struct {
	Values answer
	Err    string
}

// startWorker starts a worker, which ends with the test.
func startWorker(t testing.TB, o workerOptions) *worker {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "control")
	defer theirs.Close()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), append(o.Env, workerEnv+"=1", "GOGC=off", "GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1")...)
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if o.Cgroup != nil && !o.Join {
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, o.Cgroup.fd
	}
	if o.NewNet {
		cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWNET
	}
	// Pdeathsig follows the thread that started the child.
	runtime.LockOSThread()
	err = cmd.Start()
	runtime.UnlockOSThread()
	if err != nil {
		unix.Close(pair[0])
		t.Fatal(err)
	}
	w := &worker{t: t, cmd: cmd, control: pair[0], pid: cmd.Process.Pid}
	t.Cleanup(w.kill)
	if o.Cgroup != nil && o.Join {
		o.Cgroup.add(t, w.pid)
	}
	if o.NewNet {
		w.do("lo")
	}
	w.do("hello")
	return w
}

// kill ends the worker at once (SIGKILL) and takes in its exit. It may be called
// twice.
func (w *worker) kill() {
	if w.control < 0 {
		return
	}
	_ = w.cmd.Process.Kill() // first: without its control the worker ends by itself
	_ = w.cmd.Wait()
	unix.Close(w.control)
	w.control = -1
}

// quit lets the worker return from main.
func (w *worker) quit() *os.ProcessState {
	w.t.Helper()
	unix.Close(w.control)
	w.control = -1
	if err := w.cmd.Wait(); err != nil {
		w.t.Fatalf("worker: %v", err)
	}
	return w.cmd.ProcessState
}

// do has one action done (its name, then its arguments) and returns the answer.
func (w *worker) do(format string, args ...any) answer {
	w.t.Helper()
	w.tell(format, args...)
	return w.answer()
}

// tell asks for an action and does not wait for its answer.
func (w *worker) tell(format string, args ...any) {
	w.t.Helper()
	if err := unix.Sendto(w.control, fmt.Appendf(nil, format, args...), 0, nil); err != nil {
		w.t.Fatalf("tell worker to %s: %v", format, err)
	}
}

// answer waits for the answer of an action that was told.
func (w *worker) answer() answer {
	w.t.Helper()
	m, _ := w.receive()
	return m
}

// receive takes an answer, and the descriptors that came with it.
func (w *worker) receive() (answer, []int) {
	w.t.Helper()
	limit := unix.NsecToTimeval(120e9)
	if err := unix.SetsockoptTimeval(w.control, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		w.t.Fatal(err)
	}
	text, rights, err := receive(w.control)
	if err != nil {
		w.t.Fatalf("hear from worker: %v", err)
	}
	var m message
	if err := json.Unmarshal(text, &m); err != nil {
		w.t.Fatalf("answer of worker: %v: %q", err, text)
	}
	if m.Err != "" {
		w.t.Fatalf("worker: %s", m.Err)
	}
	return m.Values, rights
}

// send gives the worker descriptors together with a command.
func (w *worker) send(rights []int, format string, args ...any) answer {
	w.t.Helper()
	if err := unix.Sendmsg(w.control, fmt.Appendf(nil, format, args...), unix.UnixRights(rights...), nil, 0); err != nil {
		w.t.Fatal(err)
	}
	return w.answer()
}

func receive(control int) (text []byte, rights []int, err error) {
	buf, oob := make([]byte, 1<<16), make([]byte, unix.CmsgSpace(4*8))
	n, m, _, _, err := recvmsg(control, buf, oob)
	if err != nil {
		return nil, nil, err
	}
	if n == 0 {
		return nil, nil, errors.New("the other side has gone")
	}
	messages, err := unix.ParseSocketControlMessage(oob[:m])
	for i := range messages {
		fds, fault := unix.ParseUnixRights(&messages[i])
		rights, err = append(rights, fds...), errors.Join(err, fault)
	}
	return buf[:n], rights, err
}

func recvmsg(fd int, buf, oob []byte) (n, m, flags int, from unix.Sockaddr, err error) {
	for {
		n, m, flags, from, err = unix.Recvmsg(fd, buf, oob, unix.MSG_CMSG_CLOEXEC)
		if err != unix.EINTR {
			return n, m, flags, from, err
		}
	}
}

// A job is the worker's side: what it keeps between actions, and the descriptors
// that go with the current command and its answer.
type job struct {
	fds    map[string]int // sockets and files by name
	rights []int          // came with the command
	give   []int          // go with the answer
	keep   [][]byte       // memory that was touched
}

// An action does something and says what it counted.
type action func(j *job, args []string) (answer, error)

// actions is what workers can do.
func actions() map[string]action {
	all := map[string]action{}
	for _, part := range []map[string]action{commonActions(), taskActions(), socketActions(), faultActions(), diskActions(), requestActions(), tlbActions(), reclaimActions(), pagecacheActions(), udpActions(), unixActions(), dnsActions(), processActions(), syscallActions(), fileActions(), appActions(), protocolActions(), flowActions()} {
		maps.Copy(all, part)
	}
	return all
}

func commonActions() map[string]action {
	return map[string]action{
		"hello": func(*job, []string) (answer, error) { return nil, nil },
		"lo":    func(*job, []string) (answer, error) { return nil, upLoopback() },
		"usage": func(*job, []string) (answer, error) { return usage(), nil },
	}
}

// A worker speaks from the first thread of its process: main is locked to it.
func init() {
	if os.Getenv(workerEnv) != "" {
		runtime.LockOSThread()
	}
}

// greetEnv makes a program that took over a worker's process say so.
const greetEnv = "VIPERPROBE_TEST_GREET"

func serveWorker() int {
	if os.Getenv(childEnv) != "" {
		return serveChild()
	}
	debug.SetGCPercent(-1)
	all, j := actions(), &job{fds: map[string]int{}}
	if os.Getenv(greetEnv) != "" {
		_ = unix.Sendto(workerControl, []byte("{}"), 0, nil)
	}
	for {
		text, rights, err := receive(workerControl)
		if err != nil {
			return 0
		}
		fields := strings.Fields(string(text))
		j.rights, j.give = rights, nil
		var m message
		if do := all[fields[0]]; do == nil {
			m.Err = "no action " + fields[0]
		} else if m.Values, err = do(j, fields[1:]); err != nil {
			m.Err = string(text) + ": " + err.Error()
		}
		reply, _ := json.Marshal(m)
		var oob []byte
		if len(j.give) > 0 {
			oob = unix.UnixRights(j.give...)
		}
		if err := unix.Sendmsg(workerControl, reply, oob, nil, 0); err != nil {
			return 1
		}
	}
}

// usage is what the kernel tells the worker about itself.
func usage() answer {
	var self, thread unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &self)
	_ = unix.Getrusage(unix.RUSAGE_THREAD, &thread)
	return answer{
		"voluntary": self.Nvcsw, "involuntary": self.Nivcsw, "minor": self.Minflt, "major": self.Majflt,
		"thread voluntary": thread.Nvcsw, "thread involuntary": thread.Nivcsw, "thread minor": thread.Minflt,
	}
}

// number is the i-th argument.
func number(args []string, i int) int {
	if i >= len(args) {
		return 0
	}
	n, err := strconv.Atoi(args[i])
	if err != nil {
		panic(err)
	}
	return n
}

// upLoopback switches lo of this network namespace on, without ip(8).
func upLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req); err != nil {
		return fmt.Errorf("switch lo on: %w", err)
	}
	if _, err := net.InterfaceByName("lo"); err != nil {
		return err
	}
	return nil
}
