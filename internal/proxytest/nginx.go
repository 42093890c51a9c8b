package proxytest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

// Nginx is a running nginx.
type Nginx struct {
	Dir     string
	URL     string
	Main    string   // lines for the main context
	Log     string   // the access log that its configuration may name
	Errors  string   // its error log
	Test    []string // the commands of an operator
	Reload  []string
	conf    string
	process *process
}

// NewNginx prepares an nginx: its folder, address and commands are known, and
// it is not started yet.
func NewNginx(t testing.TB) *Nginx {
	t.Helper()
	dir := folder(t)
	n := &Nginx{
		Dir: dir, URL: "http://" + address(t), Log: filepath.Join(dir, "access.log"),
		Errors: filepath.Join(dir, "error.log"), conf: filepath.Join(dir, "nginx.conf"),
	}
	command := []string{Program(t, "nginx"), "-p", dir, "-c", n.conf}
	n.Test, n.Reload = append(command, "-t"), append(slices.Clip(command), "-s", "reload")
	return n
}

// Configure writes nginx.conf with these lines in its http block and in its one
// server. Clients are those that X-Forwarded-For says.
func (n *Nginx) Configure(t testing.TB, http, server string) {
	t.Helper()
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;"
	}
	WriteFile(t, n.conf, fmt.Sprintf(`daemon off; worker_processes 2; pid nginx.pid; error_log %[1]s; %[2]s
%[6]s
events { worker_connections 512; }
http {
	access_log off;
	client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
	set_real_ip_from 127.0.0.1;
	real_ip_header X-Forwarded-For;
	%[3]s
	server {
		listen %[4]s;
		%[5]s
	}
}
`, n.Errors, user, http, n.URL[len("http://"):], server, n.Main))
}

// Start starts nginx and waits until it listens.
func (n *Nginx) Start(t testing.TB) {
	t.Helper()
	out, err := os.Create(filepath.Join(n.Dir, "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	n.process = start(t, out, syscall.SIGTERM, n.Test[0], "-p", n.Dir, "-c", n.conf)
	n.process.listening(t, "tcp", n.URL[len("http://"):], out.Name())
}

// Stop ends nginx.
func (n *Nginx) Stop(t testing.TB) {
	t.Helper()
	n.process.stop(t, syscall.SIGTERM)
}
