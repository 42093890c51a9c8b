package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/pipeline"
)

// site of several lives: a run on followed files that is stopped, changed and
// started again.
type livesSite struct {
	t      *testing.T
	dir    string
	config map[string]string // parts of weir.yaml
	life   int
	lines  map[string]int
}

const livesRule = `id: own.tries
version: 1
title: Many tries
severity: low
key: ip
where: kind == "login" and not lookup("safe", ip) and asn != 64500
features:
  tries: count("10m")
when: tries >= %d
then: {block: ip, for: 1h}
stage: enforce
`

func newLivesSite(t *testing.T) *livesSite {
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
	s := &livesSite{t: t, dir: dir, lines: map[string]int{}, config: map[string]string{
		"stage": "stage: enforce\n", "disorder": "0s", "only": "", "site": "", "b": "", "state": "", "last": "", "a": "a.log", "format": ", format: combined",
	}}
	s.write("key", strings.Repeat("k", 32))
	s.write("rules/own/tries.yaml", fmt.Sprintf(livesRule, 4))
	s.write("safe.txt", "192.0.2.1\n")
	s.write("asn.csv", "203.0.113.0,203.0.113.255,64501,One\n198.51.100.0,198.51.100.255,64501,Two\n")
	s.write("site.yaml", "endpoints:\n  - {pattern: \"POST /login\", kind: login}\n")
	return s
}

func (s *livesSite) path(name string) string { return filepath.Join(s.dir, name) }

