package torture

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// program builds weir as it ships but for its failpoints, once, and returns its
// path. WEIR_PROGRAM names one that was built before.
var program = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("WEIR_PROGRAM"); path != "" {
		return path, nil
	}
	path := filepath.Join(workshop, "weir")
	cmd := exec.Command("go", "build", "-tags", "failpoints", "-o", path, "weir/cmd/weir")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// process is a running weir.
type process struct {
	cmd   *exec.Cmd
	said  string // the file that it writes to
	begun time.Time
	ended chan struct{} // closed when it has ended
	err   error         // why it could not be waited for; to be read when ended is closed
}

// launch starts a command that dies with the test: the kernel ends it with the
// thread that started it, so that thread waits for it.
func launch(said string, env []string, args ...string) (*process, error) {
	path, err := program()
	if err != nil {
		return nil, err
	}
	out, err := os.OpenFile(said, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close() // the process has its own descriptor
	p := &process{cmd: exec.Command(path, args...), said: said, ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	p.begun = time.Now()
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		var exit *exec.ExitError
		if err := p.cmd.Wait(); !errors.As(err, &exit) {
			p.err = err
		}
		close(p.ended)
	}()
	return p, <-started
}

func (p *process) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// kill ends the process as kill -9 does and waits until it is gone.
func (p *process) kill() {
	p.cmd.Process.Kill() // an error says that it has ended already
	<-p.ended
}

func (p *process) signal(sig syscall.Signal) {
	p.cmd.Process.Signal(sig) // an error says that it has ended already
}

// wait waits until the process ends by itself; ok is false where it does not.
func (p *process) wait(patience time.Duration) (status syscall.WaitStatus, ok bool) {
	select {
	case <-p.ended:
		return p.cmd.ProcessState.Sys().(syscall.WaitStatus), true
	case <-time.After(patience):
		return 0, false
	}
}

// text returns what the process said, the end of it where that is long.
func (p *process) text() string {
	f, err := os.Open(p.said)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	const most = 64 << 10
	cut := ""
	if info, err := f.Stat(); err == nil && info.Size() > most {
		if _, err := f.Seek(-most, io.SeekEnd); err == nil {
			cut = "…"
		}
	}
	b, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	return cut + string(b)
}

// crashed reports whether a process went down by a fault of its own.
func crashed(text string) bool {
	return strings.Contains(text, "\ngoroutine ") || strings.Contains(text, "panic: ") || strings.Contains(text, "fatal error: ") ||
		strings.Contains(text, "SIGBUS") || strings.Contains(text, "SIGSEGV")
}

// command runs a command of weir to its end.
func command(args ...string) (out string, code int, err error) {
	path, err := program()
	if err != nil {
		return "", 0, err
	}
	cmd := exec.Command(path, args...)
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	err = cmd.Start()
	if err != nil {
		return "", 0, err
	}
	timer := time.AfterFunc(5*time.Minute, func() { cmd.Process.Kill() })
	defer timer.Stop()
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return b.String(), 0, err
	}
	return b.String(), cmd.ProcessState.ExitCode(), nil
}

// until waits for something that must become true.
func until(t *testing.T, patience time.Duration, what string, holds func() bool) time.Duration {
	t.Helper()
	begun := time.Now()
	for !holds() {
		if time.Since(begun) > patience {
			t.Fatalf("after %v it is not so: %s", patience, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(begun)
}
