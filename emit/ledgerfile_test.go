package emit

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/event"
)

// story drives a ledger through everything that it can write.
func story(l *tester) {
	l.Helper()
	fatal := func(err error) {
		l.Helper()
		if err != nil {
			l.Fatal(err)
		}
	}
	fatal(l.Review(dawn, accounts(100)))
	hurts := ruled("hurts", dawn, "fingerprint", "f1")
	hurts = behind(hurts, 3, 100)
	held := ruled("r", dawn, "ip", "10.0.0.1")
	l.add(ruled("r", dawn, "ip", "198.51.100.7"), ruled("r", dawn, "agent", "x\xff\u202e\"", "endpoint", "POST /login"), hurts, held)
	l.tick(time.Minute)
	l.add(renewal(ruled("r", dawn, "ip", "198.51.100.7"), l.clock.now))
	trips := ruled("hurts", l.clock.now, "fingerprint", "f2")
	trips = behind(trips, 3, 100)
	l.add(trips)
	_, err := l.Block(targetOf("ip", "198.51.100.20"), event.Challenge, "", time.Hour, "ann", "told so")
	fatal(err)
	_, err = l.Unblock(targetOf("fingerprint", "f"), time.Hour, "ann", "a mistake")
	fatal(err)
	for i := range maxPace + 2 {
		d := ruled(fmt.Sprintf("q%d", i/4), l.clock.now, "ip", fmt.Sprintf("198.18.0.%d", i))
		d = behind(d, 1, 100)
		l.add(d)
	}
	soft := ruled("soft", l.clock.now, "ip", "198.51.100.40")
	l.add(soft)
	fatal(l.Review(dawn, standing(func(t event.Target) (float64, float64, bool) {
		switch {
		case len(t) == 0:
			return 5000, 9000, true
		case t[0].Text == "198.51.100.40":
			return 50, 60, true
		}
		return 0, 0, false
	})))
	fatal(l.Stop("bob", "why not"))
	l.add(ruled("r", l.clock.now, "ip", "198.51.100.60"))
	fatal(l.Resume("bob"))
	fatal(l.Approve("hurts", "ann"))
	l.tick(-10 * time.Second)
}

// state is what a ledger knows, as text.
func (t *tester) state() string {
	var b strings.Builder
	for _, e := range t.InForce().Entries {
		fmt.Fprintf(&b, "%s %s %v %v %v good %v by %q %q\n", e.Decision.AppendJSON(nil), e.Action, e.Since.Truncate(time.Second), e.Until, e.Decision.ID, e.Good, e.By, e.Reason)
	}
	for _, w := range t.queue.all {
		fmt.Fprintf(&b, "waits %s\n", w.d.AppendJSON(nil))
	}
	for _, x := range t.Tripped() {
		fmt.Fprintf(&b, "tripped %+v\n", x)
	}
	for _, u := range t.spared {
		fmt.Fprintf(&b, "unblocked %v until %v by %s\n", u.target, u.until, u.by)
	}
	for _, rule := range sortedKeys(t.breaker.rules) {
		fmt.Fprintf(&b, "%s: %.3f behind %d\n", rule, t.breaker.rules[rule].sum, t.breaker.rules[rule].entries)
	}
	fmt.Fprintf(&b, "stopped %v, %d let in, %d held\n", t.Stopped() != nil, len(t.breaker.pace.times), len(t.held.by))
	return b.String()
}

// differ shows the lines in which two texts differ.
func differ(want, got string) string {
	var b strings.Builder
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		if i >= len(w) || i >= len(g) || w[i] != g[i] {
			if i < len(w) {
				fmt.Fprintf(&b, "want %s\n", w[i])
			}
			if i < len(g) {
				fmt.Fprintf(&b, " got %s\n", g[i])
			}
		}
	}
	return b.String()
}

func ledgerPath(t *testing.T) string { return filepath.Join(t.TempDir(), LedgerName) }

