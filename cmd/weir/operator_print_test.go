package main

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"weir/api"
	"weir/emit"
	"weir/event"
	"weir/rules"
)

// told is a ledger whose clock a test sets.
type told struct {
	*emit.Ledger
	now time.Time
}

func newTold(t *testing.T) *told {
	t.Helper()
	l := &told{now: time.Date(2026, 3, 6, 4, 49, 12, 0, time.UTC)}
	var err error
	if l.Ledger, err = emit.OpenLedger(emit.LedgerConfig{Key: event.FixedKey(), Guards: &emit.Guards{}, Now: func() time.Time { return l.now }}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// decide has the engine decide something two seconds ago.
func (l *told) decide(t *testing.T, d event.Decision) event.Decision {
	t.Helper()
	d.ID = event.DecisionID(d.Step, d.Rule, d.Version, d.Would, d.Target, d.Except, d.Time)
	if err := l.Add([]event.Decision{d}); err != nil {
		t.Fatal(err)
	}
	return d
}

// story is what happens in the golden pages: one thing of each kind.
func (l *told) story(t *testing.T) (targets []string) {
	t.Helper()
	at := l.now.Add(-2 * time.Second)
	none := func(*event.Asked) (event.Figures, bool) { return event.Figures{}, false }

	first := l.decide(t, stuffing(7, at, time.Hour))
	l.now = l.now.Add(40 * time.Minute)
	again := stuffing(7, l.now.Add(-2*time.Second), time.Hour)
	again.Step, again.Renews = event.Renew, first.ID
	l.decide(t, again)
	shadow := stuffing(7, l.now.Add(-time.Second), 6*time.Hour)
	shadow.Rule, shadow.Mode = "ato.guessing_source", event.Shadow
	l.decide(t, shadow)

	population := stuffing(8, l.now.Add(-2*time.Second), 24*time.Hour)
	population.Rule, population.Would = "ato.low_and_slow", event.Challenge
	population.Target = event.Target{{Field: "endpoint", Text: "POST /login"}, {Field: "fingerprint", Text: "9f2c51b0"}}
	population.Key, population.Except, population.Good = population.Target, "known(ip)", 3
	population.Regulars = population.Good
	population.Evidence = []event.Measure{{Name: "tries", Value: 812}, {Name: "gone", Value: 1.0 / 3}}
	l.decide(t, population)

	private := stuffing(9, l.now.Add(-2*time.Second), time.Hour)
	private.Target = event.Target{{Field: "ip", Text: "10.1.2.3"}}
	private.Key = private.Target
	l.decide(t, private)

	late := stuffing(10, l.now.Add(-2*time.Hour), time.Hour)
	l.decide(t, late)

	gone := stuffing(11, l.now.Add(-2*time.Second), time.Minute)
	gone.Rule = "shop.not_there_any_more"
	l.decide(t, gone)

	if err := l.Review(l.now, none); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Block(event.Target{{Field: "net", Text: "198.51.100.0/24"}}, event.Limit, "10/1m", 2*time.Hour, "alice", "they crawl, ticket 4711"); err != nil {
		t.Fatal(err)
	}
	l.now = l.now.Add(2 * time.Minute)
	if _, err := l.Block(event.Target{{Field: "ip", Text: "203.0.113.9"}}, event.Block, "", time.Hour, "alice", "probes"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Unblock(event.Target{{Field: "ip", Text: "203.0.113.9"}}, time.Hour, "bob", "an office, they called"); err != nil {
		t.Fatal(err)
	}
	if err := l.Advance(); err != nil {
		t.Fatal(err)
	}
	return []string{
		"192.0.2.7", `endpoint="POST /login",fingerprint=9f2c51b0`, "fingerprint=9f2c51b0", "10.1.2.3", "192.0.2.10", "192.0.2.11",
		"198.51.100.77", "203.0.113.9", "203.0.113.10",
	}
}

func explainer(t *testing.T) func(string) (*rules.Explanation, error) {
	t.Helper()
	e := &environment{out: new(bytes.Buffer), errOut: new(bytes.Buffer), log: slog.New(slog.DiscardHandler)}
	g, err := e.engine("", false, false)
	if err != nil {
		t.Fatal(err)
	}
	return g.plan.Explain
}

// answer makes the answer of why to a target.
func (l *told) answer(t *testing.T, target string, where func(*emit.InForce) []api.Where) *whyAnswer {
	t.Helper()
	parsed, err := api.ParseTarget(target)
	if err != nil {
		t.Fatal(err)
	}
	w := api.WhyOf(l.Ledger, parsed, nil, l.now)
	for _, in := range l.InForce().Entries {
		if _, ok := w.Where[in.Decision.ID]; ok {
			w.Where[in.Decision.ID] = where(in)
		}
	}
	a := &whyAnswer{asked: target, target: w.Target, now: w.Now, where: w.Where, running: true, stopped: w.Stopped}
	a.take(w)
	return a
}

func TestWhyTellsAStrangerWhatHappened(t *testing.T) {
	l := newTold(t)
	targets := l.story(t)
	explain := explainer(t)
	var page bytes.Buffer
	for _, target := range targets {
		a := l.answer(t, target, func(in *emit.InForce) []api.Where {
			return []api.Where{
				{Point: "proxy", State: api.Holds, Text: "it holds it, as read back 2s ago"},
				{Point: "edge", State: api.Cannot, Text: "not there: " + in.Action.String() + " is none of its actions (actions: [deceive])"},
			}
		})
		a.explain = explain
		page.WriteString("$ weir why " + quoted(target) + "\n")
		if err := printWhy(&page, a); err != nil {
			t.Fatal(err)
		}
		page.WriteString("\n")
	}
	golden(t, "operator/why.golden", page.String())
	narrow(t, page.String())
}

// What hits too many alone is held or taken back by itself, and the advice on how to allow it works.
func TestWhyTellsHowToAllowWhatHitsACrowd(t *testing.T) {
	l := newTold(t)
	behind := map[string]float64{}
	figures := func(a *event.Asked) (event.Figures, bool) {
		if a.Decision == nil {
			return event.Figures{Good: 1000, Tried: 1000, Regulars: 1000}, true
		}
		n := behind[a.Decision.ID]
		return event.Figures{Good: n, Tried: 500, Regulars: n}, true
	}
	if err := l.Review(l.now, figures); err != nil {
		t.Fatal(err)
	}
	held := stuffing(7, l.now.Add(-2*time.Second), time.Hour)
	held.Good, held.Regulars = 77, 77
	held = l.decide(t, held)
	taken := l.decide(t, stuffing(8, l.now.Add(-2*time.Second), time.Hour))
	behind[taken.ID] = 77
	if err := l.Review(l.now, figures); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		target, says string
		d            event.Decision
	}{
		{"192.0.2.7", "held by crowd: 77 regulars stand behind this address alone (they count as 7.7), of 1000 accounts", held},
		{"192.0.2.8", "withdrawn by weir itself: crowd: 77 regulars stand behind this address alone", taken},
	} {
		var page bytes.Buffer
		a := l.answer(t, c.target, func(*emit.InForce) []api.Where { return nil })
		a.explain = explainer(t)
		if err := printWhy(&page, a); err != nil {
			t.Fatal(err)
		}
		must(t, strings.Join(strings.Fields(page.String()), " "), c.says, "to allow it weir approve "+c.d.ID+" enforces it on all of them as it was decided: block")
		if err := l.Approve(c.d.ID, "ann"); err != nil {
			t.Error(err)
		}
	}
	if n := len(l.InForce().Entries); n != 2 {
		t.Errorf("%d entries in force, want both", n)
	}
}

// narrow complains about lines that a terminal would break.
func narrow(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > screen {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

func TestDecisionsAreALineEach(t *testing.T) {
	l := newTold(t)
	l.story(t)
	var b bytes.Buffer
	p := &page{w: &b}
	for _, all := range []bool{false, true} {
		p.line("all: %v", all)
		for _, line := range api.DecisionsOf(l.Ledger, api.DecisionsQuery{All: all}).Lines {
			printDecision(p, &line.Line, l.now)
		}
	}
	if p.err != nil {
		t.Fatal(p.err)
	}
	golden(t, "operator/decisions.golden", b.String())
	narrow(t, b.String())
}

func TestTheStatusFitsOneScreen(t *testing.T) {
	l := newTold(t)
	l.story(t)
	now := l.now
	well := &api.Status{
		Version: "1.2.3", Started: now.Add(-27 * time.Hour), Now: now, Readiness: api.Readiness{Ready: true}, Force: api.ForceOf(l.Ledger),
		Engine: &api.Engine{
			At: now, Tick: now.Add(-3 * time.Second), Events: 12_345_678, EventsPerSecond: 812.4, Refused: 4711, Rejected: map[string]int64{"directive": 4},
			Keys: 99_812, StateBytes: 81 << 20, OnRules: 12,
			Keeping: api.Keeping{
				Checkpoint: api.Checkpoint{At: now.Add(-4 * time.Second), Tick: now.Add(-7 * time.Second), Seconds: 0.41, Stall: 0.003},
				Memory:     api.Memory{Limit: 1 << 30, Resident: 80 << 20, Dirty: 3 << 20, Store: 6 << 20, StoreLimit: 128 << 20, Accounted: 81 << 20, AccountedLimit: 8 << 30},
				Store:      api.Store{Keys: 97_003, Bytes: 30 << 20, Disk: 61 << 20}, Archive: &api.Archive{Bytes: 3 << 30, Open: 54 << 10, Queue: 40 << 10, Lag: 0.2},
				Resumed: now.Add(-27 * time.Hour),
			},
			Sources: []api.SourceStatus{{Name: "nginx", Partitions: 12, Idle: 3, Watermark: now.Add(-2 * time.Second)}, {Name: "edge", Partitions: 1, Idle: 1}},
		},
		Process: api.Process{Resident: 420 << 20, Heap: 180 << 20},
		Points: []api.PointStatus{{Name: "proxy", Desired: 2, Held: 2, Seen: now.Add(-4 * time.Second), Inexpressible: 1, Instead: 1,
			Why: []string{"ato.low_and_slow: the point cannot tell requests apart by fingerprint; only a Kafka topic takes such a target"}}},
	}
	ill := &api.Status{
		Version: "1.2.3", Started: now.Add(-time.Hour), Now: now,
		Readiness: api.Readiness{Reasons: []string{"source access is catching up: it has 120034 records still to read and is 31m4s behind the clock"}},
		Engine: &api.Engine{
			At: now, Tick: now.Add(-time.Hour), Events: 99, Late: 1, Dropped: 2, Future: 3, Clamped: 4, Filtered: 5, Degraded: true,
			Keys: 9_810_402, StateBytes: 7_900 << 20,
			Keeping: api.Keeping{
				Checkpoint: api.Checkpoint{At: now.Add(-7 * time.Minute), Tick: now.Add(-time.Hour), Seconds: 1.9, Failed: 3, Since: now.Add(-7 * time.Minute),
					Why: "the disk of /var/lib/weir has 0.8 GiB free, and 1 GiB is to stay free (state: reserve:)"},
				Memory:  api.Memory{Limit: 1 << 30, Resident: 700 << 20, Dirty: 200 << 20, Store: 100 << 20, Accounted: 7_900 << 20, AccountedLimit: 8 << 30},
				Store:   api.Store{Keys: 9_500_000, Bytes: 4 << 30, Disk: 5 << 30},
				Archive: &api.Archive{Bytes: 31 << 30, Queue: 64 << 20, Lag: 421, Why: "write /var/lib/weir-archive/access/spool: no space left on device", Deleted: 3, Pending: 2},
				Aside: []api.Aside{
					{Where: "/var/lib/weir/store.broken-3", Why: "corrupt record: badger panicked: runtime error: slice bounds out of range [4:2]; put aside", At: now.Add(-time.Hour), Now: true},
					{Where: "/var/lib/weir/store.broken-2", Why: "unit 3: corrupt record: checksum 00000001, must be 00000002", At: now.Add(-72 * time.Hour)},
				},
				Rebuild: &api.Rebuild{Tick: now.Add(-9 * time.Hour), To: now.Add(-time.Hour)}, Degraded: now.Add(-20 * time.Minute),
				Gap: now.Add(-30 * time.Hour), Units: 17, TurnedAway: 123_456,
				Incomplete: []api.Incomplete{
					{Rule: "ato.low_and_slow", Until: now.Add(24 * time.Hour)}, {Rule: "ato.new", Until: now.Add(6 * time.Hour)},
					{Rule: "scraping.a", Until: now.Add(time.Hour)}, {Rule: "scraping.b", Until: now.Add(time.Hour)}, {Rule: "scraping.c", Until: now.Add(time.Hour)},
				},
			},
			Rejected: map[string]int64{"time": 1000, "request line": 20, "number": 3, "json": 2, "empty line": 1},
			Shed:     map[string]int64{"keys": 12, "on_states": 3, "values": 0}, Broken: []string{"a.gz: unexpected EOF", "b.gz: x", "c.gz: x", "d.gz: x", "e.gz: x"},
			Sources: []api.SourceStatus{
				{Name: "access", Topic: true, Partitions: 12, Lag: 120034, Watermark: now.Add(-31 * time.Minute), Lost: 2, Behind: api.Behind{Partitions: 7, Lag: 120034, Watermark: now.Add(-31 * time.Minute)}},
				{Name: "new", Partitions: 1, Unknown: 1},
				{Name: "file", Partitions: 1, Lag: 3 << 20, Watermark: now.Add(-time.Minute), Behind: api.Behind{Partitions: 1, Lag: 3 << 20}},
			},
		},
		Force: api.Force{
			Stopped: &api.Stopped{At: now.Add(-time.Minute), By: "alice", Reason: "customers cannot log in"}, Queued: 17,
			Held:    map[string]uint64{"breaker": 412, "protected": 3, "allowed": 15},
			Allowed: []api.AllowedCount{{Entry: `{"ip":"203.0.113.10"} (ops: uptime monitor)`, N: 14}, {Entry: `{"asn":"64500"} (sales: a partner)`, N: 1}},
			Tripped: []api.Tripped{{Rule: "ato.low_and_slow", At: now.Add(-26 * time.Hour), Reason: "50 good accounts stand behind its entries, of 60 that succeeded in 7 days: more than 5; 0 entries of the last 10 minutes are withdrawn"}},
		},
		Points: []api.PointStatus{
			{Name: "proxy", Desired: 3, Held: 1, Drift: 2, Seen: now.Add(-4 * time.Second), Shed: 9, Faults: 1},
			{Name: "nginx", Desired: 3, Held: 3, Drift: 3, Seen: now.Add(-4 * time.Second), File: true,
				Error: "cannot be changed: the list is written, but nginx could not be reloaded (does it run?): nginx -s reload: exit status 1"},
			{Name: "files", Desired: 3, Held: 3, Seen: now.Add(-4 * time.Second), File: true},
			{Name: "edge", Desired: 3, Drift: -1, Error: "cannot be read: unreadable: dial unix /run/haproxy/admin.sock: connect: no such file or directory"},
		},
	}
	empty := &api.Status{Version: "1.2.3", Started: now, Now: now, Readiness: api.Readiness{Reasons: []string{"the engine has not started reading yet"}}, Force: api.Force{Well: true}}
	var b bytes.Buffer
	p := &page{w: &b}
	for _, s := range []*api.Status{well, ill, empty} {
		before := strings.Count(b.String(), "\n")
		printStatus(p, s)
		// What is wrong may take more.
		if n := strings.Count(b.String(), "\n") - before; n > 74 || s.Readiness.Ready && n > 30 {
			t.Errorf("%d lines", n)
		}
		p.line("\n----")
	}
	if p.err != nil {
		t.Fatal(p.err)
	}
	golden(t, "operator/status.golden", b.String())
	narrow(t, b.String())
}

func TestPointsAreShown(t *testing.T) {
	now := time.Date(2026, 3, 6, 4, 49, 12, 0, time.UTC)
	var many []entryShown
	for range 12 {
		many = append(many, entryShown{Prefix: "192.0.2.7", Action: "block", Until: now.Add(time.Hour), ID: "5f1c"})
	}
	many[1] = entryShown{Prefix: "2001:db8::/64", Endpoint: "POST /login", Action: "limit", To: "10/1m", Until: now.Add(30 * time.Hour)}
	many[2] = entryShown{Prefix: "198.51.100.0/24", Action: "block"}
	many[3] = entryShown{Prefix: "192.0.2.9", Action: "block", Until: now.Add(-time.Minute)}
	var b bytes.Buffer
	p := &page{w: &b}
	for _, s := range []pointShown{
		{Name: "proxy", Entries: many, Status: &api.PointStatus{Name: "proxy", Desired: 11, Held: 11, Seen: now.Add(-2 * time.Second)}},
		{Name: "edge", Error: "unreadable: dial unix /run/haproxy/admin.sock: connect: no such file or directory"},
		{Name: "cdn", File: true, Entries: []entryShown{{}}},
	} {
		printPoint(p, &s, s.Name != "cdn", false, now)
	}
	if p.err != nil {
		t.Fatal(p.err)
	}
	golden(t, "operator/points.golden", b.String())
	narrow(t, b.String())
}

func TestNothingOutOfALogMovesACursor(t *testing.T) {
	hostile := []string{
		"\x1b[2J\x1b]0;pwned\x07", "\u202egnp.exe", "a\nBLOCKED by nobody", "\x00\x7f\u0085\u009b31m", "\xff\xc3(", "\u2028\ufeff\u200b\u2066", "'; rm -rf / #", "`id`$(id)", strings.Repeat("\x1b", 3000),
	}
	var b bytes.Buffer
	p := &page{w: &b}
	for _, text := range hostile {
		l := newTold(t)
		d := stuffing(7, l.now.Add(-2*time.Second), time.Hour)
		d.Target = append(d.Target, event.Value{Field: "agent", Text: text})
		d.Key, d.Except = d.Target, "known("+text+")"
		d.Rule, d.Evidence = "shop."+text, []event.Measure{{Name: text, Value: 1}}
		l.decide(t, d)
		if _, err := l.Block(event.Target{{Field: "ip", Text: "192.0.2.7"}}, event.Limit, "10/1m", time.Hour, clip(text, 100), clip(text, 100)); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Unblock(event.Target{{Field: "ip", Text: "192.0.2.9"}, {Field: "agent", Text: text}}, time.Hour, clip(text, 100), clip(text, 100)); err != nil {
			t.Fatal(err)
		}
		a := l.answer(t, "192.0.2.7", func(*emit.InForce) []api.Where { return []api.Where{{Point: text, Text: text}} })
		a.asked, a.config = text, text
		a.explain = func(string) (*rules.Explanation, error) { return nil, errors.New(text) }
		if err := printWhy(&b, a); err != nil {
			t.Fatal(err)
		}
		for _, line := range api.DecisionsOf(l.Ledger, api.DecisionsQuery{All: true}).Lines {
			printDecision(p, &line.Line, l.now)
			if err := printLine(&b, line); err != nil {
				t.Fatal(err)
			}
		}
		force := api.ForceOf(l.Ledger)
		force.Stopped = &api.Stopped{At: l.now, By: text, Reason: text}
		force.Allowed = []api.AllowedCount{{Entry: text, N: 1}}
		force.Tripped = []api.Tripped{{Rule: text, At: l.now, Reason: text}}
		printStatus(p, &api.Status{
			Version: text, Now: l.now, Readiness: api.Readiness{Reasons: []string{text}}, Force: force,
			Engine: &api.Engine{
				Keeping: api.Keeping{
					Checkpoint: api.Checkpoint{Why: text}, Archive: &api.Archive{Why: text}, Incomplete: []api.Incomplete{{Rule: text}},
				},
				Broken: []string{text}, Rejected: map[string]int64{text: 1}, Sources: []api.SourceStatus{{Name: text}}},
			Points: []api.PointStatus{{Name: text, Error: text, Inexpressible: 1, Why: []string{text}}},
		})
		printPoint(p, &pointShown{Name: text, Error: text, Entries: []entryShown{{Prefix: text, Endpoint: text, Action: text, To: text}}}, true, true, l.now)
	}
	if p.err != nil || b.Len() < 10_000 {
		t.Fatal(p.err, b.Len())
	}
	for _, r := range b.String() {
		switch {
		case r == '\n':
		case r < 0x20, r >= 0x7f && r < 0xa0, r == utf8.RuneError, r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x206f, r == 0xfeff:
			at := strings.IndexRune(b.String(), r)
			t.Fatalf("%U in what is printed: %q", r, b.String()[max(0, at-200):at+20])
		}
	}
}
