package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/proxytest"
)

const (
	proxyDisorder = 2 * time.Second
	proxyBlock    = 10 * time.Second // how long a decision holds
	proxyTries    = 10               // of the rule, until it is true
)

const proxyRule = `id: proxies.many_tries
version: 1
title: One source fails to log in again and again
severity: high
false_positives: [somebody who forgot a password]
blind_spots: [slow tries]
key: ip
where: kind == "login"
features:
  failed: count("1m", outcome == "failure")
when: failed >= 10
then: {block: ip, for: 10s}
stage: enforce
`

// proxyWorld is a site behind a real nginx and a real HAProxy, each set up with
// the lines that weir prints for it, and weir beside them.
type proxyWorld struct {
	dir, config string
	nginx       *proxytest.Nginx
	haproxy     *proxytest.HAProxy
}

// weir runs one command of weir's and returns what it prints.
func (w *proxyWorld) weir(args ...string) (string, error) {
	var out, errOut bytes.Buffer
	err := run(context.Background(), append(args, "-c", w.config), &out, &errOut)
	return out.String() + errOut.String(), err
}

// run has weir run until stop is called.
func (w *proxyWorld) run(t *testing.T) (live *liveRun, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	e := &environment{out: t.Output(), errOut: t.Output(), log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	live, err := e.openLiveRun(ctx, w.config)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		if err := errors.Join(live.run(ctx), live.close()); err != nil {
			t.Error(err)
		}
	})
	return live, func() {
		cancel()
		running.Wait()
	}
}

