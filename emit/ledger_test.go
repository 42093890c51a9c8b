package emit

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/event"
)

// dawn is when the tests' clocks begin.
var dawn = time.Date(2026, 3, 6, 4, 0, 0, 0, time.UTC)

// testClock is a wall clock that a test moves.
type testClock struct{ now time.Time }

func (c *testClock) read() time.Time         { return c.now }
func (c *testClock) advance(d time.Duration) { c.now = c.now.Add(d) }

// targetOf makes a target of pairs.
func targetOf(pairs ...string) (t event.Target) {
	for i := 0; i+1 < len(pairs); i += 2 {
		t = append(t, event.Value{Field: pairs[i], Text: pairs[i+1]})
	}
	return t
}

// decided makes an enforced block of a target for an hour.
func ruled(rule string, at time.Time, pairs ...string) event.Decision {
	d := event.Decision{
		Step: event.New, Time: at, Until: at.Add(time.Hour), Mode: event.Enforce, Would: event.Block,
		Target: targetOf(pairs...), Key: targetOf(pairs...), Rule: rule, Version: 1, Severity: event.High,
		Evidence: []event.Measure{{Name: "tries", Value: 41}}, Sources: []event.Span{{Source: "nginx", First: 1, Last: 9}},
	}
	return identified(d)
}

func identified(d event.Decision) event.Decision {
	d.ID = event.DecisionID(d.Step, d.Rule, d.Version, d.Would, d.Target, d.Except, d.Time)
	return d
}

// renewal makes a renewal of d.
func renewal(d event.Decision, at time.Time) event.Decision {
	r := d
	r.Step, r.Renews, r.Time, r.Until = event.Renew, d.ID, at, at.Add(d.Until.Sub(d.Time))
	return identified(r)
}

// site answers a review: nothing stands behind any target, and so many
// accounts behind the site.
func accounts(good float64) figuresOf {
	return standing(func(t event.Target) (float64, float64, bool) { return good, good, len(t) == 0 })
}

// figuresOf is how a review asks how things stand.
type figuresOf = func(*event.Asked) (event.Figures, bool)

// standing says how targets stand where all good accounts are regulars; the
// empty target is the whole site.
func standing(of func(event.Target) (good, tried float64, ok bool)) figuresOf {
	return func(a *event.Asked) (event.Figures, bool) {
		var t event.Target
		if a.Decision != nil {
			t = a.Target
		}
		good, tried, ok := of(t)
		return event.Figures{Good: good, Tried: tried, Regulars: good}, ok
	}
}

type tester struct {
	*testing.T
	*Ledger
	clock *testClock
}

// ledger opens a ledger in memory with a clock at dawn.
func testLedger(t *testing.T, g *Guards) *tester {
	t.Helper()
	return reopened(t, "", &testClock{dawn}, g)
}

