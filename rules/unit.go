package rules

import (
	"container/heap"
	"slices"

	"weir/event"
	"weir/windows"
)

// Unit is the atom of state: some of the keys, with what is on for them and
// what was decided about them. One goroutine runs a unit at a time.
type Unit struct {
	state *State
	win   *windows.Unit

	grants     map[uint64][]*grant // in force or lately so, by target
	grantBytes int64               // that they hold
	granted    records
	ends       endQueue

	shown    map[windows.Key]*onState // of the board, those of this unit's keys, by place
	shownNow records

	raised      map[onKey]*onState   // since the last boundary
	raisedBytes int64                // that they hold
	mail        map[mailKey]*message // since the last boundary
	mailBytes   int64                // that it holds
	urgent      []*message           // made at a boundary, for its next round
	urgentBytes int64                // that those of past members hold

	swept     int64
	decisions []event.Decision
	ended     int // grants that are no longer in force
	shed      Shed

	ev         *evaluator
	rows       []windows.Row
	from       []*windows.Deltas
	values     [][]byte
	found      [][windows.MaxFacts]foundValues // by table, of each fact the values of which it is so
	foundBytes int64
}

func newUnit(st *State, win *windows.Unit) *Unit {
	u := &Unit{
		state: st, win: win,
		grants: map[uint64][]*grant{}, shown: map[windows.Key]*onState{}, raised: map[onKey]*onState{}, mail: map[mailKey]*message{},
	}
	u.granted = records{table: grantTable, value: func(dst []byte, place windows.Key) []byte { return u.placed(place).append(dst) }}
	u.shownNow = records{table: onStateTable, value: func(dst []byte, place windows.Key) []byte { return u.state.appendOnState(dst, u.shown[place]) }}
	u.ev = newEvaluator(u)
	if win != nil {
		win.Keep(st.plan.facts())
	}
	return u
}

// Windows returns the unit's windows, for counting what is in them.
func (u *Unit) Windows() *windows.Unit { return u.win }

// Tick closes the second before tick: it folds that second's rows, all of this
// unit, and evaluates the keys that they touch. Rows of one key may stand in
// any order. from is as in windows.Unit.Fold.
func (u *Unit) Tick(tick int64, rows []windows.Row, from []*windows.Deltas) {
	u.End(tick)
	if len(rows) == 0 {
		return
	}
	u.expire(floor(tick-1, 3600))
	u.win.Fold(tick, rows, from)
	u.rows, u.from = rows, from
	for _, t := range u.win.Touched() {
		u.evaluate(t, tick)
	}
	u.rows, u.from = nil, nil
	if u.state.given.Accounted > 0 {
		u.win.Shed(tick)
	}
}

// End ends the decisions whose time has come by a tick.
func (u *Unit) End(tick int64) {
	for u.ends.Len() > 0 && u.ends.first().until <= tick {
		u.endFirst()
	}
}

// NextEnd returns the tick at which the next decision ends; ok is false where
// none is in force.
func (u *Unit) NextEnd() (tick int64, ok bool) {
	if u.ends.Len() == 0 {
		return 0, false
	}
	return u.ends.first().until, true
}

// evaluate looks at one touched key: its rules, the rules that it is a member
// for, and what was refused of it.
func (u *Unit) evaluate(t windows.Touch, tick int64) {
	tb := &u.state.plan.tables[t.Table]
	for _, e := range tb.rules {
		if t.Mask>>e.bit&1 == 1 {
			u.evaluateRule(e, t, tick)
		}
	}
	if len(tb.members) > 0 {
		parent := u.win.Parent(t.Slot)
		for _, e := range tb.members {
			if t.Mask>>e.bit&1 == 0 {
				continue
			}
			if on := u.state.board.visible(e.rule, parent, tick); on != nil && on.entries&e.entries != 0 {
				w := walk{unit: u, rule: e.rule, at: tick, tick: tick, on: on, slot: t.Slot, key: t.Key, bit: e.bit}
				w.members(on.entries & e.entries)
			}
		}
	}
	if tb.target != nil && t.Mask>>tb.target.refused&1 == 1 {
		u.renewRefused(t, tb.target, tick)
	}
}

func (u *Unit) evaluateRule(e evaluation, t windows.Touch, tick int64) {
	p := u.state.plan
	rp, r := &p.rules[e.rule], p.Rules[e.rule]
	u.ev.at(t.Slot, tick, rp.features, nil)
	u.ev.raw, u.ev.given = nil, nil
	if p.watch != nil {
		p.watch.look(u, e.rule, t, tick)
	}
	holds := u.ev.eval(r.When, &rp.when, nil)
	if u.win.Pressed() && (holds || u.ev.near(r.When, &rp.when)) {
		u.win.Near(t.Slot)
	}
	if !holds {
		return
	}
	w := walk{unit: u, rule: e.rule, at: tick, tick: tick, slot: t.Slot, key: t.Key, bit: e.bit}
	noted := w.ladder(0)
	if rp.shared {
		u.raise(&w, noted)
	}
}