func TestARestartKnowsHowThingsStood(t *testing.T) {
	path := ledgerPath(t)
	l := reopened(t, path, &testClock{dawn}, &Guards{})
	story(l)
	want := l.state()
	for _, word := range []string{LineNew, LineRenew, LineHeld, LineQueued, LineMilder, LineWithdrawn, LineTripped, LineApproved, LineUnblocked, LineStopped, LineResumed, LineClock} {
		if !slices.ContainsFunc(l.Recent(maxRecent), func(x Line) bool { return x.Event == word }) {
			t.Errorf("the story has no line %q", word)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	l = reopened(t, path, l.clock, &Guards{})
	if got := l.state(); got != want {
		t.Error(differ(want, got))
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("opening it wrote: %v\n%s", err, bytes.TrimPrefix(after, before))
	}
	l.whole(t)
	// What the engine decides once more adds nothing.
	n := l.Counts().Lines
	l.add(ruled("r", dawn, "ip", "198.51.100.7"), ruled("r", dawn, "ip", "10.0.0.1"),
		renewal(ruled("r", dawn, "ip", "198.51.100.7"), dawn.Add(time.Minute)), ruled("q0", dawn.Add(time.Minute), "ip", "198.18.0.0"),
		ruled("q50", dawn.Add(time.Minute), "ip", "198.18.0.201"), ruled("r", dawn.Add(time.Minute), "ip", "198.51.100.60"))
	if c := l.Counts(); c.Lines != n || c.Passed != 6 {
		t.Errorf("%d lines, %d passed over", c.Lines-n, c.Passed)
	}
}

func TestWhatEndedWhileNothingRanEndsAtTheStart(t *testing.T) {
	path := ledgerPath(t)
	l := reopened(t, path, &testClock{dawn}, &Guards{})
	l.add(ruled("r", dawn, "ip", "198.51.100.7"), ruled("r", dawn, "ip", "203.0.113.9"), ruled("r", dawn, "ip", "203.0.113.10"))
	long, err := l.Block(targetOf("ip", "198.51.100.9"), event.Block, "", 5*time.Hour, "ann", "x")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	// The guards look again too: one is a trusted proxy now.
	l.clock.advance(30 * time.Minute)
	g := &Guards{Protected: []Protected{{mustPrefix("203.0.113.10/32"), "a trusted proxy of source edge"}}}
	l = reopened(t, path, l.clock, g)
	l.wantForce("block 198.51.100.7 1h0m0s", "block 203.0.113.9 1h0m0s", "block 198.51.100.9 5h0m0s")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l.clock.advance(time.Hour)
	l = reopened(t, path, l.clock, g)
	l.wantForce("block 198.51.100.9 5h0m0s")
	if got := l.InForce().Entries[0].Decision.ID; got != long {
		t.Errorf("id %s, want %s", got, long)
	}
	last := l.Recent(3)
	for i, want := range []string{"withdrawn 203.0.113.10", "end 198.51.100.7", "end 203.0.113.9"} {
		if got := last[i].Event + " " + last[i].Decision.Target[0].Text; got != want {
			t.Errorf("line %d from the end: %s, want %s", 3-i, got, want)
		}
	}
	if !strings.Contains(last[0].Reason, "trusted proxy") {
		t.Errorf("reason %q", last[0].Reason)
	}
	// A clock that went back while nothing ran keeps nothing alive for longer.
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	at := l.clock.now
	l.clock.advance(-24 * time.Hour)
	l = reopened(t, path, l.clock, g)
	if e := l.InForce().Entries; len(e) != 1 || e[0].Until.Sub(l.clock.now) != dawn.Add(5*time.Hour).Sub(at) {
		t.Errorf("in force %v", l.force())
	}
}

// killed is a ledger's file as a crash may leave it, cut at every byte.
func TestACrashLeavesAWholeLedger(t *testing.T) {
	path := ledgerPath(t)
	l := reopened(t, path, &testClock{dawn}, &Guards{})
	l.add(ruled("r", dawn, "ip", "198.51.100.7"))
	l.tick(time.Minute)
	l.add(ruled("r", l.clock.now, "ip", "198.51.100.8"), ruled("r", l.clock.now, "agent", "\xff\n"))
	if _, err := l.Unblock(targetOf("ip", "198.51.100.7"), time.Hour, "ann", "x"); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ends := []int{0}
	for i, c := range whole {
		if c == '\n' {
			ends = append(ends, i+1)
		}
	}
	forces := map[int]int{} // entries in force after so many lines
	for n := 0; n <= len(whole); n++ {
		path := ledgerPath(t)
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		lines := 0
		for ends[min(lines+1, len(ends)-1)] <= n && lines+1 < len(ends) {
			lines++
		}
		l := reopened(t, path, nil, &Guards{})
		if l.Counts().Cut != int64(n-ends[lines]) {
			t.Fatalf("cut at byte %d: %d bytes cut off, want %d", n, l.Counts().Cut, n-ends[lines])
		}
		if want, ok := forces[lines]; ok && want != len(l.force()) {
			t.Fatalf("cut at byte %d: %v", n, l.force())
		}
		forces[lines] = len(l.force())
		if n%23 > 0 && n-ends[lines] > 1 && !slices.Contains(ends, n+1) {
			continue
		}
		// It goes on, and everything holds.
		l.add(ruled("later", dawn.Add(time.Minute), "ip", "203.0.113.1"))
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		got, err := VerifyLedger(filepath.Dir(path), event.FixedKey())
		if err != nil || got != max(1, lines)+1 {
			t.Fatalf("cut at byte %d: %d lines hold, want %d: %v", n, got, max(1, lines)+1, err)
		}
	}
	if want := map[int]int{0: 0, 1: 0, 2: 1, 3: 2, 4: 3, 5: 3, 6: 2}; !reflect.DeepEqual(forces, want) {
		t.Errorf("in force after so many lines: %v, want %v", forces, want)
	}
	// A write that was not synced may be there as zeros.
	for _, n := range []int{1, 5000, 3 << 20} {
		path := ledgerPath(t)
		if err := os.WriteFile(path, append(bytes.Clone(whole), make([]byte, n)...), 0o600); err != nil {
			t.Fatal(err)
		}
		l := reopened(t, path, &testClock{dawn.Add(2 * time.Minute)}, &Guards{})
		if l.Counts().Cut != int64(n) || len(l.force()) != 2 {
			t.Errorf("%d zeros: %d cut off, %v", n, l.Counts().Cut, l.force())
		}
		l.add(ruled("later", dawn.Add(time.Minute), "ip", "203.0.113.1"))
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if l = reopened(t, path, l.clock, &Guards{}); l.Counts().Cut != 0 {
			t.Errorf("%d zeros: %d bytes of them were still there", n, l.Counts().Cut)
		}
	}
}

// many writes a ledger of several files and returns its directory.
func many(t *testing.T) (dir string, clock *testClock) {
	t.Helper()
	path := ledgerPath(t)
	l := reopened(t, path, &testClock{dawn}, &Guards{})
	l.limits.fileBytes, l.limits.files = 4000, 3
	for i := range 40 {
		l.add(ruled("r", l.clock.now, "ip", fmt.Sprintf("198.51.100.%d", i)))
		l.tick(5 * time.Minute)
	}
	want := l.state()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = reopened(t, path, l.clock, &Guards{})
	if got := l.state(); got != want {
		t.Error(differ(want, got))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(path), l.clock
}

func TestFilesArePutAside(t *testing.T) {
	dir, clock := many(t)
	aside, err := asideFiles(dir)
	if err != nil || len(aside) != 3 || aside[2]-aside[0] != 2 || aside[0] == 1 {
		t.Fatalf("files %v, %v", aside, err)
	}
	for _, n := range aside {
		if info, err := os.Stat(asidePath(dir, n)); err != nil || info.Size() < 4000 || info.Size() > 14000 {
			t.Errorf("file %d: %v %v", n, info, err)
		}
	}
	lines, err := VerifyLedger(dir, event.FixedKey())
	if err != nil || lines < 30 {
		t.Errorf("%d lines hold, %v", lines, err)
	}
	// The newest file alone says what is in force.
	l := reopened(t, filepath.Join(dir, LedgerName), clock, &Guards{})
	want := l.force()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	alone := ledgerPath(t)
	b, err := os.ReadFile(filepath.Join(dir, LedgerName))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(alone, b, 0o600); err != nil {
		t.Fatal(err)
	}
	l = reopened(t, alone, clock, &Guards{})
	if len(want) != 11 {
		t.Errorf("%d in force", len(want))
	}
	l.wantForce(want...)
}

func TestAFileThatBeginsWithMuchIsLetGrow(t *testing.T) {
	path := ledgerPath(t)
	l := reopened(t, path, &testClock{dawn}, &Guards{})
	l.limits.fileBytes = 1000
	var ds []event.Decision
	for i := range 100 {
		ds = append(ds, ruled("r", dawn, "ip", fmt.Sprintf("198.51.100.%d", i)))
	}
	l.add(ds...)
	for i := range 50 {
		l.add(ruled("r", dawn, "ip", fmt.Sprintf("203.0.113.%d", i)))
		if i == 25 {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = reopened(t, path, l.clock, &Guards{})
			l.limits.fileBytes = 1000
		}
	}
	if n := l.Counts().File; n != 2 {
		t.Errorf("file %d is written", n)
	}
}

func TestACrashWhileAFileIsPutAsideLosesNothing(t *testing.T) {
	dir, clock := many(t)
	path := filepath.Join(dir, LedgerName)
	l := reopened(t, path, clock, &Guards{})
	want, n := l.state(), l.file.number
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	// Renamed, and the next one, half written, is not there yet.
	if err := os.Rename(path, asidePath(dir, n)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".next", []byte(`{"v":1,"event":"ope`), 0o600); err != nil {
		t.Fatal(err)
	}
	l = reopened(t, path, clock, &Guards{})
	if got := l.state(); got != want || l.file.number != n+1 {
		t.Errorf("file %d\n%s", l.file.number, differ(want, got))
	}
	if _, err := VerifyLedger(dir, event.FixedKey()); err != nil {
		t.Error(err)
	}
}

func TestABrokenLineIsNamed(t *testing.T) {
	dir, clock := many(t)
	aside, err := asideFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	old, current := asidePath(dir, aside[1]), filepath.Join(dir, LedgerName)
	for _, c := range []struct {
		name   string
		file   string
		change func(lines [][]byte) [][]byte
		line   int
		in     string // the file that the line is in; empty: the same
	}{
		{"a byte is flipped", old, func(l [][]byte) [][]byte { l[3][40] ^= 1; return l }, 4, ""},
		{"the chain is changed", old, func(l [][]byte) [][]byte { l[3][len(l[3])-4] ^= 1; return l }, 4, ""},
		{"the first is taken away", old, func(l [][]byte) [][]byte { return l[1:] }, 1, ""},
		{"one is taken away", old, func(l [][]byte) [][]byte { return slices.Delete(l, 2, 3) }, 3, ""},
		{"two are swapped", old, func(l [][]byte) [][]byte { l[2], l[3] = l[3], l[2]; return l }, 3, ""},
		{"one is there twice", old, func(l [][]byte) [][]byte { return slices.Insert(l, 2, l[2]) }, 4, ""},
		{"the last is taken away", old, func(l [][]byte) [][]byte { return l[:len(l)-1] }, 1, asidePath(dir, aside[2])},
		{"the last is torn", old, func(l [][]byte) [][]byte { n := len(l) - 1; l[n] = l[n][:len(l[n])-9]; return l }, -1, ""},
		{"one is empty", current, func(l [][]byte) [][]byte { return slices.Insert(l, 1, []byte("\n")) }, 2, ""},
		{"one is in clear text", current, func(l [][]byte) [][]byte { return slices.Insert(l, 1, []byte("{\"v\":1,\"event\":\"new\"}\n")) }, 2, ""},
		{"the last byte of one", current, func(l [][]byte) [][]byte { l[1][len(l[1])-2] ^= 1; return l }, 2, ""},
		{"zeros in between", current, func(l [][]byte) [][]byte { return slices.Insert(l, 1, append(make([]byte, 100), '\n')) }, 2, ""},
	} {
		good, err := os.ReadFile(c.file)
		if err != nil {
			t.Fatal(err)
		}
		lines := bytes.SplitAfter(bytes.Clone(good), []byte("\n"))
		lines = c.change(lines[:len(lines)-1])
		if c.line < 0 {
			c.line = len(lines)
		}
		if err := os.WriteFile(c.file, bytes.Join(lines, nil), 0o600); err != nil {
			t.Fatal(err)
		}
		if c.in == "" {
			c.in = c.file
		}
		_, verr := VerifyLedger(dir, event.FixedKey())
		_, rerr := ReadLedger(dir, event.FixedKey())
		_, oerr := OpenLedger(LedgerConfig{Path: current, Key: event.FixedKey(), Now: clock.read})
		for i, err := range []error{verr, rerr, oerr} {
			var broken *Broken
			if !errors.As(err, &broken) || broken.File != c.in || broken.Line != c.line {
				t.Errorf("%s: %d: %v, want line %d of %s", c.name, i, err, c.line, c.in)
			}
		}
		if err := os.WriteFile(c.file, good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := VerifyLedger(dir, event.FixedKey()); err != nil {
		t.Errorf("put back, it is still broken: %v", err)
	}
	// A file in between is missing; or it was written with another key.
	if err := os.Rename(old, old+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyLedger(dir, event.FixedKey()); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("a file is missing: %v", err)
	}
	if err := os.Rename(old+".away", old); err != nil {
		t.Fatal(err)
	}
	other, err := event.NewKey([]byte("another key altogether"))
	if err != nil {
		t.Fatal(err)
	}
	var broken *Broken
	if _, err := VerifyLedger(dir, other); !errors.As(err, &broken) || broken.Line != 1 {
		t.Errorf("another key: %v", err)
	}
}

// noDisk has a ledger lose its file, and not get it back until it is mended;
// then a torn line stands in it that was never safe.
func noDisk(l *tester) (mend func()) {
	l.Helper()
	path := l.cfg.Path
	check := func(err error) {
		l.Helper()
		if err != nil {
			l.Fatal(err)
		}
	}
	check(l.file.file.Close())
	check(os.Rename(path, path+".away"))
	check(os.Mkdir(path, 0o700))
	return func() {
		l.Helper()
		check(os.Remove(path))
		f, err := os.OpenFile(path+".away", os.O_APPEND|os.O_WRONLY, 0)
		check(err)
		_, err = f.WriteString(`{"v":1,"event":"new","id":"` + strings.Repeat("x", 100_000))
		check(err)
		check(f.Close())
		check(os.Rename(path+".away", path))
	}
}

func TestALedgerThatCannotBeWrittenLetsNothingIn(t *testing.T) {
	path := ledgerPath(t)
	l := reopened(t, path, &testClock{dawn}, &Guards{})
	l.add(ruled("r", dawn, "ip", "198.51.100.7"))
	mend := noDisk(l)
	d := ruled("r", dawn, "ip", "198.51.100.8")
	l.add(d)
	l.wantForce("block 198.51.100.7 1h0m0s")
	if f := l.InForce(); f.Well {
		t.Error("it says that it is well")
	}
	if err := l.Stop("ann", "also now"); err == nil || !l.InForce().Stopped || len(l.InForce().Entries) != 0 {
		t.Errorf("stopped %v, %v", l.InForce().Stopped, err)
	}
	if err := l.Resume("ann"); err == nil || l.InForce().Stopped {
		t.Errorf("resumed: %v", err)
	}
	if err := l.Advance(); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("advance says %v", err)
	}
	if _, err := l.Block(targetOf("ip", "198.51.100.9"), event.Block, "", time.Hour, "ann", "x"); err == nil {
		t.Error("a person may block all the same")
	}
	l.add(ruled("s", dawn, "ip", "198.51.100.10"), renewal(ruled("r", dawn, "ip", "198.51.100.7"), dawn.Add(time.Second)))
	l.wantForce("block 198.51.100.7 1h0m0s") // not even for longer
	l.clock.advance(time.Hour)
	if err := l.Advance(); err == nil {
		t.Error("it is written")
	}
	l.wantForce() // what was in force ran out
	if l.InForce().Well {
		t.Error("it says that it is well")
	}
	mend()
	l.tick(time.Second)
	if f := l.InForce(); !f.Well || len(f.Entries) != 0 {
		t.Errorf("force %+v", f)
	}
	l.add(ruled("r", l.clock.now, "ip", "198.51.100.11"))
	l.wantForce("block 198.51.100.11 2h0m1s")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	n, err := VerifyLedger(filepath.Dir(path), event.FixedKey())
	if want := len(l.written()) + 1; err != nil || n != want {
		t.Errorf("%d lines hold, want %d: %v", n, want, err)
	}
	l.wantLines("new enforce block", "new enforce block", "withdrawn enforce block", "stopped ann", "resumed ann",
		"new enforce block ann", "withdrawn enforce block", "held enforce none unwritten", "held enforce none unwritten", "end enforce block", "new enforce block")
	want := l.written()
	l = reopened(t, path, l.clock, &Guards{})
	if cut := l.Counts().Cut; cut != 0 {
		t.Errorf("%d bytes that were never safe are still there", cut)
	}
	l.wantForce("block 198.51.100.11 2h0m1s")
	l.wantLines(want...)
}

func TestLinesThatCannotBeWrittenAreKeptUpToALimit(t *testing.T) {
	path := ledgerPath(t)
	l := reopened(t, path, &testClock{dawn}, &Guards{})
	mend := noDisk(l)
	l.limits.pending = 5000
	for i := range 100 {
		l.add(ruled("r", dawn, "ip", fmt.Sprintf("198.51.100.%d", i)))
	}
	if l.file.bytes > 5000 || l.Counts().Lost == 0 {
		t.Errorf("%d bytes are kept, %d lines lost", l.file.bytes, l.Counts().Lost)
	}
	l.wantForce()
	mend()
	l.tick(time.Second)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyLedger(filepath.Dir(path), event.FixedKey()); err != nil {
		t.Error(err)
	}
}

func TestAFileThatCannotBePutAsideIsTriedAgain(t *testing.T) {
	path := ledgerPath(t)
	l := reopened(t, path, &testClock{dawn}, &Guards{})
	l.limits.fileBytes = 1000
	l.add(ruled("r", dawn, "ip", "198.51.100.1"))
	if err := os.Mkdir(path+".next", 0o700); err != nil { // in the way
		t.Fatal(err)
	}
	l.add(ruled("r", dawn, "ip", "198.51.100.2"))
	if err := l.Advance(); err == nil || l.InForce().Well {
		t.Errorf("advance says %v", err)
	}
	if err := os.Remove(path + ".next"); err != nil {
		t.Fatal(err)
	}
	l.tick(time.Second)
	if c := l.Counts(); !c.Well || c.File != 2 {
		t.Errorf("%+v", c)
	}
	l.add(ruled("r", l.clock.now, "ip", "198.51.100.3"))
	l.wantForce("block 198.51.100.1 1h0m0s", "block 198.51.100.3 1h0m1s")
	if _, err := VerifyLedger(filepath.Dir(path), event.FixedKey()); err != nil {
		t.Error(err)
	}
}

func TestTheLedgersOfTwoReplaysAreEqual(t *testing.T) {
	play := func() []byte {
		path := ledgerPath(t)
		l := reopened(t, path, nil, &Guards{})
		at := dawn
		for i := range 600 {
			at = at.Add(time.Duration(i%7) * time.Second)
			d := ruled(fmt.Sprintf("r%d", i%5), at, "ip", fmt.Sprintf("198.51.100.%d", i%50))
			if d.Tried = 100; i%13 == 3 {
				d.Good, d.Regulars = 1, 1
			}
			d.Until = at.Add(time.Duration(i%11) * time.Minute)
			if err := l.Add([]event.Decision{d}); err != nil {
				t.Fatal(err)
			}
			if i%10 == 9 {
				if err := l.Review(at, accounts(3000)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	a, b := play(), play()
	if !bytes.Equal(a, b) {
		t.Error("they differ")
	}
	for _, want := range []string{`"event":"end"`, `"event":"queued"`, `"event":"new"`} {
		if !bytes.Contains(a, []byte(want)) {
			t.Errorf("no %s", want)
		}
	}
	// An end is written with its own time, and before what comes after it.
	last := ""
	for line := range bytes.Lines(a) {
		l, err := readLine(append(line[:len(line)-len(chainMember)-chainDigits-3:len(line)], '}'))
		if err != nil {
			t.Fatal(err)
		}
		if at := l.At.Format(time.RFC3339); l.Event == LineEnd && !l.At.Equal(l.Decision.Until) {
			t.Errorf("end at %v of what lasts until %v", l.At, l.Decision.Until)
		} else if at < last && l.Event != LineOpened {
			t.Errorf("%s at %s behind %s", l.Event, at, last)
		} else {
			last = at
		}
	}
}

func TestALedgerIsReadWhileItIsWritten(t *testing.T) {
	path := ledgerPath(t)
	clock := &testClock{time.Now().Truncate(time.Second).UTC().Add(-2 * time.Hour)}
	l := reopened(t, path, clock, &Guards{})
	l.add(ruled("r", clock.now, "ip", "198.51.100.7"))
	if _, err := l.Block(targetOf("ip", "198.51.100.8"), event.Block, "", 5*time.Hour, "ann", "x"); err != nil {
		t.Fatal(err)
	}
	read, err := ReadLedger(filepath.Dir(path), event.FixedKey())
	if err != nil {
		t.Fatal(err)
	}
	if n := len(read.InForce().Entries); n != 1 {
		t.Errorf("%d in force", n)
	}
	// Half a line more is no fault, and reading writes nothing.
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"v":1,"eve`); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(path)
	read, err = ReadLedger(filepath.Dir(path), event.FixedKey())
	if err != nil {
		t.Fatal(err)
	}
	if got := read.Covering(Question{Target: targetOf("ip", "198.51.100.7")}); len(got) != 1 {
		t.Errorf("covering: %+v", got)
	}
	if err := read.Add([]event.Decision{ruled("r", clock.now, "ip", "198.51.100.9")}); !errors.Is(err, errClosed) {
		t.Errorf("add: %v", err)
	}
	if err := read.Close(); err != nil {
		t.Error(err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("reading it wrote")
	}
	if _, err := ReadLedger(t.TempDir(), event.FixedKey()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("where there is none: %v", err)
	}
	if _, err := VerifyLedger(t.TempDir(), event.FixedKey()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("where there is none: %v", err)
	}
}

// A run that begins again makes its decisions once more, more of them than ids
// are remembered.
func TestARestartPassesOverWhatWasForgotten(t *testing.T) {
	path := ledgerPath(t)
	clock := &testClock{dawn}
	open := func() *tester {
		l := newLedger(LedgerConfig{Path: path, Key: event.FixedKey(), Guards: &Guards{}, Now: clock.read})
		l.limits.seen = 100
		if err := l.open(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
		return &tester{t, l, clock}
	}
	l := open()
	var all []event.Decision
	for i := range 120 {
		d := ruled("r", clock.now, "ip", fmt.Sprintf("198.18.0.%d", i))
		d.Until = d.Time.Add(24 * time.Hour)
		all = append(all, identified(d))
		l.add(all[i])
		clock.advance(time.Second)
	}
	// What is from the future says nothing about when the others were made.
	shadow, insane := ruled("r", clock.now.AddDate(1, 0, 0), "ip", "198.18.1.1"), ruled("r", clock.now.AddDate(1, 0, 0), "ip", "198.18.1.2")
	shadow.Mode = event.Shadow
	l.add(shadow, insane)
	if _, err := l.Block(targetOf("ip", "198.18.2.1"), event.Block, "", 24*time.Hour, "ann", "by the wall clock"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Unblock(targetOf("ip", "198.18.0.3"), time.Second, "ann", "an office"); err != nil {
		t.Fatal(err)
	}
	l.tick(time.Hour)
	want := l.state()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	m := open()
	last := all[len(all)-1].Time
	same := ruled("r2", last, "ip", "198.18.3.1") // of the very second of the newest, and not written yet
	late := ruled("r", last.Add(time.Second), "ip", "198.18.3.2")
	late.Until = last.Add(2 * time.Second)
	m.add(all...)
	if got := m.state(); got != want {
		t.Error(differ(want, got))
	}
	if n := m.Counts().Passed; n != uint64(len(all)) {
		t.Errorf("%d of %d decisions were passed over", n, len(all))
	}
	// What was decided while weir was down is not.
	m.add(same, late, ruled("r", last.Add(time.Hour-time.Minute), "ip", "198.18.3.3"))
	if got := m.written(); !slices.Equal(got[len(got)-2:], []string{"new late none", "new enforce block"}) {
		t.Errorf("%q", got[len(got)-2:])
	}
	if got := m.force(); len(got) != len(all)+1 { // without the unblocked one, with the hand's and the last
		t.Errorf("%d in force", len(got))
	}
}

func TestAClockThatWasWrongDoesNotHideWhatComes(t *testing.T) {
	path := ledgerPath(t)
	l := reopened(t, path, &testClock{dawn.AddDate(1, 0, 0)}, &Guards{})
	l.add(ruled("r", l.clock.now, "ip", "198.51.100.7"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = reopened(t, path, &testClock{dawn}, &Guards{})
	l.add(ruled("r", dawn, "ip", "198.51.100.8"))
	if !slices.Contains(l.force(), "block 198.51.100.8 1h0m0s") {
		t.Errorf("%q", l.force())
	}
}

func TestWhatPeopleDoOutlastsAFullDiskUnderAttack(t *testing.T) {
	path := ledgerPath(t)
	l := reopened(t, path, &testClock{dawn}, &Guards{})
	l.limits.pending = 4096
	l.add(ruled("r", dawn, "ip", "198.51.100.7"), ruled("r", dawn, "ip", "198.51.100.9"))
	mend := noDisk(l)
	shadow := ruled("r", dawn, "ip", "198.51.100.10")
	shadow.Mode = event.Shadow
	for i := range 50 { // each is held, and says so
		l.add(ruled("r", dawn, "ip", fmt.Sprintf("198.18.0.%d", i)))
	}
	l.add(shadow)
	lost := l.Counts().Lost
	if lost < 30 || l.file.bytes > l.limits.pending {
		t.Errorf("%d lines lost, %d bytes wait", lost, l.file.bytes)
	}
	if n, err := l.Unblock(targetOf("ip", "198.51.100.7"), 24*time.Hour, "ann", "an office"); n != 1 || err == nil {
		t.Errorf("%d withdrawn, %v", n, err)
	}
	if err := l.Stop("bob", "customers cannot log in"); err == nil {
		t.Error("the disk is full")
	}
	if now := l.Counts().Lost; now != lost {
		t.Errorf("%d lines of people were lost", now-lost)
	}
	mend()
	l.tick(time.Second)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = reopened(t, path, l.clock, &Guards{})
	if s := l.Stopped(); s == nil || s.By != "bob" {
		t.Errorf("stopped %+v", s)
	}
	if err := l.Resume("bob"); err != nil {
		t.Fatal(err)
	}
	l.wantForce("block 198.51.100.9 1h0m0s")
	l.add(ruled("r", l.clock.now, "ip", "198.51.100.7"))
	if c := l.Counts(); c.Held[GuardUnblocked] != 1 {
		t.Errorf("%v", c.Held)
	}
}

func TestARestartKnowsWhoApproved(t *testing.T) {
	path := ledgerPath(t)
	g := &Guards{}
	l := reopened(t, path, &testClock{dawn}, g)
	l.breaker.rule("r").trip = &Line{Event: LineTripped, Rule: "r", At: dawn}
	d := ruled("r", dawn, "ip", "198.51.100.7")
	l.add(d)
	l.breaker.rule("r").trip = nil
	if err := l.Approve(d.ID, "ann"); err != nil {
		t.Fatal(err)
	}
	l.tick(10 * time.Minute)
	l.add(renewal(d, l.clock.now))
	l.tick(10 * time.Minute)
	l.add(ruled("r", l.clock.now, "ip", "198.51.100.7")) // decided anew
	want := l.state()
	if !strings.Contains(want, `by "ann"`) {
		t.Fatal(want)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := reopened(t, path, l.clock, g).state(); got != want {
		t.Error(differ(want, got))
	}
}

func TestAStopEndsWithItsFileAlsoWhileNothingRuns(t *testing.T) {
	for name, c := range map[string]struct {
		stop    func(*tester, string) error
		resumes bool
	}{
		"by the file": {func(l *tester, file string) error { return os.WriteFile(file, []byte("it burns\n"), 0o600) }, true},
		"by a person": {func(l *tester, file string) error { return l.Stop("ann", "it burns") }, true},
		"by a person, the file later": {func(l *tester, file string) error {
			l.stop("ann", "it burns") // as where its file could not be made
			return os.WriteFile(file, nil, 0o600)
		}, true},
		"by a person, without a file": {func(l *tester, file string) error { l.stop("ann", "it burns"); return nil }, false},
	} {
		path := ledgerPath(t)
		l := reopened(t, path, &testClock{dawn}, &Guards{})
		l.add(ruled("r", dawn, "ip", "198.51.100.7"))
		file := l.stopFile()
		if err := c.stop(l, file); err != nil {
			t.Fatal(name, err)
		}
		l.tick(time.Second)
		l.wantForce()
		for range 2 { // it is there: still stopped
			if err := l.Close(); err != nil {
				t.Fatal(name, err)
			}
			l = reopened(t, path, l.clock, &Guards{})
			l.wantForce()
			l.limits.fileBytes = 1 // a file that is put aside knows it too
			l.add(ruled("r", dawn, "ip", "198.51.100.8"))
		}
		if err := l.Close(); err != nil {
			t.Fatal(name, err)
		}
		if err := os.Remove(file); err != nil && c.resumes {
			t.Fatal(name, err)
		}
		l = reopened(t, path, l.clock, &Guards{})
		if stopped := l.InForce().Stopped; stopped == c.resumes {
			t.Errorf("%s: stopped %v after its file went", name, stopped)
		}
		if c.resumes {
			l.wantForce("block 198.51.100.7 1h0m0s")
		}
	}
}

func TestTheFileOfAStopIsNotWrittenThroughALink(t *testing.T) {
	path := ledgerPath(t)
	l := reopened(t, path, &testClock{dawn}, &Guards{})
	victim := filepath.Join(t.TempDir(), "passwd")
	if err := os.WriteFile(victim, []byte("root:x:0:0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, l.stopFile()); err != nil {
		t.Fatal(err)
	}
	if err := l.Stop("ann", "x"); err != nil || !l.InForce().Stopped {
		t.Errorf("%v, %+v", err, l.InForce())
	}
	if b, err := os.ReadFile(victim); err != nil || string(b) != "root:x:0:0\n" {
		t.Errorf("what the link leads to is now %q, %v", b, err)
	}
	if err := l.Resume("ann"); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(victim); err != nil {
		t.Error(err)
	}
}