func reopened(t *testing.T, path string, clock *testClock, g *Guards) *tester {
	t.Helper()
	cfg := LedgerConfig{Path: path, Key: event.FixedKey(), Guards: g}
	if clock != nil {
		cfg.Now = clock.read
	}
	l, err := OpenLedger(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return &tester{t, l, clock}
}

func (t *tester) add(ds ...event.Decision) {
	t.Helper()
	if err := t.Add(ds); err != nil {
		t.Fatal(err)
	}
}

func (t *tester) tick(d time.Duration) {
	t.Helper()
	t.clock.advance(d)
	if err := t.Advance(); err != nil {
		t.Fatal(err)
	}
}

// force returns what is in force as text.
func (t *tester) force() []string {
	out := []string{}
	for _, e := range t.InForce().Entries {
		var b []string
		for _, v := range e.Decision.Target {
			b = append(b, v.Text)
		}
		out = append(out, e.Action.String()+" "+strings.Join(b, ",")+" "+e.Until.Sub(dawn).String())
	}
	return out
}

func (t *tester) wantForce(want ...string) {
	t.Helper()
	if got := t.force(); !slices.Equal(got, want) {
		t.Errorf("in force %q, want %q", got, want)
	}
}

// lines returns the newest lines as text.
func (t *tester) written() []string {
	var out []string
	for _, l := range t.Recent(maxRecent) {
		out = append(out, summary(&l))
	}
	return out
}

func summary(l *Line) string {
	s := l.Event
	for _, x := range []string{l.Mode, l.Action, string(l.Guard), l.Rule, l.By} {
		if x != "" {
			s += " " + x
		}
	}
	return s
}

func (t *tester) wantLines(want ...string) {
	t.Helper()
	if got := t.written(); !slices.Equal(got, want) {
		t.Errorf("lines\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestADecisionIsInForceUntilItsEnd(t *testing.T) {
	l := testLedger(t, &Guards{})
	changed, version := l.Changed(), l.InForce().Version
	l.add(ruled("r", dawn, "ip", "198.51.100.7"))
	l.wantForce("block 198.51.100.7 1h0m0s")
	select {
	case <-changed:
	default:
		t.Error("nobody was told")
	}
	if l.InForce().Version <= version || !l.InForce().Well {
		t.Errorf("force %+v", l.InForce())
	}
	changed = l.Changed()
	l.tick(time.Hour - time.Second)
	l.wantForce("block 198.51.100.7 1h0m0s")
	select {
	case <-changed:
		t.Error("told of no change")
	default:
	}
	l.tick(time.Second)
	l.wantForce()
	l.wantLines("new enforce block", "end enforce block")
}

func TestOnlyWhatIsToBeEnforcedComesIntoForce(t *testing.T) {
	l := testLedger(t, &Guards{})
	shadow, alert, notice := ruled("r", dawn, "ip", "198.51.100.1"), ruled("r", dawn, "ip", "198.51.100.2"), ruled("r", dawn, "ip", "198.51.100.3")
	shadow.Mode, alert.Mode, notice.Would = event.Shadow, event.AlertOnly, event.Alert
	late := ruled("r", dawn.Add(-2*time.Hour), "ip", "198.51.100.4")
	late.Until = dawn // its very end
	end := ruled("r", dawn, "ip", "198.51.100.5")
	end.Step = event.End
	l.add(shadow, alert, notice, late, end)
	l.wantForce()
	l.wantLines("new shadow none", "new alert alert", "new enforce alert", "new late none")
	if c := l.Counts(); c.Late != 1 || c.Decisions[DecisionCount{"r", "new", "late"}] != 1 {
		t.Errorf("counts %+v", c)
	}
	// One that was late is renewed by what goes on now.
	l.add(renewal(late, dawn))
	l.wantForce("block 198.51.100.4 2h0m0s")
	if e := l.InForce().Entries[0]; e.Decision.ID != late.ID {
		t.Errorf("the entry is called %s, not as the first decision %s", e.Decision.ID, late.ID)
	}
}

func TestARenewalMovesTheEnd(t *testing.T) {
	l := testLedger(t, &Guards{})
	d := ruled("r", dawn, "ip", "198.51.100.7")
	l.add(d)
	l.tick(40 * time.Minute)
	r := renewal(d, l.clock.now)
	l.add(r)
	l.wantForce("block 198.51.100.7 1h40m0s")
	if e := l.InForce().Entries[0]; e.Decision.ID != d.ID || !e.Since.Equal(dawn) {
		t.Errorf("entry %+v", e)
	}
	// Neither an earlier end nor one of another action or exception.
	short, other := renewal(d, l.clock.now.Add(time.Second)), renewal(d, l.clock.now)
	short.Until = dawn.Add(time.Hour)
	other.Mode = event.Shadow
	other.ID = "other"
	l.add(short, other)
	l.wantForce("block 198.51.100.7 1h40m0s")
	l.wantLines("new enforce block", "renew enforce block", "renew enforce block", "renew shadow none")
}

func TestWhatWasSeenIsPassedOver(t *testing.T) {
	l := testLedger(t, &Guards{})
	d := ruled("r", dawn, "ip", "198.51.100.7")
	r := renewal(d, dawn.Add(time.Minute))
	l.add(d, r)
	n := len(l.written())
	l.add(d, r)
	if got := len(l.written()); got != n {
		t.Errorf("%d lines, then %d", n, got)
	}
	if l.Counts().Passed != 2 {
		t.Errorf("passed over %d", l.Counts().Passed)
	}
}

func TestIdsAreRememberedUpToALimit(t *testing.T) {
	var s seen
	const most = 100
	for i := range uint64(1000) {
		if s.add(i, most) {
			t.Fatalf("%d was new", i)
		}
		for back := range min(i+1, most/2) {
			if !s.add(i-back, most) {
				t.Fatalf("after %d, %d is forgotten", i, i-back)
			}
		}
		if n := len(s.now) + len(s.before); n > most {
			t.Fatalf("%d ids are kept", n)
		}
	}
}

func TestTheClockMayJump(t *testing.T) {
	for _, c := range []struct {
		jump time.Duration
		ends time.Duration // at most so long after, by the clock after the jump
	}{{time.Hour, 0}, {24 * time.Hour, 0}, {-time.Hour, 50 * time.Minute}, {-24 * time.Hour, 50 * time.Minute}, {-3 * time.Second, 50*time.Minute + 3*time.Second}} {
		l := testLedger(t, &Guards{})
		l.add(ruled("r", dawn, "ip", "198.51.100.7"))
		l.tick(10 * time.Minute)
		l.tick(c.jump)
		after := l.clock.now
		if c.ends == 0 {
			if l.wantForce(); len(l.force()) > 0 {
				t.Errorf("jump %v", c.jump)
			}
			continue
		}
		if e := l.InForce().Entries; len(e) != 1 || e[0].Until.Sub(after) != c.ends {
			t.Errorf("jump %v: %v", c.jump, l.force())
		}
		// What the engine decides by the old clock waits for a sane one.
		l.add(ruled("r", after.Add(aheadOfClock+time.Second), "ip", "198.51.100.8"))
		if g := l.Counts().Held[GuardClock]; g != 1 {
			t.Errorf("jump %v: %d held by the clock", c.jump, g)
		}
		l.tick(c.ends)
		l.wantForce()
	}
}

func TestWhatIsUnblockedStaysSoForItsTimeWhateverTheClockDoes(t *testing.T) {
	l := testLedger(t, &Guards{})
	if _, err := l.Unblock(targetOf("ip", "198.51.100.7"), time.Hour, "ann", "x"); err != nil {
		t.Fatal(err)
	}
	l.tick(-24 * time.Hour)
	l.tick(time.Hour)
	l.add(ruled("r", l.clock.now, "ip", "198.51.100.7"))
	if len(l.force()) != 1 {
		t.Error("unblocked for a day")
	}
}

func TestAClockThatGoesToAndFroKeepsNothingAlive(t *testing.T) {
	l := testLedger(t, &Guards{})
	l.add(ruled("r", dawn, "ip", "198.51.100.7"))
	passed := time.Duration(0)
	for i := 0; len(l.force()) > 0; i++ {
		passed += time.Minute
		jump := time.Hour
		if i%2 == 0 {
			jump = -time.Hour
		}
		l.tick(time.Minute + jump)
		if passed > time.Hour {
			t.Fatalf("in force after %v: %v", passed, l.force())
		}
	}
}

func TestAFrozenClockLetsNothingNewIn(t *testing.T) {
	l := testLedger(t, &Guards{})
	for i := range 20 {
		l.add(ruled("r", dawn.Add(time.Duration(i)*time.Minute), "ip", fmt.Sprintf("198.51.100.%d", i)))
	}
	if n := len(l.force()); n != 6 {
		t.Errorf("%d entries in force, want those of 5 minutes", n)
	}
	for _, e := range l.InForce().Entries {
		if ahead := e.Until.Sub(dawn); ahead > time.Hour+aheadOfClock {
			t.Errorf("ends %v ahead of the clock", ahead)
		}
	}
}

// With a monotonic reading a wall clock that stands still is noticed.
func TestTimeThatTheWallClockMissesIsTimeAllTheSame(t *testing.T) {
	var c drift
	base := time.Now()
	if c.back(base) != 0 {
		t.Error("at first nothing is lost")
	}
	// Round(0) strips the reading of the monotonic clock: the wall stays.
	c.last = base.Add(-time.Minute)
	c.lost = 0
	if got := c.back(base); got != 0 {
		t.Errorf("a minute on both clocks: lost %v", got)
	}
	c.lost = 4 * time.Second
	c.last = wall(base).Add(1500 * time.Millisecond) // without one, going back counts
	if got := c.back(wall(base)); got != 5*time.Second {
		t.Errorf("lost %v", got)
	}
	if c.lost != 500*time.Millisecond {
		t.Errorf("left %v", c.lost)
	}
}

func TestStoppedNothingIsInForce(t *testing.T) {
	l := testLedger(t, &Guards{})
	l.add(ruled("r", dawn, "ip", "198.51.100.7"))
	if err := l.Stop("ann", "help desk is on fire"); err != nil {
		t.Fatal(err)
	}
	if f := l.InForce(); len(f.Entries) != 0 || !f.Stopped || !f.Well {
		t.Errorf("force %+v", f)
	}
	l.add(ruled("r", dawn, "ip", "198.51.100.8"))
	if _, err := l.Block(targetOf("ip", "198.51.100.9"), event.Block, "", time.Hour, "bob", "x"); err == nil || !strings.Contains(err.Error(), "ann") {
		t.Errorf("a block while stopped: %v", err)
	}
	l.tick(time.Minute)
	if err := l.Resume("bob"); err != nil {
		t.Fatal(err)
	}
	l.wantForce("block 198.51.100.7 1h0m0s")
	l.wantLines("new enforce block", "stopped ann", "held enforce none stopped", "resumed bob")
	if err := l.Resume("bob"); err == nil {
		t.Error("resumed twice")
	}
	// What goes on is renewed, and comes into force again.
	l.add(renewal(ruled("r", dawn, "ip", "198.51.100.8"), l.clock.now))
	l.wantForce("block 198.51.100.7 1h0m0s", "block 198.51.100.8 1h1m0s")
}

func TestAFileStopsAllBlocking(t *testing.T) {
	dir := t.TempDir()
	l := reopened(t, filepath.Join(dir, LedgerName), &testClock{dawn}, &Guards{})
	l.add(ruled("r", dawn, "ip", "198.51.100.7"))
	stop := filepath.Join(dir, StopFile)
	if err := os.WriteFile(stop, []byte("the API is dead\nsecond line"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.tick(time.Second)
	l.wantForce()
	if s := l.Stopped(); s == nil || s.Reason != "the API is dead" {
		t.Errorf("stopped %+v", s)
	}
	if err := os.Remove(stop); err != nil {
		t.Fatal(err)
	}
	l.tick(time.Second)
	l.wantForce("block 198.51.100.7 1h0m0s")

	// Who stops by word has the file too, and a restart sees both.
	if err := l.Stop("ann", "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(stop); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = reopened(t, filepath.Join(dir, LedgerName), l.clock, &Guards{})
	l.wantForce()
	if !l.InForce().Stopped {
		t.Error("a restart forgot that it is stopped")
	}
	if err := l.Resume("ann"); err != nil {
		t.Fatal(err)
	}
	l.wantForce("block 198.51.100.7 1h0m0s")
	if _, err := os.Stat(stop); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file: %v", err)
	}
}

func TestAPersonBlocks(t *testing.T) {
	l := testLedger(t, &Guards{Protected: []Protected{{mustPrefix("203.0.113.10/32"), "a trusted proxy of source edge"}}})
	id, err := l.Block(targetOf("ip", "198.51.100.7"), event.Block, "", 2*time.Hour, "ann", "told by the bank")
	if err != nil {
		t.Fatal(err)
	}
	l.wantForce("block 198.51.100.7 2h0m0s")
	e := l.InForce().Entries[0]
	if e.By != "ann" || e.Reason != "told by the bank" || e.Decision.ID != id || e.Decision.Rule != "operator" || e.Decision.Severity != event.Critical {
		t.Errorf("entry %+v", e)
	}
	// The newest word counts, also a shorter one.
	l.tick(time.Minute)
	if _, err := l.Block(targetOf("ip", "198.51.100.7"), event.Block, "", time.Hour, "bob", "less"); err != nil {
		t.Fatal(err)
	}
	l.wantForce("block 198.51.100.7 1h1m0s")
	for _, c := range []struct {
		target event.Target
		action event.Action
		to     string
		d      time.Duration
		by     string
		want   string
	}{
		{targetOf("ip", "203.0.113.10"), event.Block, "", time.Hour, "ann", "203.0.113.10 is a trusted proxy of source edge"},
		{targetOf("ip", "198.51.0.0/16"), event.Block, "", time.Hour, "ann", "198.51.0.0/16 is wider than /24"},
		{targetOf("ip", "10.1.2.3"), event.Block, "", time.Hour, "ann", "10.1.2.3 is a private address"},
		{targetOf("credential", "abc"), event.Block, "", time.Hour, "ann", "a bare account"},
		{nil, event.Block, "", time.Hour, "ann", "the target is everybody"},
		{targetOf("ip", "198.51.100.9"), event.Alert, "", time.Hour, "ann", "action"},
		{targetOf("ip", "198.51.100.9"), event.Limit, "", time.Hour, "ann", "10/1m"},
		{targetOf("ip", "198.51.100.9"), event.Block, "10/1m", time.Hour, "ann", "to"},
		{targetOf("ip", "198.51.100.9"), event.Block, "", 0, "ann", "for 0s"},
		{targetOf("ip", "198.51.100.9"), event.Block, "", maxBlock + time.Second, "ann", "for"},
		{targetOf("ip", "198.51.100.9"), event.Block, "", time.Hour, "", "by: 0 bytes"},
		{targetOf("agent", strings.Repeat("x", maxTarget)), event.Block, "", time.Hour, "ann", "must be at most 16 of 16384"},
		{make(event.Target, maxDimensions+1), event.Block, "", time.Hour, "ann", "must be at most 16 of 16384"},
		{targetOf("ip", "198.51.100.9"), event.Block, "", time.Hour, strings.Repeat("x", maxWords+1), "by: 1025 bytes"},
	} {
		if _, err := l.Block(c.target, c.action, c.to, c.d, c.by, "why"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v %v: %v, want %q", c.target, c.action, err, c.want)
		}
	}
	l.wantForce("block 198.51.100.7 1h1m0s")
}

func TestAPersonUnblocks(t *testing.T) {
	l := testLedger(t, &Guards{})
	l.add(
		ruled("a", dawn, "ip", "198.51.100.7"),
		ruled("b", dawn, "net", "198.51.100.0/24"),
		ruled("c", dawn, "ip", "198.51.100.7", "endpoint", "POST /login"),
		ruled("d", dawn, "ip", "198.51.100.8"),
		ruled("e", dawn, "endpoint", "POST /login", "fingerprint", "f"),
	)
	n, err := l.Unblock(targetOf("ip", "198.51.100.7"), time.Hour, "ann", "a customer called")
	if err != nil || n != 3 {
		t.Errorf("withdrawn %d, %v", n, err)
	}
	l.wantForce("block 198.51.100.8 1h0m0s", "block POST /login,f 1h0m0s")
	l.tick(time.Minute)
	l.add(ruled("a", l.clock.now, "ip", "198.51.100.7"), ruled("x", l.clock.now, "net", "198.51.100.0/24"), ruled("x", l.clock.now, "ip", "198.51.100.9"))
	l.wantForce("block 198.51.100.8 1h0m0s", "block POST /login,f 1h0m0s", "block 198.51.100.9 1h1m0s")
	if l.Counts().Held[GuardUnblocked] != 2 {
		t.Errorf("held %v", l.Counts().Held)
	}
	l.tick(time.Hour)
	l.add(ruled("a", l.clock.now, "ip", "198.51.100.7"))
	l.wantForce("block 198.51.100.7 2h1m0s")
	for _, c := range []struct {
		target event.Target
		d      time.Duration
		by     string
	}{{nil, time.Hour, "ann"}, {targetOf("ip", "x"), time.Hour, "ann"}, {targetOf("ip", "198.51.100.7"), 0, "ann"}, {targetOf("ip", "198.51.100.7"), time.Hour, ""}} {
		if _, err := l.Unblock(c.target, c.d, c.by, "why"); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
	l.limits.unblocks = 2
	for i := range 3 {
		_, err := l.Unblock(targetOf("ip", fmt.Sprintf("198.51.100.%d", i)), time.Hour, "ann", "x")
		if (err != nil) != (i == 2) {
			t.Errorf("unblock %d: %v", i, err)
		}
	}
}

func TestAHeldDecisionIsApproved(t *testing.T) {
	l := testLedger(t, &Guards{})
	l.limits.inForce = 1
	d := ruled("r", dawn, "ip", "198.51.100.8")
	l.add(ruled("r", dawn, "ip", "198.51.100.7"), d)
	if l.Counts().Held[GuardFull] != 1 {
		t.Errorf("held %v", l.Counts().Held)
	}
	if err := l.Approve(d.ID, "ann"); err == nil || !strings.Contains(err.Error(), "must be fewer") {
		t.Errorf("approved over the limit: %v", err)
	}
	l.limits.inForce = 2
	if err := l.Approve(d.ID, "ann"); err != nil {
		t.Fatal(err)
	}
	l.wantForce("block 198.51.100.7 1h0m0s", "block 198.51.100.8 1h0m0s")
	l.wantLines("new enforce block", "held enforce none full", "approved ann", "new enforce block ann")
	for _, what := range []string{d.ID, "r", "", "no such"} {
		if err := l.Approve(what, "ann"); err == nil || !strings.Contains(err.Error(), "neither") {
			t.Errorf("%q: %v", what, err)
		}
	}
	// The memory of what was held has a limit.
	l.limits.held, l.limits.inForce = 3, 3
	for i := range 10 {
		d := ruled("r", dawn, "ip", fmt.Sprintf("10.0.0.%d", i))
		l.add(d)
		if err := l.Approve(d.ID, "ann"); err == nil || !strings.Contains(err.Error(), "private") {
			t.Errorf("%v", err)
		}
	}
	if len(l.held.by) != 3 || len(l.held.order) != 3 {
		t.Errorf("%d, %d are kept", len(l.held.by), len(l.held.order))
	}
}

func TestAClosedLedgerTakesNothing(t *testing.T) {
	l := testLedger(t, &Guards{})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, berr := l.Block(targetOf("ip", "198.51.100.7"), event.Block, "", time.Hour, "a", "b")
	_, uerr := l.Unblock(targetOf("ip", "198.51.100.7"), time.Hour, "a", "b")
	for i, err := range []error{l.Add(nil), l.Advance(), l.Review(dawn, accounts(1)), l.Stop("a", "b"), l.Resume("a"), l.Approve("r", "a"), berr, uerr} {
		if !errors.Is(err, errClosed) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

func TestRandomStepsKeepTheLedgerWhole(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	l := testLedger(t, &Guards{})
	var known []event.Decision
	for range 3000 {
		switch r.IntN(8) {
		case 0, 1, 2:
			d := ruled(fmt.Sprintf("r%d", r.IntN(4)), l.clock.now, "ip", fmt.Sprintf("198.51.100.%d", r.IntN(40)))
			d.Good, d.Tried = float64(r.IntN(3)), 100
			d.Regulars = d.Good
			known = append(known, d)
			l.add(d)
		case 3:
			if len(known) > 0 {
				l.add(renewal(known[r.IntN(len(known))], l.clock.now))
			}
		case 4:
			l.tick(time.Duration(r.IntN(600)) * time.Second)
		case 5:
			good := float64(r.IntN(4))
			if r.IntN(4) == 0 {
				good = float64(r.IntN(1000)) // more than a rule may hit, or a challenge
			}
			if err := l.Review(l.clock.now, standing(func(t event.Target) (float64, float64, bool) {
				if len(t) == 0 {
					return 10000, 20000, true
				}
				return good, 20 * good, r.IntN(2) == 0
			})); err != nil {
				t.Fatal(err)
			}
		case 6:
			if _, err := l.Unblock(targetOf("ip", fmt.Sprintf("198.51.100.%d", r.IntN(40))), time.Minute, "a", "b"); err != nil {
				t.Fatal(err)
			}
		case 7:
			for _, x := range l.Tripped() {
				if err := l.Approve(x.Rule, "a"); err != nil {
					t.Fatal(err)
				}
			}
		}
		l.whole(t)
	}
	if n := l.Counts().Decisions; n[DecisionCount{"r0", "end", "enforce"}] == 0 || n[DecisionCount{"r0", "withdrawn", "enforce"}] == 0 || n[DecisionCount{"r0", "renew", "enforce"}] == 0 {
		t.Errorf("something never happened: %v", n)
	}
	words := map[string]int{}
	for _, line := range l.Recent(maxRecent) {
		if strings.Contains(line.Reason, "behind this address alone") {
			words[line.Event]++
		}
	}
	if words[LineMilder] == 0 || words[LineWithdrawn] == 0 {
		t.Errorf("of a crowd there were %v", words)
	}
}

// whole checks that what the ledger keeps twice agrees.
func (l *tester) whole(t *testing.T) {
	t.Helper()
	alive := 0
	sums := map[string]float64{}
	for _, e := range l.order {
		if e.over {
			continue
		}
		alive++
		sums[e.d.Rule] += e.weight() * e.good
		if l.entries[e.key] != e || l.ends[e.index] != e || !e.d.Until.After(l.at) {
			t.Fatalf("entry %+v", e)
		}
	}
	if alive != len(l.entries) || alive != len(l.ends) || alive != len(l.InForce().Entries) || len(l.queue.all) != len(l.queue.by) {
		t.Fatalf("%d entries, %d by key, %d ends, %d shown; %d wait, %d by key", alive, len(l.entries), len(l.ends), len(l.InForce().Entries), len(l.queue.all), len(l.queue.by))
	}
	for rule, s := range l.breaker.rules {
		if diff := s.sum - sums[rule]; diff > 1e-6 || diff < -1e-6 {
			t.Fatalf("%s: sum %v, want %v", rule, s.sum, sums[rule])
		}
	}
}

func TestNothingFromTheFutureRenewsWhatIsInForce(t *testing.T) {
	later := dawn.AddDate(10, 0, 0)
	first := ruled("r", dawn, "ip", "198.51.100.7")
	for name, d := range map[string]event.Decision{
		"renewal": renewal(first, later), "new again": ruled("r", later, "ip", "198.51.100.7"),
		"renewal just too early": renewal(first, dawn.Add(aheadOfClock+time.Second)),
	} {
		l := testLedger(t, &Guards{})
		l.add(first, d)
		l.wantForce("block 198.51.100.7 1h0m0s")
		if held := l.Counts().Held[GuardClock]; held != 1 {
			t.Errorf("%s: %d held by the clock", name, held)
		}
		l.tick(time.Hour)
		l.wantForce()

		l = testLedger(t, &Guards{}) // of what waits
		waits := behind(first, 1, 100)
		again := behind(d, 1, 100)
		l.add(waits, again)
		l.sited(10_000)
		l.wantForce("block 198.51.100.7 1h0m0s")
		l.tick(time.Hour)
		l.wantForce()
	}
	l := testLedger(t, &Guards{})
	l.add(first, renewal(first, dawn.Add(aheadOfClock)))
	l.wantForce("block 198.51.100.7 1h5m0s")
}

func TestNoEndIsLaterThanPeopleMayGive(t *testing.T) {
	path := ledgerPath(t)
	l := reopened(t, path, &testClock{dawn}, &Guards{})
	long := ruled("r", dawn, "ip", "198.51.100.7")
	long.Until = dawn.AddDate(100, 0, 0)
	l.add(long)
	l.wantForce("block 198.51.100.7 " + (maxBlock + aheadOfClock).String())
	// Also what a file says, of which the clock was wrong.
	d := ruled("r", dawn, "ip", "198.51.100.8")
	l.add(d)
	insane := renewal(d, dawn.AddDate(10, 0, 0))
	l.write(Line{Event: LineRenew, Decision: insane, Mode: event.Enforce.String(), Action: event.Block.String()})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = reopened(t, path, l.clock, &Guards{})
	l.wantForce("block 198.51.100.7 "+(maxBlock+aheadOfClock).String(), "block 198.51.100.8 1h5m0s")
}

func TestALimitByHandIsWrittenAsRulesWriteIt(t *testing.T) {
	for to, good := range map[string]bool{
		"10/1m": true, "1/1s": true, "100/24h": true, "5/7d": true, "2147483647/604800s": true,
		"10/1.5m": false, "10/1m30s": false, "10/+1m": false, "+10/1m": false, "10/90000ms": false, "10/1ms": false, "10/2000000us": false,
		"10/1000000µs": false, "0/1m": false, "10/0m": false, "ten": false, "10/": false, "10": false, "10/m": false, "/1m": false,
		"10/8d": false, "10/604801s": false, "10/9999999d": false, "2147483648/1m": false, "10/1w": false, "10/1m ": false,
	} {
		l := testLedger(t, &Guards{})
		_, err := l.Block(targetOf("ip", "198.51.100.7"), event.Limit, to, time.Hour, "ann", "x")
		if (err == nil) != good || err != nil && !strings.Contains(err.Error(), "is not a rate such as 10/1m") {
			t.Errorf("to %q: %v", to, err)
		}
	}
}
