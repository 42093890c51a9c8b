package rules

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/event"
	"weir/state"
	"weir/windows"
)

// codecRules are the rules of what the golden files hold.
func codecRules(t testing.TB) *Plan {
	return storyPlan(t, PlanOptions{Extras: event.Extras{"tenant"}}, storyRules...)
}

func ruleIndex(t testing.TB, p *Plan, id string) int {
	t.Helper()
	i := slices.IndexFunc(p.Rules, func(r *Rule) bool { return r.ID == id })
	if i < 0 {
		t.Fatalf("no rule %s", id)
	}
	return i
}

// sampled is a state with one of each thing in it.
func sampled(t testing.TB) *State {
	st := NewState(codecRules(t), 1, Limits{}, enforced, named)
	st.start, st.blind, st.board.shed = 1_780_000_000, 1_780_003_600, 7
	u := st.units[0]
	u.swept, u.shed = 1_780_000_200, Shed{Decisions: 1, Histories: 2, OnStates: 3}

	population := ruleIndex(t, st.plan, "story.population")
	on := &onState{
		rule: population, key: windows.Key{Hi: 0x0102030405060708, Lo: 0x1112131415161718},
		values: event.Target{{Field: "endpoint", Text: "POST /login"}, {Field: "agent", Text: "a\x00\xff"}},
		raw:    [][]byte{[]byte("POST /login"), []byte("a\x00\xff")}, until: 1_780_000_260, entries: 1,
		features: []float64{12, 0.75}, spans: []event.Span{{Partition: 1 << 20, First: 5, Last: 90}},
	}
	st.shownChanges(nil, on)
	st.board.put(onKey{on.rule, on.key.Lo}, on)
	raised := *on
	raised.key.Lo++
	u.putRaised(onKey{raised.rule, raised.key.Lo}, &raised)

	member := &message{
		rule: population, entry: 0, ask: true, rest: 2, at: 1_780_000_205, began: 1_780_000_205, on: on,
		key: on.values, raw: on.raw, features: on.features, given: []float64{3}, spans: []event.Span{{Partition: 0, First: 7, Last: 7}},
		origin: windows.Key{Hi: 21, Lo: 22}, bit: 4, target: event.Target{{Field: "ip", Text: "192.0.2.7"}, {Field: "endpoint", Text: "POST /login"}},
		dest: windows.Key{Hi: 31, Lo: 32}, to: windows.Key{Hi: 31, Lo: 32},
	}
	travel := ruleIndex(t, st.plan, "story.travel")
	own := &message{
		rule: travel, entry: 2, at: 1_780_000_206, began: 1_780_000_206, features: []float64{2},
		key: event.Target{{Field: "ip", Text: "192.0.2.7"}, {Field: "agent", Text: "a"}}, raw: [][]byte{{192, 0, 2, 7}, []byte("a")},
		origin: windows.Key{Hi: 41, Lo: 42}, bit: 1, target: event.Target{{Field: "agent", Text: "a"}},
		dest: windows.Key{Hi: 51, Lo: 52}, to: windows.Key{Hi: 51, Lo: 52},
	}
	for _, m := range []*message{member, own} {
		u.putMail(mailKey{m.rule, m.entry, m.origin}, m)
	}
	return st
}

// sampleGrants are one that is in force and one that is remembered.
func sampleGrants(t testing.TB, st *State) []*grant {
	i := ruleIndex(t, st.plan, "story.population")
	force := &grant{
		by: st.marks[i], rule: i, entry: 1, action: event.Challenge, except: event.FieldIP, until: 1_780_000_300, length: 60,
		evidence: 1_780_000_239, onset: 9, made: []made{{1_780_000_000, everyone}, {1_780_000_240, 7}}, first: "00112233445566778899aabbccddeeff",
		last: event.Decision{
			Mode: event.Enforce, Would: event.Challenge, Rule: "story.population", Version: 2, Severity: event.High, Except: "known(ip)",
			Target:   event.Target{{Field: "endpoint", Text: "POST /login"}, {Field: "agent", Text: "a\xff"}},
			Key:      event.Target{{Field: "endpoint", Text: "POST /login"}, {Field: "agent", Text: "a\xff"}},
			Evidence: []event.Measure{{Name: "tries", Value: 12}, {Name: "failed", Value: 0.75}}, Incomplete: time.Unix(1_780_604_400, 0),
		},
	}
	i = ruleIndex(t, st.plan, "story.source")
	over := &grant{by: st.marks[i], rule: i, action: event.Block, length: 30, evidence: 1_780_000_100, onset: 3, made: []made{{1_780_000_100, 300}}, ended: true}
	for _, g := range []*grant{force, over} {
		g.place = placeOf(0xfeed0000beef, g.by, g.action, g.except)
	}
	return []*grant{force, over}
}

