package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"weir/emit"
	"weir/event"
	"weir/internal/testkit"
)

// The log falls silent while a block is in force: it ends by the wall clock.
func TestABlockEndsWhileTheLogIsStalled(t *testing.T) {
	t.Parallel()
	const life = 12 * time.Second
	s := newFollowedSite(t, life.String(), plainPoint+nginxPoint)
	_, stop := s.run()
	s.attackNow(attacker)
	s.until(life, "the attacker is listed", func() bool {
		return s.listed("lists/block.txt")[attacker] && !s.endOf(attacker).IsZero()
	})
	end := s.endOf(attacker)
	lines := s.ledger(attacker)
	if len(lines) != 1 || !lines[0].Until.Equal(end) || time.Until(end) <= 0 || time.Until(end) > life {
		t.Fatalf("the list of nginx says %v at %v, the ledger %+v", end, time.Now(), lines)
	}
	s.until(life+10*time.Second, "the plain list is empty", func() bool { return !s.listed("lists/block.txt")[attacker] })
	late := time.Since(end)
	if late < 0 || late > 5*time.Second {
		t.Errorf("the entry left the plain list %v after its end, must be within 5 s", late)
	}
	// nginx acts on the end itself: the entry may stand there, and is over.
	if e := s.endOf(attacker); e.After(time.Now()) {
		t.Errorf("the entry of nginx is over at %v only", e)
	}
	s.until(20*time.Second, "the ledger says that it ended", func() bool {
		return slices.Equal(events(s.ledger(attacker)), []string{"new", "end"})
	})
	testkit.Figure(t, "no line came any more; the entry left the plain list %v after its end, by the wall clock", late.Round(time.Millisecond))
	s.stop(stop)
	if len(s.listed("lists/block.txt")) != 0 {
		t.Error("a stopped run left what is over")
	}
}

// weir is stopped while a block is in force. A machine with much else to do gets a
// second try, with a block that lasts longer.
func TestABlockEndsWhileWeirIsStopped(t *testing.T) {
	t.Parallel()
	if !endsWhileStopped(t, 8*time.Second) && !endsWhileStopped(t, 40*time.Second) {
		t.Fatal("blocks were over before all was seen that must be seen while they hold")
	}
}

