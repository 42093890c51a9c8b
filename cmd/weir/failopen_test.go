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
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"weir/emit"
	"weir/event"
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
state: {dir: state, memory: 512MiB}
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
		return st != nil && st.Summary.Events+st.Summary.Dropped >= s.sent
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

// endOf returns the end of an address as a proxy's own file has it; zero: it is
// not there.
func (s *followedSite) endOf(name, address string) (end time.Time) {
	s.t.Helper()
	b, err := os.ReadFile(s.path(name))
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

// The log falls silent while a block is in force: it ends by the wall clock.
func TestABlockEndsWhileTheLogIsStalled(t *testing.T) {
	t.Parallel()
	s := newFollowedSite(t, "6s", plainPoint+nginxPoint)
	_, stop := s.run()
	s.attackNow(attacker)
	s.until(5*time.Second, "the attacker is listed", func() bool {
		return s.listed("lists/block.txt")[attacker] && !s.endOf("lists/weir.conf", attacker).IsZero()
	})
	end := s.endOf("lists/weir.conf", attacker)
	lines := s.ledger(attacker)
	if len(lines) != 1 || !lines[0].Until.Equal(end) || time.Until(end) <= 0 || time.Until(end) > 6*time.Second {
		t.Fatalf("the list of nginx says %v at %v, the ledger %+v", end, time.Now(), lines)
	}
	s.until(10*time.Second, "the plain list is empty", func() bool { return !s.listed("lists/block.txt")[attacker] })
	late := time.Since(end)
	if late < 0 || late > 2*time.Second {
		t.Errorf("the entry left the plain list %v after its end, must be within 2 s", late)
	}
	// nginx acts on the end itself: the entry may stand there, and is over.
	if e := s.endOf("lists/weir.conf", attacker); e.After(time.Now()) {
		t.Errorf("the entry of nginx is over at %v only", e)
	}
	s.until(3*time.Second, "the ledger says that it ended", func() bool {
		return slices.Equal(events(s.ledger(attacker)), []string{"new", "end"})
	})
	t.Logf("no line came any more; the entry left the plain list %v after its end, by the wall clock", late.Round(time.Millisecond))
	s.stop(stop)
	if len(s.listed("lists/block.txt")) != 0 {
		t.Error("a stopped run left what is over")
	}
}

// weir is stopped while a block is in force.
func TestABlockEndsWhileWeirIsStopped(t *testing.T) {
	t.Parallel()
	s := newFollowedSite(t, "8s", plainPoint+nginxPoint)
	l, stop := s.run()
	s.attackNow(attacker)
	s.until(5*time.Second, "the attacker is listed", func() bool { return s.listed("lists/block.txt")[attacker] })
	s.stop(stop)
	end := s.endOf("lists/weir.conf", attacker)
	if !s.listed("lists/block.txt")[attacker] || !end.After(time.Now()) {
		t.Fatalf("a stopped run leaves what is in force: %v, %v", s.listed("lists/block.txt"), end)
	}

	// A restart before the end brings back what got lost meanwhile.
	if err := os.Remove(s.path("lists/block.txt")); err != nil {
		t.Fatal(err)
	}
	if _, stop = s.run(); time.Until(end) < time.Second {
		t.Fatalf("the restart came only %v before the end: the machine is too busy for this test", time.Until(end))
	}
	s.until(time.Until(end), "a restart lists what is still in force", func() bool { return s.listed("lists/block.txt")[attacker] })
	s.stop(stop)

	time.Sleep(time.Until(end.Add(50 * time.Millisecond)))
	if !s.listed("lists/block.txt")[attacker] {
		t.Error("nothing runs, and the plain list changed")
	}
	if out := s.weir("points", "reap"); s.listed("lists/block.txt")[attacker] {
		t.Errorf("reap left what is over in the plain list: %s", out)
	}
	if e := s.endOf("lists/weir.conf", attacker); e.After(time.Now()) {
		t.Errorf("nginx would still refuse, until %v", e)
	}
	// The restart reads the attack again, and does nothing about it.
	l, stop = s.run()
	s.allRead(l)
	s.log(pageAt(time.Now()))
	s.allRead(l)
	s.stop(stop)
	if s.listed("lists/block.txt")[attacker] || s.endOf("lists/weir.conf", attacker).After(time.Now()) {
		t.Error("a restart brought back what was over")
	}
	if got := events(s.ledger(attacker)); !slices.Equal(got, []string{"new", "end"}) {
		t.Errorf("the ledger says %v", got)
	}
}

// Points fail, each in its way: the others go on, blocks end, and all is well
// when the points are.
func TestPointsThatCannotBeReached(t *testing.T) {
	t.Parallel()
	s := newFollowedSite(t, "10s", plainPoint+`
  - {name: gone, file: {path: away/block.txt}}
  - {name: proxy, nginx: {conf: lists/weir.conf, test: ["sh", "-c", "test ! -e broken || { echo unexpected end of file in nginx.conf:7; false; }"], reload: ["true"]}}
  - {name: balancer, haproxy: {map: lists/weir.map, socket: no.sock}}`)
	if err := os.Mkdir(s.path("away"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.write("weir.yaml", strings.ReplaceAll(readFile(t, s.config), "! -e broken", "! -e "+s.path("broken")))
	l, stop := s.run()
	s.attackNow(attacker)
	s.until(5*time.Second, "the attacker is listed", func() bool {
		for _, k := range l.keepers[:3] {
			if st := k.Status(); st.Held != 1 || st.Drift != 0 || st.Error != "" {
				return false
			}
		}
		return s.listed("lists/block.txt")[attacker] && s.listed("away/block.txt")[attacker]
	})
	end := s.endOf("lists/weir.conf", attacker)

	// A directory gives way to a file, nginx does not like its configuration.
	if err := os.Rename(s.path("away"), s.path("aside")); err != nil {
		t.Fatal(err)
	}
	s.write("away", "no directory")
	s.write("broken", "")
	const second = "203.0.113.8"
	s.attackNow(second)
	s.until(5*time.Second, "the plain list goes on", func() bool { return s.listed("lists/block.txt")[second] })
	var status string
	s.until(5*time.Second, "weir status names the points that fail", func() bool {
		status = s.weir("status")
		return strings.Contains(status, "unexpected end of file in nginx.conf:7") && strings.Contains(status, "away/block.txt: not a directory") &&
			strings.Contains(status, "no.sock")
	})
	_, points, _ := strings.Cut(status, "balancer")
	t.Logf("status: balancer%s", points)
	if e := s.endOf("lists/weir.conf", second); !e.IsZero() {
		t.Errorf("the list that failed its test stays, until %v", e)
	}
	if !s.endOf("lists/weir.conf", attacker).Equal(end) {
		t.Error("the old list of nginx is not there any more")
	}
	s.until(15*time.Second, "the first block is over everywhere", func() bool {
		return !s.listed("lists/block.txt")[attacker] && time.Now().After(end)
	})

	// They heal, and converge.
	if err := errors.Join(os.Remove(s.path("away")), os.Rename(s.path("aside"), s.path("away")), os.Remove(s.path("broken"))); err != nil {
		t.Fatal(err)
	}
	mended := time.Now()
	if out := s.weir("block", "203.0.113.9", "--for", "1h", "--reason", "a test"); !strings.Contains(out, "203.0.113.9 is blocked until") {
		t.Error(out)
	}
	s.until(31*time.Second, "the points that had failed hold what is in force", func() bool {
		away := s.listed("away/block.txt")
		return !away[attacker] && away["203.0.113.9"] && !s.endOf("lists/weir.conf", "203.0.113.9").IsZero()
	})
	t.Logf("the points converged %v after they were mended", time.Since(mended).Round(10*time.Millisecond))
	s.until(10*time.Second, "weir status does not tell of the faults any more", func() bool {
		status := s.weir("status")
		return !strings.Contains(status, "nginx.conf:7") && !strings.Contains(status, "not a directory")
	})
	// A point that is still away is said at the end, too.
	if err := stop(); err == nil || !strings.Contains(err.Error(), "balancer") || strings.Contains(err.Error(), "gone") {
		t.Errorf("the run ended with: %v", err)
	}
}

// The log has lines of two hours ago and of half an hour ago: what is over is
// not enforced, and of the rest only what remains.
func TestCatchingUpEnforcesNothingThatIsOver(t *testing.T) {
	t.Parallel()
	s := newFollowedSite(t, "1h", plainPoint+nginxPoint)
	now := time.Now().Truncate(time.Second)
	old, recent := now.Add(-2*time.Hour), now.Add(-30*time.Minute)
	s.log(pageAt(old.Add(-time.Minute)), attackFrom("203.0.113.20", old), pageAt(old.Add(10*time.Second)),
		attackFrom("203.0.113.21", recent), pageAt(recent.Add(10*time.Second)), pageAt(now))
	l, stop := s.run()
	everListed, watching := false, make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		for {
			for _, name := range []string{"lists/block.txt", "lists/weir.conf"} {
				if b, err := os.ReadFile(s.path(name)); err == nil && bytes.Contains(b, []byte("203.0.113.20")) {
					everListed = true
				}
			}
			select {
			case <-watching:
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	s.allRead(l)
	s.until(10*time.Second, "what is not over is listed", func() bool {
		return s.listed("lists/block.txt")["203.0.113.21"] && !s.endOf("lists/weir.conf", "203.0.113.21").IsZero()
	})
	s.stop(stop)
	close(watching)
	watch.Wait()
	if everListed {
		t.Error("what was over was on a list")
	}
	if lines := s.ledger("203.0.113.20"); len(lines) != 1 || lines[0].Mode != "late" {
		t.Errorf("the ledger says of what was over: %+v", lines)
	}
	want := recent.Add(time.Second + time.Hour)
	if end := s.endOf("lists/weir.conf", "203.0.113.21"); !end.Equal(want) {
		t.Errorf("the block ends at %v, must be an hour after the decision: %v", end, want)
	}
	if lines := s.ledger("203.0.113.21"); len(lines) != 1 || lines[0].Mode != "enforce" || !lines[0].Until.Equal(want) {
		t.Errorf("the ledger says of what is not over: %+v", lines)
	}
}

// fullDisk names the process in which a file cannot grow.
const fullDisk = "WEIR_TEST_FULL_DISK"

// The disk of the ledger is full: nothing new is enforced, what is in force ends,
// and when there is room again all goes on. A limit of the process on the size
// of files is the disk, so the test runs in a process of its own.
func TestADiskThatIsFull(t *testing.T) {
	full := os.Getenv(fullDisk)
	if full == "" {
		t.Parallel()
		for _, full := range []string{"for the ledger only", "for decisions too"} {
			t.Run(full, func(t *testing.T) {
				t.Parallel()
				cmd := exec.Command(os.Args[0], "-test.run=^TestADiskThatIsFull$", "-test.v", "-test.timeout=2m")
				cmd.Env = append(os.Environ(), fullDisk+"="+full)
				out, err := cmd.CombinedOutput()
				if err != nil || !bytes.Contains(out, []byte("--- PASS: TestADiskThatIsFull")) {
					t.Fatalf("%v\n%s", err, out)
				}
				for line := range strings.Lines(string(out)) {
					if _, text, ok := strings.Cut(line, ".go:"); ok {
						t.Log(strings.TrimSpace(text))
					}
				}
			})
		}
		return
	}
	ledgerOnly := full == "for the ledger only"
	signal.Ignore(syscall.SIGXFSZ) // a write beyond the limit is an error then
	s := newFollowedSite(t, "8s", plainPoint+nginxPoint)
	web := exec.Command("tee", "-a", s.path("access.log")) // whose own files may grow
	into, err := web.StdinPipe()
	if err == nil {
		err = web.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(into.Close(), web.Wait()); err != nil {
			t.Error(err)
		}
	}()
	s.writer = into
	l, stop := s.run()
	s.attackNow(attacker)
	s.until(5*time.Second, "the attacker is listed", func() bool { return s.listed("lists/block.txt")[attacker] })
	s.until(5*time.Second, "the attacker is listed by nginx", func() bool { return !s.endOf("lists/weir.conf", attacker).IsZero() })
	end := s.endOf("lists/weir.conf", attacker)
	if ledgerOnly { // it is the longest file by so much that others can still grow
		for i := range 6 {
			target := event.Target{{Field: "ip", Text: fmt.Sprintf("203.0.113.%d", 100+i)}}
			if _, err := l.ledger.Block(target, event.Block, "", time.Hour, "somebody", strings.Repeat("long ", 100)); err != nil {
				t.Fatal(err)
			}
		}
	}

	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	ledger, err := os.Stat(s.path("state/" + ledgerFile))
	if err != nil {
		t.Fatal(err)
	}
	// A line begins to be written, and ends within. The lists are shorter.
	limit := was
	limit.Cur = uint64(ledger.Size()) + 40
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	const second = "203.0.113.8"
	s.attackNow(second)
	said := func() bool {
		return strings.Contains(s.weir("status"), "LEDGER it could not be read or written; nothing new comes into force")
	}
	if ledgerOnly {
		s.until(5*time.Second, "weir status says that the ledger cannot be written", said)
	}
	for time.Now().Before(end) {
		s.log(attackFrom(second, time.Now().Truncate(time.Second)))
		if s.listed("lists/block.txt")[second] {
			t.Fatal("something new is enforced that the ledger does not have")
		}
		time.Sleep(100 * time.Millisecond)
	}
	s.until(2*time.Second, "what was in force is over", func() bool { return !s.listed("lists/block.txt")[attacker] })
	over := time.Since(end)
	s.until(2*time.Second, "weir status says that the ledger cannot be written", said)
	t.Logf("with a full disk the block left the plain list %v after its end", over.Round(time.Millisecond))
	if s.listed("lists/block.txt")[second] {
		t.Error("something new is enforced that the ledger does not have")
	}

	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	room := time.Now()
	for !s.listed("lists/block.txt")[second] {
		if time.Since(room) > 20*time.Second {
			t.Fatalf("there is room again, and the attack that goes on is not listed; the ledger says %+v", s.ledger(second))
		}
		s.log(attackFrom(second, time.Now().Truncate(time.Second)))
		time.Sleep(100 * time.Millisecond)
	}
	t.Logf("the attack that went on was listed %v after there was room again", time.Since(room).Round(time.Millisecond))
	s.stop(stop)
	key, err := event.LoadKey(s.path("key"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := emit.VerifyLedger(s.path("state"), key); err != nil {
		t.Error(err)
	}
	if got := events(s.ledger(attacker)); !slices.Equal(got, []string{"new", "end"}) {
		t.Errorf("the ledger says of the first attacker %v", got)
	}
	// What could not be written whole did not happen.
	lines := s.ledger(second)
	unwritten := slices.ContainsFunc(lines, func(l ledgerLine) bool {
		return l.Event == "withdrawn" && l.Reason == "the ledger cannot be written" || l.Event == "held" && l.Guard == "unwritten"
	})
	if len(lines) == 0 || unwritten != ledgerOnly {
		t.Errorf("the ledger says of the second attacker %+v", lines)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
