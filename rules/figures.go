package rules

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"strings"

	"weir/event"
	"weir/windows"
)

// Figures returns how the target of a decision in force stands at a tick that
// was run; without a decision how the whole site does, where the plan keeps that
// (PlanOptions.Site). Where rules keep targets of that shape apart, since they
// see other kinds of endpoints of them, each figure is the most of any. Of a
// target where nobody need show to be a customer (a sign-up, a gift card) they are those of
// its fields that say who. ok is false where the plan does not keep targets of
// that shape, or nothing is held of this one. All units must be at rest.
//
// What was found is kept with a.Memo: a ledger asks for thousands at a time, and
// most of them are as they were. The figures of a target that nothing came from
// are those of up to ten minutes before.
func (st *State) Figures(a *event.Asked, tick int64) (f event.Figures, ok bool) {
	id := ""
	if a.Decision != nil {
		id = cmp.Or(a.Renews, a.ID)
	}
	m, known := a.Memo.(*places)
	if !known || m.plan != st.plan || m.id != id {
		m = st.placesOf(a.Decision, id, tick)
		a.Memo = m
	}
	fresh := tick < m.asked || tick >= m.asked+freshFor
	for i := range m.own {
		fresh = st.touched(&m.own[i], m.asked) || fresh
	}
	if !fresh {
		return m.figures, m.held
	}
	for i := range m.own {
		if g, held := st.figuresAt(&m.own[i], m, tick); held {
			ok = true
			f = event.Figures{Good: max(f.Good, g.Good), Tried: max(f.Tried, g.Tried), Regulars: max(f.Regulars, g.Regulars)}
		}
	}
	m.asked, m.figures, m.held = tick, f, ok
	return f, ok
}

// freshFor is for how long, in seconds, the figures of a target stand that
// nothing happens at.
const freshFor = 600

// places is where the figures of a decision's target are, and what they were.
type places struct {
	plan   *Plan
	id     string // of the decision
	except event.Field
	began  made // as far as regulars go
	told   bool // by the grant of the decision whom it hit then
	own    []place

	asked   int64 // the tick of the figures
	figures event.Figures
	held    bool
}

// place is a key that a plan keeps figures of; who is its part that says who,
// where that is what counts.
type place struct {
	table int
	key   windows.Key
	slot  uint32 // where the key was found
	who   *place
}

// touched reports whether something came that a place's figures count, since a
// tick.
func (st *State) touched(at *place, since int64) bool {
	u := st.units[at.key.Unit(len(st.units))]
	if slot, ok := u.win.FindAt(at.slot, at.table, at.key); ok {
		if at.slot = slot; u.win.LastTouch(slot) > since {
			return true
		}
	}
	return at.who != nil && st.touched(at.who, since)
}

// placesOf finds where the figures of a decision's target are; of none, the
// whole site's.
func (st *State) placesOf(d *event.Decision, id string, tick int64) *places {
	p := st.plan
	m := &places{plan: p, id: id, began: made{tick, everyone}, asked: math.MinInt64 / 2}
	var target event.Target
	if d != nil {
		target, m.began.tick = d.Target, d.Time.Unix()
		if except, ok := p.ParseExcept(d.Except); ok {
			m.except = except
		}
	}
	fields, values, ok := p.ParseTarget(target)
	if !ok {
		return m
	}
	at := func(t int) place {
		tb := &p.tables[t]
		return place{table: t, key: tb.keyOf(func(i int) uint64 { return p.hashValue(values[slices.Index(fields, tb.fields[i])]) })}
	}
	for t := range p.tables {
		if _, _, kept := p.tables[t].actors(); !kept || !slices.Equal(p.tables[t].fields, fields) {
			continue
		}
		own := at(t)
		if tr := p.tables[t].target; tr != nil && tr.who >= 0 {
			who := at(tr.who)
			own.who = &who
		}
		m.own = append(m.own, own)
	}
	for i := range m.own {
		k := m.own[i].key
		u := st.units[k.Unit(len(st.units))]
		for _, g := range u.grants[k.Hi] {
			if d != nil && g.is(d, id, m.except) {
				m.began, m.told = u.began(g), true
			}
		}
	}
	// Only a table that a rule with the exception decides by knows whom it spares.
	spares := func(at place) bool { return p.tables[at.table].target.spares(m.except) }
	if m.except != event.NoField && slices.ContainsFunc(m.own, spares) {
		m.own = slices.DeleteFunc(m.own, func(at place) bool { return !spares(at) })
	}
	return m
}

