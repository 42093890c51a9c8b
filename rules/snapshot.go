package rules

import (
	"cmp"
	"fmt"
	"slices"

	"weir/event"
	"weir/state"
	"weir/windows"
)

// The format versions of what a cut encodes at once.
const (
	sharedVersion  = 1 // what all units share
	unitVersion    = 1 // what a unit keeps besides its keys, grants and on-states
	onStateVersion = 1 // of what is stored of an on-state
)

// appendShared appends what all units share, in an order of its own: equal
// states are equal bytes.
func (st *State) appendShared() (dst []byte) {
	dst, start := state.BeginRecord(dst)
	w := encoder{state.Writer{B: dst}}
	w.Uint(uint64(len(st.plan.Rules)))
	for _, r := range st.plan.Rules {
		w.String(r.ID)
		w.String(r.Hash())
	}
	w.Int(st.start)
	w.Int(st.blind)
	w.Int(st.board.shed)
	w.lineage(st.layouts)
	state.EndRecord(w.B, start, sharedVersion)
	return w.B
}

// readShared reads what appendShared wrote with the same rules.
func (st *State) readShared(b []byte) error {
	body, rest, err := state.ReadRecord(b, sharedVersion)
	if err != nil {
		return err
	}
	r := decoder{Reader: state.Reader{B: body}, plan: st.plan}
	r.check(len(rest) == 0, "%d bytes behind it", len(rest))
	n := r.Len()
	for i := range n {
		id, hash := r.String(), r.String()
		if r.Err != nil {
			return r.Err
		}
		if i >= len(st.plan.Rules) {
			return fmt.Errorf("it has rule %s, which is not loaded", id)
		}
		if is := st.plan.Rules[i]; is.ID != id || is.Hash() != hash {
			return fmt.Errorf("it has rule %s (%.12s), loaded is %s (%.12s)", id, hash, is.ID, is.Hash())
		}
	}
	if r.Err == nil && n < len(st.plan.Rules) {
		return fmt.Errorf("it has %d rules, loaded are %d", n, len(st.plan.Rules))
	}
	st.start, st.blind, st.board.shed = r.Int(), r.Int(), r.Int()
	layouts := r.lineage()
	if err := r.end(); err != nil {
		return err
	}
	if st.layouts, err = layouts.follow(&st.plan.Layout); err != nil {
		return err
	}
	st.ways, err = windows.Succeed(nil, st.layouts...)
	return err
}

// appendOnState appends what is stored of an on-state that is shown; of none it
// is nil.
func (st *State) appendOnState(dst []byte, s *onState) []byte {
	if s == nil {
		return nil
	}
	dst, start := state.BeginRecord(dst)
	w := encoder{state.Writer{B: dst}}
	w.Fixed(st.marks[s.rule].hash)
	w.onState(s)
	state.EndRecord(w.B, start, onStateVersion)
	return w.B
}

// readOnState reads what appendOnState wrote of the on-state of a place.
func (st *State) readOnState(place windows.Key, b []byte) (*onState, error) {
	body, rest, err := state.ReadRecord(b, onStateVersion)
	if err != nil {
		return nil, err
	}
	r := decoder{Reader: state.Reader{B: body}, plan: st.plan}
	r.check(len(rest) == 0, "%d bytes behind it", len(rest))
	hash := r.Fixed()
	s := r.onState()
	if err := r.end(); err != nil {
		return nil, err
	}
	r.check(st.marks[s.rule].hash == hash && st.placeOf(s) == place, "an on-state at another one's place")
	return s, r.Err
}

// appendHead appends what the unit keeps besides its keys, grants and what is
// shown of it: counters, and what waits for the next boundary.
func (u *Unit) appendHead() (dst []byte) {
	dst, start := state.BeginRecord(dst)
	w := encoder{state.Writer{B: dst}}
	w.Int(u.swept)
	w.Int(u.shed.Decisions)
	w.Int(u.shed.Histories)
	w.Int(u.shed.OnStates)
	w.onStates(u.raised)
	mail := make([]*message, 0, len(u.mail))
	for _, m := range u.mail {
		mail = append(mail, m)
	}
	slices.SortFunc(mail, compareMail)
	w.Uint(uint64(len(mail)))
	for _, m := range mail {
		w.message(m)
	}
	state.EndRecord(w.B, start, unitVersion)
	return w.B
}

func compareMail(a, b *message) int {
	return cmp.Or(cmp.Compare(a.rule, b.rule), cmp.Compare(a.entry, b.entry), compareKeys(a.origin, b.origin))
}