// raise notes that the walk's rule is on from its tick.
func (u *Unit) raise(w *walk, noted uint16) {
	k := onKey{w.rule, w.key.Lo}
	until := w.tick + u.state.plan.rules[w.rule].on
	if u.raised[k] == nil && full(len(u.raised), u.raisedBytes, u.state.limits.travel) {
		u.shed.OnStates++
		return
	}
	u.putRaised(k, &onState{
		rule: w.rule, key: w.key, values: w.keyTarget(), raw: w.keyRaw(),
		until: until, entries: noted, features: w.featureValues(), spans: w.spans(),
	})
}

func (u *Unit) putRaised(k onKey, s *onState) {
	if was := u.raised[k]; was != nil {
		u.raisedBytes -= was.size()
	}
	u.raised[k], u.raisedBytes = s, u.raisedBytes+s.size()
}

func (u *Unit) takeRaised() []*onState {
	u.raisedBytes = 0
	if len(u.raised) == 0 {
		return nil
	}
	out := make([]*onState, 0, len(u.raised))
	for _, s := range u.raised {
		out = append(out, s)
	}
	clear(u.raised)
	return out
}

// pastMembers walks the members that this unit holds of freshly shown
// populations, as of a boundary.
func (u *Unit) pastMembers(fresh []*onState, b int64) {
	p := u.state.plan
	for t := range p.tables {
		for _, e := range p.tables[t].members {
			wanted := map[uint64]*onState{}
			for _, s := range fresh {
				if s.rule == e.rule && s.entries&e.entries != 0 && s.until > b {
					wanted[s.key.Lo] = s
				}
			}
			if len(wanted) == 0 {
				continue
			}
			u.walkPast(t, e, wanted, b)
		}
	}
}

// walkPast walks the members of one table that a rule wants, those with the
// smallest keys where there is not room for all. It remembers only the keys of
// those for which an entry would do something: there may be more members than
// memory holds.
func (u *Unit) walkPast(t int, e evaluation, wanted map[uint64]*onState, b int64) {
	walkOf := func(slot uint32, on *onState) walk {
		return walk{unit: u, rule: e.rule, at: b, tick: b, on: on, slot: slot, key: u.win.KeyOf(slot), bit: e.bit, past: true}
	}
	var found pastMembers
	u.win.Scan(t, func(parent uint64) bool { return wanted[parent] != nil }, func(slot uint32, parent uint64) (keep bool) {
		w := walkOf(slot, wanted[parent])
		if u.win.Total(slot, e.seen, u.state.plan.rules[e.rule].longest, b) > 0 && w.acts(w.on.entries&e.entries) {
			if found.add(pastMember{w.key, w.on}, u.state.limits.travel) {
				u.shed.Decisions++
			}
		}
		return false
	})
	slices.SortFunc(found, func(a, b pastMember) int { return compareKeys(a.key, b.key) })
	for _, m := range found {
		if slot, ok := u.win.Find(m.key); ok {
			w := walkOf(slot, m.on)
			w.members(m.on.entries & e.entries)
		}
	}
}

// pastMember is a member of a population that has just been shown to be on.
type pastMember struct {
	key windows.Key
	on  *onState
}

// pastMembers are the members with the smallest keys of those that were added;
// it is a heap with the largest of them on top.
type pastMembers []pastMember

func (m pastMembers) Len() int           { return len(m) }
func (m pastMembers) Less(i, j int) bool { return compareKeys(m[i].key, m[j].key) > 0 }
func (m pastMembers) Swap(i, j int)      { m[i], m[j] = m[j], m[i] }

// Push is for container/heap.
func (m *pastMembers) Push(x any) { *m = append(*m, x.(pastMember)) }

// Pop is for container/heap.
func (m *pastMembers) Pop() any {
	old := *m
	*m = old[:len(old)-1]
	return old[len(old)-1]
}

// add adds a member; it reports true where there were as many as may be, so
// that one had to go.
func (m *pastMembers) add(p pastMember, limit int) (full bool) {
	if len(*m) < limit {
		heap.Push(m, p)
		return false
	}
	if compareKeys(p.key, (*m)[0].key) < 0 {
		(*m)[0] = p
		heap.Fix(m, 0)
	}
	return true
}

// spansOf returns, per partition, the first and last offset of the last
// folded rows of a key that have the bit.
func (u *Unit) spansOf(slot uint32, bit uint8) []event.Span {
	var spans []event.Span
	u.win.RowsOf(slot, func(i int) {
		if u.rows[i].Mask>>bit&1 == 0 {
			return
		}
		o := &u.from[u.rows[i].From].Events[u.rows[i].Event]
		for k := range spans {
			if spans[k].Partition == o.Partition {
				spans[k].First, spans[k].Last = min(spans[k].First, o.Offset), max(spans[k].Last, o.Offset)
				return
			}
		}
		spans = append(spans, event.Span{Partition: o.Partition, First: o.Offset, Last: o.Offset})
	})
	slices.SortFunc(spans, func(a, b event.Span) int { return int(a.Partition) - int(b.Partition) })
	return spans
}

// named gives spans their source's name and that source's own partition number.
func (st *State) named(spans []event.Span) []event.Span {
	out := make([]event.Span, len(spans))
	for i, s := range spans {
		s.Source, s.Partition = st.names(s.Partition)
		out[i] = s
	}
	return out
}