// endsWhileStopped reports whether a block of this length was long enough.
func endsWhileStopped(t *testing.T, life time.Duration) bool {
	t.Helper()
	s := newFollowedSite(t, life.String(), plainPoint+nginxPoint)
	_, stop := s.run()
	listed := func() bool { return s.listed("lists/block.txt")[attacker] }
	begun := time.Now()
	s.attackNow(attacker)
	s.until(life+10*time.Second, "the attacker is listed, or was", func() bool { return listed() || time.Since(begun) > life })
	s.stop(stop)
	end := s.endOf(attacker)
	if !end.After(time.Now()) {
		return false
	}
	if !listed() && end.After(time.Now()) {
		t.Fatalf("a stopped run does not leave what is in force: %v, %v", s.listed("lists/block.txt"), end)
	}

	// A restart before the end brings back what got lost meanwhile.
	if err := os.Remove(s.path("lists/block.txt")); err != nil {
		t.Fatal(err)
	}
	_, stop = s.run()
	s.until(life+10*time.Second, "a restart lists what is still in force", func() bool { return listed() || time.Now().After(end) })
	if !listed() {
		s.stop(stop)
		return false
	}
	s.stop(stop)
	if !end.After(time.Now()) {
		return false
	}

	time.Sleep(time.Until(end.Add(50 * time.Millisecond)))
	if !s.listed("lists/block.txt")[attacker] {
		t.Error("nothing runs, and the plain list changed")
	}
	if out := s.weir("points", "reap"); s.listed("lists/block.txt")[attacker] {
		t.Errorf("reap left what is over in the plain list: %s", out)
	}
	if e := s.endOf(attacker); e.After(time.Now()) {
		t.Errorf("nginx would still refuse, until %v", e)
	}
	// The restart reads the attack again, and does nothing about it.
	l, stop := s.run()
	s.allRead(l)
	s.log(pageAt(time.Now()))
	s.allRead(l)
	s.stop(stop)
	if s.listed("lists/block.txt")[attacker] || s.endOf(attacker).After(time.Now()) {
		t.Error("a restart brought back what was over")
	}
	if got := events(s.ledger(attacker)); !slices.Equal(got, []string{"new", "end"}) {
		t.Errorf("the ledger says %v", got)
	}
	return true
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
	s.until(20*time.Second, "the attacker is listed", func() bool {
		for _, k := range l.keepers[:3] {
			if st := k.Status(); st.Held != 1 || st.Drift != 0 || st.Error != "" {
				return false
			}
		}
		return s.listed("lists/block.txt")[attacker] && s.listed("away/block.txt")[attacker]
	})
	end := s.endOf(attacker)

	// A directory gives way to a file, nginx does not like its configuration.
	if err := os.Rename(s.path("away"), s.path("aside")); err != nil {
		t.Fatal(err)
	}
	s.write("away", "no directory")
	s.write("broken", "")
	const second = "203.0.113.8"
	s.attackNow(second)
	s.until(20*time.Second, "the plain list goes on", func() bool { return s.listed("lists/block.txt")[second] })
	var status string
	s.until(20*time.Second, "weir status names the points that fail", func() bool {
		status = s.weir("status")
		return strings.Contains(status, "unexpected end of file in nginx.conf:7") && strings.Contains(status, "away/block.txt: not a directory") &&
			strings.Contains(status, "no.sock")
	})
	_, points, _ := strings.Cut(status, "balancer")
	t.Logf("status: balancer%s", points)
	if e := s.endOf(second); !e.IsZero() {
		t.Errorf("the list that failed its test stays, until %v", e)
	}
	if !s.endOf(attacker).Equal(end) {
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
		return !away[attacker] && away["203.0.113.9"] && !s.endOf("203.0.113.9").IsZero()
	})
	testkit.Figure(t, "the points converged %v after they were mended", time.Since(mended).Round(10*time.Millisecond))
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
		return s.listed("lists/block.txt")["203.0.113.21"] && !s.endOf("203.0.113.21").IsZero()
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
	if end := s.endOf("203.0.113.21"); !end.Equal(want) {
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
				cmd.Env = append(os.Environ(), fullDisk+"="+full, testkit.Figures+"=") // that file would be full, too
				out, err := cmd.CombinedOutput()
				if err != nil || !bytes.Contains(out, []byte("--- PASS: TestADiskThatIsFull")) {
					t.Fatalf("%v\n%s", err, out)
				}
				for line := range strings.Lines(string(out)) {
					if _, text, ok := strings.Cut(line, ".go:"); ok {
						_, text, _ = strings.Cut(text, ": ")
						testkit.Figure(t, "%s", strings.TrimSpace(text))
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
	s.until(20*time.Second, "the attacker is listed", func() bool { return s.listed("lists/block.txt")[attacker] })
	s.until(20*time.Second, "the attacker is listed by nginx", func() bool { return !s.endOf(attacker).IsZero() })
	end := s.endOf(attacker)
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
		s.until(20*time.Second, "weir status says that the ledger cannot be written", said)
	}
	for time.Now().Before(end) {
		s.log(attackFrom(second, time.Now().Truncate(time.Second)))
		if s.listed("lists/block.txt")[second] {
			t.Fatal("something new is enforced that the ledger does not have")
		}
		time.Sleep(100 * time.Millisecond)
	}
	s.until(10*time.Second, "what was in force is over", func() bool { return !s.listed("lists/block.txt")[attacker] })
	over := time.Since(end)
	s.until(10*time.Second, "weir status says that the ledger cannot be written", said)
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
