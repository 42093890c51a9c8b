package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/emit"
	"weir/event"
)

// said is what a user sees of one command.
type said struct {
	out string // all of it
	end string // the last word, behind "weir: "; empty if all was well
	// code is the exit code.
	code int
}

// tell runs a command as main does, and demands that it ends in time and says
// nothing that only its makers understand.
func tell(t *testing.T, args ...string) said {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var out bytes.Buffer
	begun := time.Now()
	err := run(ctx, args, &out, &out)
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("weir %s took %v", strings.Join(args, " "), took)
	}
	s := said{out: out.String()}
	if err != nil {
		s.end, s.code = err.Error(), exitCode(err)
	}
	for _, text := range []string{"goroutine ", "panic", "runtime error", "%!", "&{", "<nil>"} {
		if strings.Contains(s.out+s.end, text) {
			t.Errorf("weir %s says %q:\n%s\n%s", strings.Join(args, " "), text, s.out, s.end)
		}
	}
	return s
}

// The outcomes that a user may meet before weir works for him. What is to be
// done stands in one sentence: the error, or one entry of the check.
func TestWhatANewUserMeetsIsOneSentence(t *testing.T) {
	t.Parallel()
	line := `{"time_iso8601":"2026-03-06T10:00:00Z","remote_addr":"203.0.113.7","request_method":"POST","uri":"/login","status":401,"http_user_agent":"x"}` + "\n"
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	replace := func(old, new string) func(string) string {
		return func(s string) string {
			if !strings.Contains(s, old) {
				panic("the configuration has no " + old)
			}
			return strings.Replace(s, old, new, 1)
		}
	}
	topic := replace("file: {path: access.log, follow: true}", "kafka: {brokers: [\""+closed+"\"], topic: access, start: end}")
	cases := []struct {
		name   string
		log    string
		config func(string) string
		before func(t *testing.T, dir string)
		// What a check says, with one space between words, and its code; what a
		// run ends with, and its code. A run that would go on is not tried.
		check       string
		checkCode   int
		run         string
		runCode     int
		inspect     string // of the log, with the configuration; empty: not tried
		inspectCode int
	}{
		{name: "a missing field", log: strings.Replace(line, `"remote_addr":"203.0.113.7",`, "", 1),
			check:     "FAULT source nginx DIR/access.log: none of its newest 30 lines reads as nginx-json; what is wrong with 30 of them: no client address can be read (fields: {ip: NAME} names the field that has it)",
			checkCode: 1,
			inspect:   "no line could be read as nginx-json: no client address can be read (fields: {ip: NAME} names the field that has it)", inspectCode: 1},
		{name: "no account in the log", log: line,
			check:   "no credential at login (map fields.credential): ato.account_under_fire",
			inspect: "credential log the account that a log-in names and map it: fields: {credential: username}"},
		{name: "private addresses everywhere", log: strings.Replace(line, "203.0.113.7", "10.0.0.7", 1),
			check:   "note source nginx 100 % of the addresses are private or this machine's: that is a proxy in front, and nothing private is ever blocked; say whose X-Forwarded-For to believe (trusted_proxies: [10.0.0.0/8]) and log it",
			inspect: "1 different; 100 % of the events private"},
		{name: "an unknown format", log: "hello strange world\n",
			check:     "FAULT source nginx DIR/access.log: none of its newest 30 lines reads as nginx-json; what is wrong with 30 of them: no JSON; without -c weir inspect guesses what it is",
			checkCode: 1,
			inspect:   "no line could be read as nginx-json: no JSON; without -c weir inspect guesses what it is", inspectCode: 1},
		{name: "a format that does not exist", log: line, config: replace("nginx-json", "nginx-jsn"),
			check: "weir.yaml: sources[0] nginx: format: nginx-jsn, must be one of alb,", checkCode: 2,
			run: "weir.yaml: sources[0] nginx: format: nginx-jsn, must be one of alb,", runCode: 2},
		{name: "no log", check: "FAULT source nginx file: open DIR/access.log: no such file or directory", checkCode: 1},
		{name: "a broker that is down", log: line, config: topic,
			check:     "FAULT source nginx " + closed + " refuses the connection: nothing listens there; check that the broker runs, and the port",
			checkCode: 1,
			run:       "source nginx: topic access: " + closed + " refuses the connection: nothing listens there; check that the broker runs, and the port",
			runCode:   1},
		{name: "a broker without quotes", log: line, config: func(s string) string { return strings.ReplaceAll(topic(s), `"`, "") },
			check: "text with a colon in it needs quotes here", checkCode: 2,
			run: "text with a colon in it needs quotes here", runCode: 2},
		{name: "a topic without a start", log: line, config: func(s string) string { return strings.Replace(topic(s), ", start: end", "", 1) },
			check: "sources[0] nginx: kafka: start: missing; where a new state begins: end, begin, or how far back such as -1h", checkCode: 2,
			run: "sources[0] nginx: kafka: start: missing; where a new state begins: end, begin, or how far back such as -1h", runCode: 2},
		{name: "a list without a directory", log: line, config: replace("lists/block.txt", "nowhere/block.txt"),
			check: "FAULT point plain DIR/nowhere/block.txt: its directory does not exist; make it with: install -d", checkCode: 1},
		{name: "a list below a file", log: line, config: replace("lists/block.txt", "access.log/block.txt"),
			check: "FAULT point plain DIR/access.log/block.txt: ", checkCode: 1},
		{name: "a list that is somebody's file", log: line, before: func(t *testing.T, dir string) { write(t, dir, "lists/block.txt", "203.0.113.9\n") },
			check: "FAULT point plain DIR/lists/block.txt was not written by weir, so weir leaves it alone; move it away, or name another file", checkCode: 1},
		{name: "two points that write one file", log: line,
			config: func(s string) string { return s + "  - {name: again, file: {path: ./lists/block.txt}}\n" },
			check:  "point again: ./lists/block.txt is that of point plain already; each needs a file of its own", checkCode: 2,
			run: "point again: ./lists/block.txt is that of point plain already; each needs a file of its own", runCode: 2},
		{name: "a point that writes the log", log: line, config: replace("lists/block.txt", "access.log"),
			check: "point plain: access.log is that of source nginx already; each needs a file of its own", checkCode: 2,
			run: "point plain: access.log is that of source nginx already; each needs a file of its own", runCode: 2},
		{name: "a state that others may read", log: line, before: func(t *testing.T, dir string) {
			if err := errors.Join(os.Mkdir(filepath.Join(dir, "state"), 0o700), os.Chmod(filepath.Join(dir, "state"), 0o755)); err != nil {
				t.Fatal(err)
			}
		},
			check: "FAULT state dir: DIR/state: mode 0755, must not be open to others (chmod 700)", checkCode: 1,
			run: "state: dir: DIR/state: mode 0755, must not be open to others (chmod 700)", runCode: 2},
		{name: "a state that is a file", log: line, config: replace("state: {dir: state}", "state: {dir: access.log}"),
			check: "FAULT state dir: DIR/access.log is no directory", checkCode: 1,
			run: "state: dir: mkdir DIR/access.log: not a directory", runCode: 1},
		{name: "no key", log: line, before: func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "key")); err != nil {
				t.Fatal(err)
			}
		},
			check: "key file DIR/key does not exist; make one with: (umask 077; head -c 32 /dev/urandom > DIR/key)", checkCode: 2,
			run: "key file DIR/key does not exist; make one with: (umask 077; head -c 32 /dev/urandom > DIR/key)", runCode: 2},
		{name: "a key that others may read", log: line, before: func(t *testing.T, dir string) {
			if err := os.Chmod(filepath.Join(dir, "key"), 0o644); err != nil {
				t.Fatal(err)
			}
		},
			check: "key file DIR/key: mode 0644, must not be open to others (chmod 600)", checkCode: 2,
			run: "key file DIR/key: mode 0644, must not be open to others (chmod 600)", runCode: 2},
		{name: "no key at all", log: line, config: replace("key_file: key\n", ""),
			check: "weir.yaml: key_file: missing; make one with: (umask 077; head -c 32 /dev/urandom > key)", checkCode: 2,
			run: "weir.yaml: key_file: missing; make one with: (umask 077; head -c 32 /dev/urandom > key)", runCode: 2},
		{name: "a slip in a key of the configuration", log: line, config: replace("follow: true", "folow: true"),
			check: `weir.yaml: [3:44] unknown field "folow"`, checkCode: 2,
			run: `weir.yaml: [3:44] unknown field "folow"`, runCode: 2},
		{name: "a stage that does not exist", log: line, config: replace("stage: enforce", "stage: block"),
			check: "weir.yaml: stage: block, must be shadow, alert or enforce", checkCode: 2,
			run: "weir.yaml: stage: block, must be shadow, alert or enforce", runCode: 2},
		{name: "a rule that does not exist", log: line, config: func(s string) string { return s + "rules: {set: [{rule: ato.stuffing, stage: alert}]}\n" },
			check: "rules: set[0]: there is no rule ato.stuffing", checkCode: 2,
			run: "rules: set[0]: there is no rule ato.stuffing", runCode: 2},
		{name: "a pattern for the log", log: line, config: replace("access.log", "acc*.log"),
			check: "ok source nginx DIR/access.log: 30 of its newest 30 lines read as nginx-json"},
		{name: "all is well", log: line, check: "start it with: weir run -c DIR/weir.yaml"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "lists"), 0o700); err != nil {
				t.Fatal(err)
			}
			if c.log != "" {
				write(t, dir, "access.log", strings.Repeat(c.log, 30))
			}
			if err := os.WriteFile(filepath.Join(dir, "key"), []byte(strings.Repeat("k", 32)), 0o600); err != nil {
				t.Fatal(err)
			}
			text := "stage: enforce\nsources:\n  - {name: nginx, file: {path: access.log, follow: true}, format: nginx-json}\n" +
				"key_file: key\nstate: {dir: state}\npoints:\n  - {name: plain, file: {path: lists/block.txt}}\n"
			if c.config != nil {
				text = c.config(text)
			}
			config := write(t, dir, "weir.yaml", text)
			if c.before != nil {
				c.before(t, dir)
			}
			tidy := func(s string) string {
				return strings.Join(strings.Fields(strings.ReplaceAll(s, dir, "DIR")), " ")
			}
			got := tell(t, "check", "-c", config)
			if said := tidy(got.out) + " " + tidy(got.end); got.code != c.checkCode || !strings.Contains(said, c.check) {
				t.Errorf("weir check: exit %d, want %d and %q:\n%s\n%s", got.code, c.checkCode, c.check, got.out, got.end)
			}
			if got.code == 1 && strings.Count(got.out, "FAULT") != 1 {
				t.Errorf("weir check tells one fault as several:\n%s", got.out)
			}
			if _, err := os.Stat(filepath.Join(dir, "lists/block.txt")); err == nil && c.name != "a list that is somebody's file" {
				t.Error("weir check wrote a list")
			}
			if c.inspect != "" {
				got := tell(t, "inspect", "-c", config, filepath.Join(dir, "access.log"))
				if said := tidy(got.out) + " " + tidy(got.end); got.code != c.inspectCode || !strings.Contains(said, c.inspect) {
					t.Errorf("weir inspect: exit %d, want %d and %q:\n%s\n%s", got.code, c.inspectCode, c.inspect, got.out, got.end)
				}
			}
			if c.run == "" {
				return
			}
			got = tell(t, "run", "-c", config)
			if said := tidy(got.end); got.code != c.runCode || !strings.Contains(said, c.run) {
				t.Errorf("weir run: exit %d, want %d and %q:\n%s\n%s", got.code, c.runCode, c.run, got.out, got.end)
			}
			if strings.Contains(got.end, "\n") && !strings.Contains(got.end, "weir.yaml: [3:") { // which is shown in its place
				t.Errorf("weir run ends with several lines:\n%s", got.end)
			}
		})
	}
}