// is reports whether a grant is that of a decision: in force, or, as the ledger's
// clock may be behind, over and remembered.
func (g *grant) is(d *event.Decision, id string, except event.Field) bool {
	if g.until != 0 {
		return g.first == id
	}
	return g.by.id == d.Rule && g.action == d.Would && g.except == except &&
		slices.ContainsFunc(g.made, func(m made) bool { return m.tick == d.Time.Unix() })
}

// spares reports whether a target's table tells whom an exception spares.
func (tr *targetReads) spares(except event.Field) bool {
	return tr != nil && slices.ContainsFunc(tr.spared, func(e exceptReads) bool { return e.field == except })
}

// figuresAt returns the figures of one key. Where it is one where strangers
// succeed, too, and nobody is good, who is good elsewhere tells whom a decision would keep out.
func (st *State) figuresAt(at *place, m *places, tick int64) (f event.Figures, ok bool) {
	f, ok = st.figuresSince(at, m, tick)
	if m.told {
		f.Regulars = m.began.of(f.Good)
	}
	if at.who == nil || f.Good > 0 || !st.provesNothing(at, tick) {
		return f, ok
	}
	if who, held := st.figuresSince(at.who, m, tick); held {
		return who, true
	}
	return f, ok
}

// provesNothing reports whether a key is about an endpoint where success vouches for
// nobody: the rules see no others, or that is all that succeeded there.
func (st *State) provesNothing(at *place, tick int64) bool {
	tr := st.plan.tables[at.table].target
	if tr.kinds&^(event.Vouchless|event.Namely) == 0 {
		return true
	}
	u := st.units[at.key.Unit(len(st.units))]
	slot, ok := u.win.FindIn(at.table, at.key)
	return ok && u.win.Total(slot, tr.successes, windows.W7d, tick) > 0
}

// figuresSince returns the figures of one key; its regulars are those from
// before the decision, as far as its windows still tell, else all good ones.
func (st *State) figuresSince(at *place, m *places, tick int64) (f event.Figures, ok bool) {
	tb := &st.plan.tables[at.table]
	u := st.units[at.key.Unit(len(st.units))]
	slot, ok := u.win.FindIn(at.table, at.key)
	if !ok {
		return f, false
	}
	good, tried, _ := tb.actors()
	f.Good = math.Round(u.win.Distinct(slot, good, windows.W7d, tick))
	f.Tried = math.Round(u.win.Distinct(slot, tried, windows.W7d, tick))
	f.Regulars = f.Good
	if tb.target != nil {
		if n, known := u.before(at.table, slot, m.except, m.began.tick, tick); known {
			f.Regulars = min(f.Good, float64(n))
		}
	}
	return f, true
}

// actors returns the series of the actors that succeeded and of those that
// tried, if the table keeps them.
func (t *table) actors() (good, tried int, ok bool) {
	switch {
	case t.target != nil:
		return t.target.goodActors, t.target.triedActors, true
	case t.site != nil:
		return t.site.good, t.site.tried, true
	}
	return 0, 0, false
}

// ParseTarget takes apart the target of a decision: its fields, ascending, and
// their values as event.AppendValue writes them. ok is false where it is not
// one that these rules could name.
func (p *Plan) ParseTarget(t event.Target) (fields []event.Field, values [][]byte, ok bool) {
	type value struct {
		field event.Field
		raw   []byte
	}
	vs := make([]value, len(t))
	for i, v := range t {
		f := event.FieldByName(v.Field)
		if extra, ok := strings.CutPrefix(v.Field, "x."); ok {
			f = p.extras.Field(extra)
		}
		if f == event.NoField {
			return nil, nil, false
		}
		raw, ok := parseValue(f, v.Text)
		if !ok {
			return nil, nil, false
		}
		vs[i] = value{f, raw}
	}
	slices.SortFunc(vs, func(a, b value) int { return int(a.field) - int(b.field) })
	for _, v := range vs {
		fields, values = append(fields, v.field), append(values, v.raw)
	}
	return fields, values, true
}

// parseValue is the way back of event.FormatValue.
func parseValue(f event.Field, text string) ([]byte, bool) {
	if f != event.FieldIP && f != event.FieldNet {
		return []byte(text), text != ""
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, false
		}
		addr = prefix.Addr()
	}
	ev := event.Event{IP: addr}
	v := ev.AppendValue(nil, f)
	return v, string(event.FormatValue(nil, f, v)) == text
}
