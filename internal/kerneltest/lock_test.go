package kerneltest

import "testing"

// The second to ask gets the lock when the first has let go, not before.
func TestLock(t *testing.T) {
	unlock, err := Lock()
	if err != nil {
		t.Fatal(err)
	}
	second := make(chan error, 1)
	go func() {
		unlock, err := Lock()
		if err == nil {
			unlock()
		}
		second <- err
	}()
	select {
	case <-second:
		t.Fatal("two hold the lock")
	default:
	}
	unlock()
	if err := <-second; err != nil {
		t.Fatal(err)
	}
}