func newProxyWorld(t *testing.T) *proxyWorld {
	t.Helper()
	w := &proxyWorld{dir: t.TempDir(), nginx: proxytest.NewNginx(t), haproxy: proxytest.NewHAProxy(t)}
	w.config = filepath.Join(w.dir, "weir.yaml")
	proxytest.WriteFile(t, filepath.Join(w.dir, "key"), strings.Repeat("k", 32))
	if err := os.Chmod(filepath.Join(w.dir, "key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(w.dir, "rules", "proxies"), 0o755); err != nil {
		t.Fatal(err)
	}
	proxytest.WriteFile(t, filepath.Join(w.dir, "rules", "proxies", "many_tries.yaml"), proxyRule)
	quoted := func(args []string) string {
		b, err := json.Marshal(args)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	proxytest.WriteFile(t, w.config, fmt.Sprintf(`stage: enforce
sources:
  - {name: nginx, file: {path: %q, follow: true}, format: nginx-json, disorder: %[3]s}
  - name: haproxy
    file: {path: %[2]q, follow: true}
    format: haproxy
    fields: {site: request.1, agent: request.2, refused: request.3}
    disorder: %[3]s
key_file: key
rules: {dirs: [rules]}
state: {dir: state, memory: 256MiB, reserve: 16MiB}
points:
  - {name: edge, nginx: {conf: %[4]q, test: %[5]s, reload: %[6]s, probe: "%[7]s/weir-generation"}}
  - {name: balancer, haproxy: {map: %[8]q, socket: %[9]q}}
`, w.nginx.Log, w.haproxy.Log, proxyDisorder, filepath.Join(w.nginx.Dir, "weir.conf"), quoted(w.nginx.Test), quoted(w.nginx.Reload),
		w.nginx.URL, filepath.Join(w.haproxy.Dir, "weir.map"), w.haproxy.Socket))

	edge, err := w.weir("points", "show", "edge", "--setup")
	if err != nil {
		t.Fatalf("%v\n%s", err, edge)
	}
	balancer, err := w.weir("points", "show", "balancer", "--setup")
	if err != nil {
		t.Fatalf("%v\n%s", err, balancer)
	}
	site := proxytest.Site(t)
	server := strings.ReplaceAll(proxytest.Part(t, edge, "server { }, each"), "/var/log/nginx/weir.log", w.nginx.Log)
	w.nginx.Main = proxytest.Part(t, edge, "main context")
	w.nginx.Configure(t, proxytest.Part(t, edge, "http { }"),
		server+proxytest.Part(t, edge, "server { }, the one")+"location / { proxy_pass http://"+site+"; }\n")
	w.haproxy.Configure(t, proxytest.Part(t, balancer, "global"), proxytest.Part(t, balancer, "frontend"), site)
	if out, err := w.weir("check"); err == nil {
		t.Errorf("no proxy runs yet, and weir check finds nothing:\n%s", out)
	}
	w.nginx.Start(t) // weir check has made the files that they are to read
	w.haproxy.Start(t)
	if out, err := w.weir("check"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return w
}

// visitor is an honest one: he asks for a page now and then until ctx ends, and
// logs in.
func visitor(ctx context.Context, t *testing.T, url, address string) {
	wget := proxytest.Program(t, "wget")
	asked := 0
	for ; ctx.Err() == nil; asked++ {
		args := []string{"-q", "-O", "-", "-T", "10", "-t", "1", "--header=X-Forwarded-For: " + address}
		if asked%10 == 5 {
			args = append(args, "--post-data=username=ann&password="+strings.ReplaceAll(proxytest.Password, " ", "+"), url+"/login")
		} else {
			args = append(args, url+"/products/7")
		}
		out, err := exec.Command(wget, args...).Output()
		if text := string(out); err != nil || text != "ok\n" && text != "welcome\n" {
			t.Errorf("the visitor %s was not served at %s: %q, %v", address, args[len(args)-1], out, err)
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
	if asked < 20 {
		t.Errorf("the visitor %s asked %d times only", address, asked)
	}
}

// attack tries to log in until it is refused, and then a little on. It returns
// the time from the answer that made the rule true to the first refusal.
func attack(t *testing.T, url, address string) (took time.Duration, ok bool) {
	var tipped time.Time
	for i := 1; i < 2000; i++ {
		status, _ := proxytest.Ask(t, url, address, "POST /login")
		switch {
		case i == proxyTries:
			tipped = time.Now()
		case status == http.StatusForbidden && i > proxyTries:
			took = time.Since(tipped)
			// Old workers of nginx answer a little longer.
			begun, inARow := time.Now(), 0
			for inARow < 5 {
				if status, _ = proxytest.Ask(t, url, address, "GET /products/7"); status == http.StatusForbidden {
					inARow++
					continue
				}
				inARow = 0
				if time.Since(begun) > 10*time.Second {
					t.Errorf("%s: %d still %v after its first refusal", address, status, time.Since(begun))
					break
				}
				time.Sleep(50 * time.Millisecond)
			}
			return took, true
		case status != http.StatusUnauthorized:
			t.Errorf("%s: %d at try %d", address, status, i)
			return 0, false
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("%s was never refused", address)
	return 0, false
}

// refusals returns how many requests the proxies refused, by their logs.
func (w *proxyWorld) refusals(t *testing.T) (n int64) {
	t.Helper()
	for _, log := range []struct{ path, with string }{{w.nginx.Log, `"status":"403"`}, {w.haproxy.Log, " 403 "}} {
		n += int64(len(proxytest.Lines(t, log.path, log.with, 1)))
	}
	return n
}

func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%d\n", i)
	}
	return b.String()
}

// expectOneDecisionEach demands that each attacker was decided about once: what
// the proxies refused is no evidence.
func (w *proxyWorld) expectOneDecisionEach(t *testing.T, addresses []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, "state", decisionsFile))
	if err != nil {
		t.Fatal(err)
	}
	made := map[string]int{}
	for line := range strings.Lines(string(text)) {
		var d struct {
			Event  string
			Target map[string]string
		}
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			t.Fatal(err)
		}
		if d.Event == "new" {
			made[d.Target["ip"]]++
		}
	}
	for _, a := range addresses {
		if made[a] != 1 {
			t.Errorf("%d new decisions about %s, must be 1", made[a], a)
		}
		delete(made, a)
	}
	if len(made) > 0 {
		t.Errorf("decisions about others: %v", made)
	}
}
