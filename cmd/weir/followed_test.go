package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// followedSite is a site whose log is a file, with weir beside it and lists in
// files.
type followedSite struct {
	t           *testing.T
	dir, config string
	writer      io.Writer // of the log; nil: the file itself
	said        io.Writer // where weir's own log goes; nil: the test's
	sent        int64
	user        int
}

// followedRule finds who fails to log in ten times within a minute; the block
// holds as long as the test says.
const followedRule = `id: short.many_tries
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
then: {block: ip, for: %s}
stage: enforce
`

const plainPoint = `
  - {name: plain, file: {path: lists/block.txt}}`

const nginxPoint = `
  - {name: proxy, nginx: {conf: lists/weir.conf, test: ["true"], reload: ["true"]}}`

// newFollowedSite makes the files of a site. Life is how long a block holds.
func newFollowedSite(t *testing.T, life, points string) *followedSite {
	t.Helper()
	dir, err := os.MkdirTemp("", "weir") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	s := &followedSite{t: t, dir: dir, config: filepath.Join(dir, "weir.yaml")}
	for _, d := range []string{"lists", "rules/short"} {
		if err := os.MkdirAll(s.path(d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.write("rules/short/many_tries.yaml", fmt.Sprintf(followedRule, life))
	s.write("key", strings.Repeat("k", 32))
	s.write("access.log", "")
	s.write("weir.yaml", `stage: enforce
sources:
  - name: access
    file: {path: access.log, follow: true, start: begin}
    format: nginx-json
    fields: {credential: username}
    disorder: 0s
key_file: key
rules: {dirs: [rules]}
state: {dir: state, memory: 512MiB, reserve: 16MiB}
points:`+points+"\n")
	return s
}

func (s *followedSite) path(name string) string { return filepath.Join(s.dir, name) }

func (s *followedSite) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// request is one line of the log.
type request struct {
	at           time.Time
	address      string
	method, path string
	status       int
	user         string
	fresh        bool // of an account that nobody had before
	repeated     int  // how many such; 0: one
}

// lines writes requests as nginx does.
func (s *followedSite) lines(rs ...request) (b []byte) {
	for _, r := range rs {
		for range max(1, r.repeated) {
			user := r.user
			if r.fresh {
				s.user++
				user = "u" + strconv.Itoa(s.user)
			}
			at := r.at.UTC().Format("2006-01-02T15:04:05.000Z07:00")
			b = fmt.Appendf(b, `{"time_iso8601":%q,"remote_addr":%q,"request_method":%q,"uri":%q,"status":%d,"http_user_agent":"Mozilla/5.0","username":%q}`+"\n",
				at, r.address, r.method, r.path, r.status, user)
			s.sent++
		}
	}
	return b
}

// log appends to the followed file.
func (s *followedSite) log(rs ...request) {
	s.t.Helper()
	if s.writer != nil {
		if _, err := s.writer.Write(s.lines(rs...)); err != nil {
			s.t.Error(err) // it may be called by any goroutine
		}
		return
	}
	f, err := os.OpenFile(s.path("access.log"), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.Write(s.lines(rs...))
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		s.t.Error(err) // it may be called by any goroutine
	}
}

// attackFrom is a dozen tries of other people's accounts in one second.
func attackFrom(address string, at time.Time) request {
	return request{at: at, address: address, method: "POST", path: "/login", status: 401, fresh: true, repeated: 12}
}

// pageAt is an honest request: it moves the clock of the log on.
func pageAt(at time.Time) request {
	return request{at: at, address: "198.51.100.1", method: "GET", path: "/", status: 200}
}

// attackNow logs an attack of this second and, when the second is over, the
// request that closes it.
func (s *followedSite) attackNow(address string) {
	s.t.Helper()
	now := time.Now().Truncate(time.Second)
	s.log(attackFrom(address, now))
	time.Sleep(time.Until(now.Add(time.Second)))
	s.log(pageAt(now.Add(time.Second)))
}

// run starts weir run; stop ends it, waits until it has ended and returns what
// it ended with.
func (s *followedSite) run() (l *liveRun, stop func() error) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	said := s.said
	if said == nil {
		said = s.t.Output()
	}
	e := &environment{out: &bytes.Buffer{}, errOut: &bytes.Buffer{}, log: slog.New(slog.NewTextHandler(said, nil))}
	l, err := e.openLiveRun(ctx, s.config)
	if err != nil {
		cancel()
		s.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- errors.Join(l.run(ctx), l.close()) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	s.t.Cleanup(func() { stop() })
	return l, stop
}

// stop ends a run that must end well.
func (s *followedSite) stop(stop func() error) {
	s.t.Helper()
	begun := time.Now()
	if err := stop(); err != nil {
		s.t.Error(err)
	}
	if took := time.Since(begun); took > 10*time.Second {
		s.t.Errorf("the run ended %v after it was told to", took)
	}
}

// allRead waits until all that was logged has been read.
func (s *followedSite) allRead(l *liveRun) {
	s.t.Helper()
	s.until(30*time.Second, "all was read", func() bool {
		st := l.status.Load()
		if st == nil {
			return false
		}
		read := inAllLives(st)
		return read.Events+read.Dropped >= s.sent
	})
}

// until waits for something that must become true.
func (s *followedSite) until(patience time.Duration, what string, holds func() bool) time.Duration {
	s.t.Helper()
	begun := time.Now()
	for !holds() {
		if time.Since(begun) > patience {
			s.t.Fatalf("after %v it is not so: %s", patience, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(begun)
}

// listed returns the addresses that a plain list holds.
func (s *followedSite) listed(name string) map[string]bool {
	s.t.Helper()
	b, err := os.ReadFile(s.path(name))
	if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		s.t.Fatal(err)
	}
	held := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			held[line] = true
		}
	}
	return held
}

// proxyEnd is an end in seconds in a proxy's own file.
var proxyEnd = regexp.MustCompile(`"?(\d{10})[. "]`)

// endOf returns the end of an address as nginx's file has it; zero: it is not
// there.
func (s *followedSite) endOf(address string) (end time.Time) {
	s.t.Helper()
	b, err := os.ReadFile(s.path("lists/weir.conf"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if !strings.Contains(line, address) {
			continue
		}
		m := proxyEnd.FindStringSubmatch(line)
		if m == nil {
			s.t.Fatalf("no end in %q", line)
		}
		n, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil {
			s.t.Fatal(err)
		}
		return time.Unix(n, 0)
	}
	return end
}

// ledgerLine is what tests look at in a line of the ledger or of decisions.jsonl.
type ledgerLine struct {
	Event, ID, Rule, Mode, Guard, Reason string
	Target                               map[string]string
	Time, Until, At                      time.Time
	Again                                int
}

func readLines(t *testing.T, path string) (lines []ledgerLine) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	r := bufio.NewScanner(bytes.NewReader(b[:bytes.LastIndexByte(b, '\n')+1]))
	r.Buffer(nil, 1<<20)
	for r.Scan() {
		var l ledgerLine
		if err := json.Unmarshal(r.Bytes(), &l); err != nil {
			t.Fatalf("%s: %v", r.Bytes(), err)
		}
		lines = append(lines, l)
	}
	return lines
}

// ledger returns the ledger's lines about an address.
func (s *followedSite) ledger(address string) (lines []ledgerLine) {
	s.t.Helper()
	for _, l := range readLines(s.t, s.path("state/"+ledgerFile)) {
		if l.Target["ip"] == address && l.Again == 0 {
			lines = append(lines, l)
		}
	}
	return lines
}

func events(lines []ledgerLine) (out []string) {
	for _, l := range lines {
		out = append(out, l.Event)
	}
	return out
}

// weir runs a command with the site's configuration and returns what it says,
// with one space between words.
func (s *followedSite) weir(args ...string) string {
	s.t.Helper()
	out, err := weir(append(args, "-c", s.config)...)
	if err != nil {
		s.t.Fatalf("weir %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.Join(strings.Fields(out), " ")
}

const attacker = "203.0.113.7"

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