// readHead reads what appendHead wrote; what follows it comes back. The board
// must have been read.
func (u *Unit) readHead(b []byte) (rest []byte, err error) {
	body, rest, err := state.ReadRecord(b, unitVersion)
	if err != nil {
		return nil, err
	}
	r := decoder{Reader: state.Reader{B: body}, plan: u.state.plan}
	u.swept, u.shed.Decisions, u.shed.Histories, u.shed.OnStates = r.Int(), r.Int(), r.Int(), r.Int()
	for _, s := range r.onStates() {
		u.putRaised(onKey{s.rule, s.key.Lo}, s)
	}
	var last *message
	r.each(func() {
		m := r.message(u.state.board)
		if r.Err == nil && r.check(last == nil || compareMail(last, m) < 0, "candidates out of order") {
			u.putMail(mailKey{m.rule, m.entry, m.origin}, m)
		}
		last = m
	})
	return rest, r.end()
}

func compareKeys(a, b windows.Key) int {
	return cmp.Or(cmp.Compare(a.Hi, b.Hi), cmp.Compare(a.Lo, b.Lo))
}

func (w *encoder) onStates(on map[onKey]*onState) {
	ss := make([]*onState, 0, len(on))
	for _, s := range on {
		ss = append(ss, s)
	}
	slices.SortFunc(ss, compareOnStates)
	w.Uint(uint64(len(ss)))
	for _, s := range ss {
		w.onState(s)
	}
}

func compareOnStates(a, b *onState) int {
	return cmp.Or(cmp.Compare(a.rule, b.rule), cmp.Compare(a.key.Lo, b.key.Lo))
}

func (r *decoder) onStates() (ss []*onState) {
	r.each(func() {
		s := r.onState()
		if r.Err == nil && r.check(len(ss) == 0 || compareOnStates(ss[len(ss)-1], s) < 0, "on-states out of order") {
			ss = append(ss, s)
		}
	})
	return ss
}

func (w *encoder) onState(s *onState) {
	w.Uint(uint64(s.rule))
	w.key(s.key)
	w.target(s.values)
	w.raw(s.raw)
	w.Int(s.until)
	w.Uint(uint64(s.entries))
	w.floats(s.features)
	w.spans(s.spans)
}

func (r *decoder) onState() *onState {
	n, ok := r.rule()
	if !ok {
		return nil
	}
	s := &onState{rule: n, key: r.key(), values: r.target(), raw: r.raw(), until: r.Int()}
	s.entries = uint16(r.below(1<<len(r.plan.Rules[n].Then), "entries"))
	s.features, s.spans = r.floats(), r.spans()
	r.fits(n, s.values, s.raw, s.features)
	return s
}

// fits checks that there is a value for each field of a rule's key, and one
// for each of its features.
func (r *decoder) fits(rule int, values event.Target, raw [][]byte, features []float64) {
	is := r.plan.Rules[rule]
	r.check(len(values) == len(is.Key) && len(raw) == len(is.Key), "%d and %d values, %s has %d", len(values), len(raw), is.ID, len(is.Key))
	r.check(len(features) == len(is.Features), "%d features, %s has %d", len(features), is.ID, len(is.Features))
}

// message writes a candidate that waits for the next boundary. What a member's
// has of its population is shown on the board.
func (w *encoder) message(m *message) {
	w.Uint(uint64(m.rule))
	w.Uint(uint64(m.entry))
	w.key(m.origin)
	w.Bool(m.ask)
	w.Uint(uint64(m.rest))
	w.Int(m.at)
	w.Uint(uint64(m.bit))
	w.target(m.target)
	w.key(m.dest)
	w.floats(m.given)
	w.spans(m.spans)
	if m.on != nil {
		w.Fixed(m.on.key.Lo)
		return
	}
	w.target(m.key)
	w.raw(m.raw)
	w.floats(m.features)
}

func (r *decoder) message(b *board) *message {
	n, ok := r.rule()
	if !ok {
		return nil
	}
	m := &message{rule: n, entry: r.below(len(r.plan.Rules[n].Then), "entry")}
	if r.Err != nil {
		return nil
	}
	c, e := &r.plan.Rules[n].Then[m.entry], &r.plan.rules[n].entries[m.entry]
	m.origin, m.ask = r.key(), r.Bool()
	m.rest = uint16(r.below(1<<len(r.plan.Rules[n].Then), "entries"))
	m.at = r.Int()
	m.bit = uint8(r.below(windows.MaxBits, "bit"))
	m.target, m.dest = r.target(), r.key()
	m.given, m.spans = r.floats(), r.spans()
	m.began, m.to = m.at, m.dest
	r.check(!e.local && m.ask == c.asksTarget(), "a candidate whose condition is asked at the wrong place")
	inline := 0
	if m.ask {
		inline = len(e.cond.inline)
	}
	r.check(len(m.given) == inline, "%d aggregates, the entry has %d", len(m.given), inline)
	if e.member >= 0 {
		if m.on = b.on[onKey{n, r.Fixed()}]; !r.check(m.on != nil, "a member of a population that is not shown") {
			return nil
		}
		m.key, m.raw, m.features = m.on.values, m.on.raw, m.on.features
		return m
	}
	m.key, m.raw, m.features = r.target(), r.raw(), r.floats()
	r.fits(n, m.key, m.raw, m.features)
	return m
}
