package proxytest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// patience is how long a process may take to begin or to end.
const patience = 20 * time.Second

// Program returns the path of a program that a test needs. A test that cannot
// be made says how it can.
func Program(t testing.TB, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	path := filepath.Join("/usr/sbin", name)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s is not there; apt-get install -y nginx haproxy hydra wget", name)
	}
	return path
}

// process is a program that runs until the test ends.
type process struct {
	cmd  *exec.Cmd
	gone chan struct{} // closed when it has ended
}

// start starts a program; what it prints goes to out. It ends with the test,
// also if that is killed.
func start(t testing.TB, out *os.File, stop syscall.Signal, args ...string) *process {
	t.Helper()
	cmd := exec.Command(Program(t, args[0]), args[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(os.Environ(), "TZ=UTC")
	cmd.SysProcAttr = diesWithUs(stop)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: cmd, gone: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is the test's to ask
		close(p.gone)
	}()
	t.Cleanup(func() { p.stop(t, stop) })
	return p
}

// stop ends the process and waits until it is gone.
func (p *process) stop(t testing.TB, signal syscall.Signal) {
	t.Helper()
	select {
	case <-p.gone:
		return
	default:
	}
	if err := p.cmd.Process.Signal(signal); err != nil {
		t.Error(err)
	}
	select {
	case <-p.gone:
	case <-time.After(patience):
		t.Errorf("%s did not end within %s of %s", p.cmd.Path, patience, signal)
		if err := p.cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		<-p.gone
	}
}

// listening waits until somebody listens at an address.
func (p *process) listening(t testing.TB, network, address, said string) {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		conn, err := net.Dial(network, address)
		if err == nil {
			if err := conn.Close(); err != nil {
				t.Fatal(err)
			}
			return
		}
		select {
		case <-p.gone:
			text, _ := os.ReadFile(said) // for the message only
			t.Fatalf("%s ended: %s", p.cmd.Path, text)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not listen: %v", p.cmd.Path, err)
		}
	}
}

// folder makes a folder with a short name, since the paths of sockets must be
// shorter than 108 bytes.
func folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "proxy")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// address returns an address of the loopback at which nobody listens.
func address(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// WriteFile writes a file of a test.
func WriteFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