func (s *livesSite) write(name, text string) {
	s.t.Helper()
	path := s.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *livesSite) read(name string) []byte {
	s.t.Helper()
	b, err := os.ReadFile(s.path(name))
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// configure writes weir.yaml.
func (s *livesSite) configure() string {
	s.t.Helper()
	c := s.config
	s.write("weir.yaml", c["stage"]+"sources:\n"+
		"  - {name: a, file: {path: "+c["a"]+", follow: true}"+c["format"]+", disorder: "+c["disorder"]+c["only"]+"}\n"+c["b"]+
		c["site"]+"enrich: {asn: asn.csv, lookups: {safe: safe.txt}}\nkey_file: key\nrules: {dirs: [rules]}\n"+
		"state: {dir: state, checkpoint: "+cmp.Or(c["checkpoint"], "1s")+", reserve: 16MiB"+c["state"]+"}\n")
	return s.path("weir.yaml")
}

// begin returns when the next minute begins.
func (s *livesSite) begin() time.Time {
	return time.Date(2026, 3, 6, 10, 0, 0, 0, time.UTC).Add(time.Duration(s.life) * 2 * time.Minute)
}

// requests are those of the next minute: every four seconds another address tries
// four times, some of them elsewhere or otherwise refused, some lines late.
func (s *livesSite) requests(net string) string {
	var b strings.Builder
	begin := s.begin()
	for i := range 80 {
		at, path, status := begin.Add(time.Duration(i)*time.Second), "/login", 401
		n := s.life*20 + i/4
		switch n % 5 {
		case 1:
			status = 403
		case 2:
			path = "/door"
		case 3:
			if i%4 == 2 {
				at = at.Add(-7 * time.Second)
			}
		}
		fmt.Fprintf(&b, "%s.%d - - [%s] \"POST %s HTTP/1.1\" %d 5 \"-\" \"x\"\n", net, n%250+1, at.Format("02/Jan/2006:15:04:05 -0700"), path, status)
	}
	return b.String()
}

// log writes the requests of the next minute.
func (s *livesSite) log(name, net string) {
	s.t.Helper()
	s.append(name, s.requests(net))
	s.lines[name] += 80
}

// append adds lines to a log.
func (s *livesSite) append(name, lines string) {
	s.t.Helper()
	f, err := os.OpenFile(s.path(name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(lines)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *livesSite) decisions() int { return bytes.Count(s.read("state/"+decisionsFile), []byte("\n")) }

// start opens a run and runs it; stop ends it.
func (s *livesSite) start() (l *liveRun, said *saidLog, stop func()) {
	s.t.Helper()
	said = &saidLog{}
	ctx, cancel := context.WithCancel(context.Background())
	e := &environment{out: &bytes.Buffer{}, errOut: &bytes.Buffer{}, log: slog.New(slog.NewTextHandler(said, nil))}
	l, err := e.openLiveRun(ctx, s.configure())
	if err != nil {
		cancel()
		s.t.Fatalf("life %d: %v\n%s", s.life, err, said)
	}
	done := make(chan error, 1)
	go func() { done <- l.run(ctx) }()
	return l, said, func() {
		s.t.Helper()
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("life %d: %v\n%s", s.life, err, said)
		}
		if err := l.close(); err != nil {
			s.t.Error(err)
		}
	}
}

// opened opens a run that is not to run.
func (s *livesSite) opened() (*liveRun, error) {
	e := &environment{out: &bytes.Buffer{}, errOut: &bytes.Buffer{}, log: slog.New(slog.DiscardHandler)}
	return e.openLiveRun(context.Background(), s.configure())
}

// await waits for so many more decisions.
func (s *livesSite) await(before, more int, said *saidLog) {
	s.t.Helper()
	for begun := time.Now(); s.decisions() < before+more; time.Sleep(20 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			s.t.Fatalf("life %d: %d decisions, and %d more\n%s", s.life, before, s.decisions()-before, said)
		}
	}
}

// live is one life, in which the logs have a minute more.
func (s *livesSite) live(more int, logs ...string) string {
	s.t.Helper()
	_, said, stop := s.start()
	before := s.decisions()
	for _, log := range logs {
		net := "203.0.113"
		if log == "b.log" {
			net = "198.51.100"
		}
		s.log(log, net)
	}
	s.await(before, more, said)
	stop()
	s.life++
	return said.String()
}

// replayed compares what was decided with what a replay with the journal decides,
// which goes on to the end of the logs, and returns what that says.
func (s *livesSite) replayed() string {
	s.t.Helper()
	var out, errOut bytes.Buffer
	found := filepath.Join(s.t.TempDir(), "found")
	if err := run(context.Background(), []string{"replay", "-c", s.path("weir.yaml"), "--journal", s.path("state/" + journalFile), "--out", found}, &out, &errOut); err != nil {
		s.t.Fatalf("%v\n%s", err, &errOut)
	}
	again, err := os.ReadFile(filepath.Join(found, decisionsFile))
	if err != nil {
		s.t.Fatal(err)
	}
	if live := s.read("state/" + decisionsFile); !bytes.HasPrefix(again, live) {
		a, b := strings.Split(string(live), "\n"), strings.Split(string(again), "\n")
		for i := range a {
			if i >= len(b) || a[i] != b[i] {
				s.t.Fatalf("life %d, line %d of %d: decided\n%s\nand replayed\n%s\n%s", s.life, i+1, len(a), a[i], b[min(i, len(b)-1)], &errOut)
			}
		}
		s.t.Fatalf("life %d: a replay decides less", s.life)
	}
	return errOut.String()
}

func (s *livesSite) eras() []era {
	s.t.Helper()
	marks, _, err := pipeline.ReadJournal(s.path("state/" + journalFile))
	if err != nil {
		s.t.Fatal(err)
	}
	return erasOf(marks)
}

const second = "  - {name: b, file: {path: b.log, follow: true}, format: combined, disorder: 0s}\n"

// Whatever of what decides is changed between two lives, each stretch is decided
// by what it had, in the run and in a replay with its journal.
func TestEachLifeIsReplayedByAllThatDecidedIt(t *testing.T) {
	t.Parallel()
	s := newLivesSite(t)
	s.live(5, "a.log")
	for i, change := range []struct {
		what string
		do   func()
		logs []string
		none bool // it decides nothing
	}{
		{what: "a lookup", do: func() { s.write("safe.txt", "192.0.2.1\n203.0.113.21\n203.0.113.25\n203.0.113.29\n") }},
		{what: "the table of networks", do: func() {
			s.write("asn.csv", "203.0.113.0,203.0.113.48,64501,One\n203.0.113.49,203.0.113.52,64500,Other\n203.0.113.53,203.0.113.255,64501,One\n198.51.100.0,198.51.100.255,64501,Two\n")
		}},
		{what: "a site file", do: func() { s.config["site"] = "site: site.yaml\n" }},
		{what: "what the site file says", do: func() {
			s.write("site.yaml", "endpoints:\n  - {pattern: \"POST /login\", kind: login}\n  - {pattern: \"POST /door\", kind: login}\n")
		}},
		{what: "disorder", do: func() { s.config["disorder"] = "20s" }},
		{what: "only", do: func() { s.config["only"] = ", only: status == 401" }},
		{what: "another source", do: func() { s.config["b"] = second }, logs: []string{"a.log", "b.log"}},
		{what: "how often state is kept", do: func() { s.config["state"] = ", memory: 1GiB, disk: 8GiB" }, logs: []string{"a.log", "b.log"}, none: true},
		{what: "how much is kept", do: func() { s.config["state"] = ", disk: 9GiB" }, logs: []string{"a.log", "b.log"}},
		{what: "a rule", do: func() { s.write("rules/own/tries.yaml", fmt.Sprintf(livesRule, 3)) }, logs: []string{"a.log", "b.log"}},
		{what: "a source that is gone", do: func() { s.config["b"] = "" }},
	} {
		change.do()
		before := len(s.eras())
		if change.logs == nil {
			change.logs = []string{"a.log"}
		}
		s.live(4, change.logs...)
		if n := len(s.eras()) - before; n != 1 && !change.none || n != 0 && change.none {
			t.Errorf("%d, %s: %d more configurations in the journal", i, change.what, n)
		}
		if said := s.replayed(); strings.Contains(said, "cannot be decided") {
			t.Errorf("%s: a replay says %s", change.what, said)
		}
	}
	// Whatever it is by now.
	s.write("safe.txt", "203.0.113.0/24\n")
	s.config["disorder"], s.config["stage"] = "1s", ""
	s.configure()
	if said := s.replayed(); strings.Contains(said, "cannot be decided") || !strings.Contains(said, "its own are used") {
		t.Errorf("a replay with another configuration says %s", said)
	}
}