func sampleStanding(p *Plan) *Standing {
	s := NewStanding(true, p.standingHash)
	s.untold[Seen][event.FieldIP] = true
	for h := range uint64(3) {
		s.Add(Known, event.FieldIP, h*h*1e18)
		s.Add(Denied, event.FieldIP, h+20)
		s.Add(Seen, event.FieldSession, 5-h)
		s.visited.add(h + 8)
	}
	return s
}

// dumped writes bytes as golden files hold them.
func dumped(parts map[string][]byte) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		fmt.Fprintf(&b, "%s\n%s", name, hex.Dump(parts[name]))
	}
	return b.String()
}

// What is on somebody's disk must be readable for ever: who changes these bytes
// raises the version and reads the old ones too.
func TestBytesOnDiskStayAsTheyAre(t *testing.T) {
	st := sampled(t)
	st.layouts = lineage{{NextStore: 1, Tables: []windows.Table{{Name: "ip", Fields: []event.Field{event.FieldIP}, Retain: 60}}, Fields: []event.Field{event.FieldIP}}}
	parts := map[string][]byte{
		"shared": st.appendShared(), "unit": st.units[0].appendHead(),
		"standing": sampleStanding(st.plan).Append(nil),
	}
	for _, s := range st.units[0].shown {
		parts["on-state"] = st.appendOnState(nil, s)
	}
	for i, g := range sampleGrants(t, st) {
		parts[fmt.Sprint("grant ", i)] = g.append(nil)
	}
	golden(t, "testdata/state.golden", dumped(parts))
}

func TestWhatIsEncodedIsReadBack(t *testing.T) {
	st := sampled(t)
	again := newState(st.plan, 1, Limits{}, enforced, named)
	again.units = []*Unit{newUnit(again, windows.NewUnit(&st.plan.Layout, 0))}
	if err := again.readShared(st.appendShared()); err != nil {
		t.Fatal(err)
	}
	for place, s := range st.units[0].shown {
		on, err := again.readOnState(place, st.appendOnState(nil, s))
		if err != nil {
			t.Fatal(err)
		}
		again.shownChanges(nil, on)
		again.board.put(onKey{on.rule, on.key.Lo}, on)
	}
	if rest, err := again.units[0].readHead(append(st.units[0].appendHead(), "rest"...)); err != nil || string(rest) != "rest" {
		t.Fatal(string(rest), err)
	}
	for i, g := range sampleGrants(t, st) {
		read, err := again.readGrant(g.place, g.append(nil))
		if err != nil {
			t.Fatal(err)
		}
		if read.rule != g.rule || read.ended != g.ended || !bytes.Equal(read.append(nil), g.append(nil)) {
			t.Errorf("grant %d: %+v, was %+v", i, read, g)
		}
	}
	sameContents(t, "read back", contents(again), contents(st))
	standing := sampleStanding(st.plan)
	s, err := ReadStanding(standing.Append(nil), st.plan)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(s.Append(nil), standing.Append(nil)) || !s.Tells(Seen, event.FieldSession) || s.Tells(Seen, event.FieldIP) || !s.sets[Known][event.FieldIP].has(4e18) ||
		s.sets[Known][event.FieldIP].has(3) || !s.sets[Known][event.FieldIP].has(0) || s.sets[Seen][event.FieldIP].has(5) || !s.sets[Denied][event.FieldIP].has(22) || s.sets[Denied][event.FieldIP].has(5) || !s.visited.has(10) {
		t.Errorf("%+v", s)
	}
}

