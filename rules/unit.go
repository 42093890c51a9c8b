package rules

import (
	"slices"

	"weir/event"
	"weir/windows"
)

// Unit is the atom of state: some of the keys, with what is on for them and
// what was decided about them. One goroutine runs a unit at a time.
type Unit struct {
	state *State
	win   *windows.Unit

	grants map[windows.Key][]*grant // in force or lately so, by target
	ends   endQueue
	raised map[onKey]*onState   // since the last boundary
	mail   map[mailKey]*message // since the last boundary
	urgent []*message           // made at a boundary, for its next round

	swept     int64
	decisions []event.Decision
	ended     int // grants that are no longer in force
	shed      Shed

	ev     *evaluator
	rows   []windows.Row
	from   []*windows.Deltas
	values [][]byte
}

func newUnit(st *State, win *windows.Unit) *Unit {
	u := &Unit{
		state: st, win: win,
		grants: map[windows.Key][]*grant{}, raised: map[onKey]*onState{}, mail: map[mailKey]*message{},
	}
	u.ev = newEvaluator(u)
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
	if u.state.limit > 0 {
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
	if !u.ev.eval(r.When, &rp.when, nil) {
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
	if u.raised[k] == nil && len(u.raised) >= u.state.limits.travel {
		u.shed.OnStates++
		return
	}
	until := w.tick + u.state.plan.rules[w.rule].on
	u.raised[k] = &onState{
		rule: w.rule, key: w.key, values: w.keyTarget(), raw: w.keyRaw(),
		until: until, entries: noted, features: w.featureValues(), spans: w.spans(),
	}
}

func (u *Unit) takeRaised() []*onState {
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
			type member struct {
				slot uint32
				on   *onState
			}
			var found []member
			u.win.Scan(t, func(slot uint32, parent uint64) {
				if on := wanted[parent]; on != nil {
					found = append(found, member{slot, on})
				}
			})
			// In an order of their own, since there may not be room for all.
			slices.SortFunc(found, func(a, b member) int { return compareKeys(u.win.KeyOf(a.slot), u.win.KeyOf(b.slot)) })
			for _, m := range found {
				if u.win.Total(m.slot, e.seen, p.rules[e.rule].longest, b) == 0 {
					continue
				}
				w := walk{unit: u, rule: e.rule, at: b, tick: b, on: m.on, slot: m.slot, key: u.win.KeyOf(m.slot), bit: e.bit, past: true}
				w.members(m.on.entries & e.entries)
			}
		}
	}
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
