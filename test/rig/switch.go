package rig

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"unsafe"
)

var one [1]byte

// hand moves one byte. System calls are made directly, so that Go's scheduler has no
// part in it.
func hand(fd int, call uintptr) bool {
	n, _, _ := syscall.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(&one)), 1)
	return n == 1
}

// A Ping hands a byte to a child and back, which are two switches where both have one
// CPU. It is not safe for concurrent use.
type Ping struct {
	child       *exec.Cmd
	there, back int
}

// NewPing starts the child: this program, which calls Pong where env tells it to.
func NewPing(env string) (*Ping, error) {
	var there, back [2]int
	if err := errors.Join(syscall.Pipe2(there[:], syscall.O_CLOEXEC), syscall.Pipe2(back[:], syscall.O_CLOEXEC)); err != nil {
		return nil, err
	}
	child := exec.Command("/proc/self/exe")
	child.Env = append(os.Environ(), env)
	child.ExtraFiles = []*os.File{os.NewFile(uintptr(there[0]), "there"), os.NewFile(uintptr(back[1]), "back")}
	if err := child.Start(); err != nil {
		return nil, err
	}
	for _, f := range child.ExtraFiles {
		f.Close()
	}
	return &Ping{child, there[1], back[0]}, nil
}

// Once hands the byte there and back.
func (p *Ping) Once() error {
	if !hand(p.there, syscall.SYS_WRITE) || !hand(p.back, syscall.SYS_READ) {
		return errors.New("the child has ended")
	}
	return nil
}

// End lets the child end.
func (p *Ping) End() error { return errors.Join(syscall.Close(p.there), p.child.Wait()) }

// Pong is the child's part.
func Pong() {
	for hand(3, syscall.SYS_READ) && hand(4, syscall.SYS_WRITE) {
	}
}
