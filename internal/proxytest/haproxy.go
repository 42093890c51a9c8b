package proxytest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// HAProxy is a running HAProxy.
type HAProxy struct {
	Dir     string
	URL     string
	Log     string // what it logs
	Socket  string // of the runtime API
	Conf    string
	process *process
}

// NewHAProxy prepares a HAProxy: its folder and addresses are known, and it is
// not started yet.
func NewHAProxy(t testing.TB) *HAProxy {
	t.Helper()
	dir := folder(t)
	return &HAProxy{
		Dir: dir, URL: "http://" + address(t), Log: filepath.Join(dir, "haproxy.log"),
		Socket: filepath.Join(dir, "admin.sock"), Conf: filepath.Join(dir, "haproxy.cfg"),
	}
}

// Configure writes haproxy.cfg with these lines in its global section and in its
// one frontend. Clients are those that X-Forwarded-For says. Backend is an
// address; empty: it answers 200 by itself.
func (h *HAProxy) Configure(t testing.TB, global, frontend, backend string) {
	t.Helper()
	if !strings.Contains(global, h.Socket) {
		global += "    stats socket " + h.Socket + " level admin\n"
	}
	serve := "    http-request return status 200 content-type text/plain string ok\n"
	if backend != "" {
		serve = "    default_backend site\nbackend site\n    server site " + backend + "\n"
	}
	WriteFile(t, h.Conf, fmt.Sprintf(`global
%s
    log stdout format raw local0
defaults
    mode http
    timeout client 10s
    timeout server 10s
    timeout connect 2s
    log global
frontend web
    bind %s
    http-request set-src hdr_ip(x-forwarded-for,-1) if { src 127.0.0.1 }
%s
%s`, global, h.URL[len("http://"):], frontend, serve))
}

// Check has HAProxy check its configuration, and returns what it says.
func (h *HAProxy) Check(t testing.TB) (said string, err error) {
	t.Helper()
	out, err := exec.Command(Program(t, "haproxy"), "-c", "-f", h.Conf).CombinedOutput()
	return string(out), err
}

// Start starts HAProxy and waits until it listens.
func (h *HAProxy) Start(t testing.TB) {
	t.Helper()
	out, err := os.OpenFile(h.Log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	h.process = start(t, out, syscall.SIGKILL, "haproxy", "-db", "-f", h.Conf)
	h.process.listening(t, "unix", h.Socket, h.Log)
	h.process.listening(t, "tcp", h.URL[len("http://"):], h.Log)
}

// Stop ends HAProxy.
func (h *HAProxy) Stop(t testing.TB) {
	t.Helper()
	h.process.stop(t, syscall.SIGKILL)
}