// The first format told of no regulars: then all good ones may be.
func TestGrantsOfTheFirstFormatAreRead(t *testing.T) {
	st := sampled(t)
	want := sampleGrants(t, st)[1]
	old, err := hex.DecodeString("012b00000000000000" + "147ca0b5" + "0c73746f72792e736f75726365264fbbb7a5d7" +
		"a05105626c6f636b00003cc895c5a10d0301c895c5a10d00")
	if err != nil {
		t.Fatal(err)
	}
	g, err := st.readGrant(want.place, old)
	if err != nil {
		t.Fatal(err)
	}
	if want.made[0].regulars = everyone; !bytes.Equal(g.append(nil), want.append(nil)) {
		t.Errorf("read %+v, want %+v", g, want)
	}
}

// The first format of what is published had no denied, and no word of visitors
// unless there were too many.
func TestStandingOfTheFirstFormatIsRead(t *testing.T) {
	p := sampled(t).plan
	for _, all := range []bool{false, true} {
		dst, start := state.BeginRecord(nil)
		w := encoder{state.Writer{B: dst}}
		want := sampleStanding(p)
		w.Bool(want.defined)
		w.Uint(uint64(event.NumFields))
		for f := range event.NumFields {
			for _, k := range []Fact{Known, Seen} {
				w.Bool(want.untold[k][f])
				w.hashes(&want.sets[k][f])
			}
			want.untold[Denied][f], want.sets[Denied][f] = true, hashSet{}
		}
		w.hashes(&want.visited)
		if want.allVisited = all; all {
			w.Bool(true)
		}
		state.EndRecord(w.B, start, firstStanding)
		got, err := ReadStanding(w.B, p)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Append(nil), want.Append(nil)) {
			t.Errorf("read %+v, want %+v", got, want)
		}
	}
}

// Whoever can write to the disk can make checksums right, but cannot have
// anything evaluated that does not fit the rules.
func TestWhatDoesNotFitTheRulesIsRefused(t *testing.T) {
	st := sampled(t)
	u := st.units[0]
	population, travel := ruleIndex(t, st.plan, "story.population"), ruleIndex(t, st.plan, "story.travel")
	var on *onState
	for _, s := range u.shown {
		on = s
	}
	mail := func(entry int) *message {
		for k, m := range u.mail {
			if k.entry == entry {
				return m
			}
		}
		return nil
	}
	for _, c := range []struct {
		what string
		do   func(s *State, m, own *message, on *onState, g *grant)
	}{
		{"a rule that there is none of", func(_ *State, m, _ *message, _ *onState, _ *grant) { m.rule = 99 }},
		{"a member's entry of another kind", func(_ *State, m, _ *message, _ *onState, _ *grant) { m.entry = 1 }},
		{"an entry that there is none of", func(_ *State, _, own *message, _ *onState, _ *grant) { own.entry = 9 }},
		{"too many entries", func(_ *State, m, _ *message, _ *onState, _ *grant) { m.rest = 1 << 5 }},
		{"a bit beyond all", func(_ *State, m, _ *message, _ *onState, _ *grant) { m.bit = windows.MaxBits }},
		{"asked at the wrong place", func(_ *State, m, _ *message, _ *onState, _ *grant) { m.ask = false }},
		{"too few aggregates", func(_ *State, m, _ *message, _ *onState, _ *grant) { m.given = nil }},
		{"aggregates of one that asks for none", func(_ *State, _, own *message, _ *onState, _ *grant) { own.given = []float64{1} }},
		{"a population that is not shown", func(_ *State, m, _ *message, on *onState, _ *grant) {
			other := *on
			other.key.Lo = 99
			m.on = &other
		}},
		{"too few values", func(_ *State, _, own *message, _ *onState, _ *grant) { own.raw = own.raw[:1] }},
		{"too many features", func(_ *State, _, own *message, _ *onState, _ *grant) { own.features = append(own.features, 1) }},
		{"an on-state of too many features", func(_ *State, _, _ *message, on *onState, _ *grant) { on.features = append(on.features, 1) }},
		{"an on-state of too few values", func(_ *State, _, _ *message, on *onState, _ *grant) { on.values = on.values[:1] }},
		{"an on-state of too many entries", func(_ *State, _, _ *message, on *onState, _ *grant) { on.entries = 1 << 4 }},
		{"an on-state at another one's place", func(_ *State, _, _ *message, on *onState, _ *grant) { on.key.Hi++ }},
		{"an on-state of another rule", func(_ *State, _, _ *message, on *onState, _ *grant) { on.rule = travel }},
		{"a grant at another one's place", func(_ *State, _, _ *message, _ *onState, g *grant) { g.action = event.Block }},
		{"a grant of an entry that there is none of", func(_ *State, _, _ *message, _ *onState, g *grant) { g.entry = 5 }},
		{"a grant made too often", func(_ *State, _, _ *message, _ *onState, g *grant) { g.made = make([]made, maxMade+1) }},
		{"a grant made in no order", func(_ *State, _, _ *message, _ *onState, g *grant) { g.made = []made{{tick: 2}, {tick: 1}} }},
		{"other rules", func(s *State, _, _ *message, _ *onState, _ *grant) {
			s.plan = storyPlan(t, PlanOptions{}, strings.Replace(storyRules[0], ">= 3", ">= 4", 1))
		}},
	} {
		from := *st
		from.units = []*Unit{newUnit(&from, u.win)}
		m, own, shown, g := *mail(0), *mail(2), *on, *sampleGrants(t, st)[0]
		c.do(&from, &m, &own, &shown, &g)
		from.units[0].putMail(mailKey{population, 0, m.origin}, &m)
		from.units[0].putMail(mailKey{travel, 2, own.origin}, &own)
		err := func() error {
			if err := st.readShared(from.appendShared()); err != nil {
				return err
			}
			var w encoder
			w.onState(&shown)
			b, start := state.BeginRecord(nil)
			b = append(b, binaryHash(st.marks[on.rule].hash)...)
			b = append(b, w.B...)
			state.EndRecord(b, start, onStateVersion)
			if _, err := st.readOnState(st.placeOf(on), b); err != nil {
				return err
			}
			if _, err := st.readGrant(sampleGrants(t, st)[0].place, g.append(nil)); err != nil {
				return err
			}
			into := newState(st.plan, 1, Limits{}, enforced, named)
			into.board = st.board
			_, err := newUnit(into, u.win).readHead(from.units[0].appendHead())
			return err
		}()
		if err == nil {
			t.Errorf("%s is taken", c.what)
		} else if !errors.Is(err, state.ErrCorrupt) && c.what != "other rules" {
			t.Errorf("%s: %v does not say that it is corrupt", c.what, err)
		}
	}
}