// A run that meets a log which it cannot read, or private addresses only, goes
// on, enforces nothing and says what it sees.
func TestARunOnAPoorLogSaysWhatItSees(t *testing.T) {
	t.Parallel()
	s := newFollowedSite(t, "1h", plainPoint)
	s.write("access.log", strings.Repeat("hello strange world\n", 50))
	_, stop := s.run()
	s.until(10*time.Second, "weir status says that it can read nothing", func() bool {
		return strings.Contains(s.weir("status"), `NOT READY no line of the log could be read: 50 rejected, most for "json" (weir check says more)`)
	})
	s.attackNow("10.1.2.3")
	var status string
	s.until(10*time.Second, "weir status says what it sees", func() bool {
		status = s.weir("status")
		return strings.Contains(status, "not read 50 lines: 50 (json)") && strings.Contains(status, "held 1 decision held by guards: protected (1)")
	})
	if held := s.listed("lists/block.txt"); len(held) != 0 {
		t.Errorf("listed: %v", held)
	}
	why := s.weir("why", "10.1.2.3")
	must(t, why, "Not blocked: a guard held it", "held by protected: 10.1.2.3 is a private address")
	s.stop(stop)
}

// The log comes when the server gets its first request.
func TestALogThatIsNotThereYetIsReadWhenItComes(t *testing.T) {
	t.Parallel()
	s := newFollowedSite(t, "1h", plainPoint)
	if err := os.Remove(s.path("access.log")); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer // read when the run has ended
	s.said = &said
	l, stop := s.run()
	s.until(10*time.Second, "it runs", func() bool { return l.status.Load() != nil })
	var status string
	s.until(10*time.Second, "weir status answers", func() bool {
		status = s.weir("status")
		return strings.Contains(status, "What it reads")
	})
	must(t, status, "NOT READY source access: there is no such log (stat "+s.path("access.log")+": no such file or directory): it is read when it comes", "access NO LOG: stat ")
	if strings.Contains(status, "nothing to read") || strings.Contains(status, "nothing left to read") {
		t.Errorf("a log that is absent is said to be idle: %s", status)
	}
	s.write("access.log", "")
	s.attackNow(attacker)
	s.until(10*time.Second, "weir is ready", func() bool { return strings.Contains(s.weir("status"), " ready ") })
	s.until(15*time.Second, "the attacker is listed", func() bool { return s.listed("lists/block.txt")[attacker] })
	s.stop(stop)
	must(t, said.String(), "level=WARN", "there is no such log yet; it is read when it comes", "access.log: no such file or directory")
}

