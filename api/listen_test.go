package api

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestOnlyLoopbackIsListenedOn(t *testing.T) {
	for address, ok := range map[string]bool{
		"127.0.0.1:8480": true, "127.1.2.3:0": true, "[::1]:8480": true, "localhost:8480": true,
		"0.0.0.0:8480": false, ":8480": false, "[::]:8480": false, "192.0.2.7:8480": false, "weir.example:8480": false,
		"127.0.0.1": false, "127.0.0.1:http": false, "127.0.0.1:70000": false, "[::ffff:192.0.2.7]:80": false, "": false,
	} {
		if err := CheckListen(address); (err == nil) != ok {
			t.Errorf("%q: %v", address, err)
		}
		if ok || address == "" {
			continue
		}
		r := newRig(t, nil)
		r.cfg.Listen = address
		if _, err := New(r.cfg); err == nil || !strings.Contains(err.Error(), "listen") {
			t.Errorf("%q was taken: %v", address, err)
		}
	}
}

func TestTheSocketIsTheOwnersAlone(t *testing.T) {
	r := newRig(t, nil)
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	r.run()
	info, err := os.Lstat(r.socket)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	left, err := os.ReadDir(filepath.Dir(r.socket))
	if err != nil || len(left) != 1 {
		t.Errorf("beside it: %v, %v", left, err)
	}
}

func TestASocketThatAKilledRunLeftIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weir.sock")
	var refused atomic.Int64
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := listenSocket(path, &refused); err == nil || !strings.Contains(err.Error(), "another weir") {
		t.Errorf("one that is alive was replaced: %v", err)
	}
	left.SetUnlinkOnClose(false)
	if err := left.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := listenSocket(path, &refused)
	if err != nil {
		t.Fatal(err)
	}
	// Whoever replaced it in turn keeps theirs.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("somebody's"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("another's file was removed: %v", err)
	}
	if _, err := listenSocket(path, &refused); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("a file was replaced: %v", err)
	}
}

func TestASocketsPathMustFit(t *testing.T) {
	r := newRig(t, nil)
	dir := t.TempDir()
	name := func(size int) string { return filepath.Join(dir, strings.Repeat("s", size-len(dir)-1)) }
	r.cfg.Socket = name(maxSocketPath + 1)
	if _, err := New(r.cfg); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("a path over the limit: %v", err)
	}
	r.cfg.Socket = name(maxSocketPath)
	if _, err := New(r.cfg); err != nil {
		t.Fatal(err)
	}
	var refused atomic.Int64
	l, err := listenSocket(r.cfg.Socket, &refused)
	if err != nil {
		t.Fatalf("a path at the limit: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	r := newRig(t, nil).run()
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", r.tcp)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
		return c
	}
	for range maxConnections {
		c := dial()
		// One that is answered has its place; the connection stays open.
		if _, err := c.Write([]byte("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 12)); err != nil {
			t.Fatal(err)
		}
	}
	if n := r.srv.refused.Load(); n != 0 {
		t.Fatalf("%d refused at the limit", n)
	}
	over := dial()
	if err := over.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := over.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("one over the limit stays open: %v", err)
	}
	if n := r.srv.refused.Load(); n != 1 {
		t.Errorf("%d refused, must be 1", n)
	}
	// The operator's socket has places of its own.
	if code, _, _ := r.ask(overSocket, "GET", "/healthz", ""); code != 200 {
		t.Errorf("over the socket: status %d", code)
	}
	for _, c := range open {
		c.Close()
	}
	for try := 0; ; try++ {
		c, err := net.Dial("tcp", r.tcp)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
		_, werr := c.Write([]byte("GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
		n, rerr := c.Read(make([]byte, 12))
		c.Close()
		if werr == nil && n > 0 {
			break
		}
		if try == 500 {
			t.Fatalf("no place became free: %v, %v", werr, rerr)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	r := newRig(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.srv.Run(ctx) }()
	c := NewClient(r.socket)
	for try := 0; ; try++ {
		s, err := c.Status(context.Background())
		if err == nil {
			if s.Version != "1.2.3" {
				t.Errorf("version %q", s.Version)
			}
			break
		}
		if !errors.Is(err, ErrNotRunning) || try == 1000 {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := c.Status(context.Background()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("afterwards: %v", err)
	}
}

func TestRunSaysThatAnAddressIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := newRig(t, func(r *rig) { r.cfg.Listen = l.Addr().String() })
	if err := r.srv.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("%v", err)
	}
	r = newRig(t, func(r *rig) { r.cfg.Socket = filepath.Join(t.TempDir(), "none", "weir.sock") })
	if err := r.srv.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "socket") {
		t.Errorf("%v", err)
	}
}