func binaryHash(h uint64) []byte {
	var w state.Writer
	w.Fixed(h)
	return w.B
}

func TestRecordsThatAreNotWholeAreRefused(t *testing.T) {
	st := sampled(t)
	g := sampleGrants(t, st)[0]
	var on *onState
	for _, s := range st.units[0].shown {
		on = s
	}
	for _, c := range []struct {
		what string
		good []byte
		read func(b []byte) error
	}{
		{"shared", st.appendShared(), st.readShared},
		{"head", st.units[0].appendHead(), func(b []byte) error {
			_, err := newUnit(st, nil).readHead(b)
			return err
		}},
		{"grant", g.append(nil), func(b []byte) error { _, err := st.readGrant(g.place, b); return err }},
		{"on-state", st.appendOnState(nil, on), func(b []byte) error { _, err := st.readOnState(st.placeOf(on), b); return err }},
		{"standing", sampleStanding(st.plan).Append(nil), func(b []byte) error { _, err := ReadStanding(b, st.plan); return err }},
	} {
		if err := c.read(c.good); err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
		for i := range c.good {
			if err := c.read(c.good[:i]); !errors.Is(err, state.ErrCorrupt) {
				t.Errorf("%s cut to %d of %d bytes: %v", c.what, i, len(c.good), err)
			}
			flipped := bytes.Clone(c.good)
			flipped[i] ^= 0x10
			if err := c.read(flipped); !errors.Is(err, state.ErrCorrupt) {
				t.Errorf("%s with byte %d flipped: %v", c.what, i, err)
			}
		}
		if c.what == "head" {
			continue // the windows' follow it
		}
		if err := c.read(append(bytes.Clone(c.good), 0)); !errors.Is(err, state.ErrCorrupt) {
			t.Errorf("%s with a byte behind it: %v", c.what, err)
		}
	}
}