// A list cannot be written any more while weir runs: weir goes on, and says so.
func TestAListThatCannotBeWrittenIsSaid(t *testing.T) {
	t.Parallel()
	s := newFollowedSite(t, "1h", plainPoint)
	if err := os.RemoveAll(s.path("lists")); err != nil {
		t.Fatal(err)
	}
	_, stop := s.run()
	s.attackNow(attacker)
	s.until(10*time.Second, "weir status says that the list cannot be written", func() bool {
		status := s.weir("status")
		return strings.Contains(status, "plain is to hold 1 entry") && strings.Contains(status, "lists/block.txt: its directory does not exist")
	})
	if err := stop(); err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "point plain: ") || exitCode(err) != 1 {
		t.Errorf("the run ended with: %v", err)
	}
}

// The configurations that ship are ones: what they need beside them is made
// here, and they load, with the rules, tables and points that they name.
func TestTheConfigurationsThatShipLoad(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../deploy/*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("%d configurations, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			dir := t.TempDir()
			text := readFile(t, file)
			config := write(t, dir, "weir.yaml", text)
			for name, content := range map[string]string{
				"key": strings.Repeat("k", 32), "password": "secret\n", "ca.pem": "",
				"site.yaml":            "endpoints:\n  - {pattern: \"POST /login\", kind: login, failure: status == 401}\n",
				"asn.csv":              "",
				"ranges/googlebot.txt": "192.0.2.0/24\n",
				"rules/own/tries.yaml": strings.ReplaceAll(strings.Replace(followedRule, "short.many_tries", "own.tries", 1), "%s", "1h"),
			} {
				path := filepath.Join(dir, name)
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			c, err := loadConfig(config)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.faultsLive(); err != nil {
				t.Error(err)
			}
			if c.Stage != event.Shadow.String() {
				t.Errorf("stage: %s, an example must not enforce anything", c.Stage)
			}
			if len(c.Points) == 0 || len(c.Sources) == 0 {
				t.Errorf("%d points, %d sources", len(c.Points), len(c.Sources))
			}
			x, err := c.extras()
			if err != nil {
				t.Fatal(err)
			}
			rs, err := c.loadRules(c.ruleOptions(x))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.stages(rs); err != nil {
				t.Error(err)
			}
			// An MMDB is nothing that a test writes by hand.
			c.Enrich.ASN = ""
			k, _, err := c.key()
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := c.tables(k, c.ruleOptions(x)); err != nil {
				t.Error(err)
			}
			// Nothing in a comment is out of date either: each line that is
			// commented out as an example is one.
			if err := emit.ValidatePoints(c.Points); err != nil {
				t.Error(err)
			}
			uncommented := write(t, dir, "all.yaml", uncomment(text))
			if _, err := loadConfig(uncommented); err != nil {
				t.Errorf("with its examples: %v\n%s", err, uncomment(text))
			}
		})
	}
}

// uncomment makes those comments part of a configuration that are examples.
func uncomment(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		trimmed := strings.TrimLeft(line, " ")
		if example, ok := strings.CutPrefix(trimmed, "# "); ok {
			for _, key := range []string{"site:", "enrich:", "set:", "protect:", "trusted_proxies:", "unwrap:", "actions:", "- {"} {
				if strings.HasPrefix(example, key) {
					line = line[:len(line)-len(trimmed)] + example
				}
			}
		}
		b.WriteString(line)
	}
	return b.String()
}
