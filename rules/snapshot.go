package rules

import (
	"cmp"
	"container/heap"
	"fmt"
	"slices"
	"time"

	"weir/event"
	"weir/state"
	"weir/windows"
)

// unitVersion is the format version of an encoded unit's rules part.
const unitVersion = 1

// Recode encodes unit i, drops it and puts the decoded one in its place.
// Nothing may come out differently.
func (st *State) Recode(i int) error {
	u, err := st.restoreUnit(st.units[i].appendSnapshot(nil), st.limit/int64(len(st.units)))
	if err != nil {
		return fmt.Errorf("unit %d: %w", i, err)
	}
	u.decisions, u.shed, u.swept = st.units[i].decisions, st.units[i].shed, st.units[i].swept
	st.units[i] = u
	return nil
}

// appendSnapshot appends all that the unit knows, in an order of its own:
// equal units are equal bytes.
func (u *Unit) appendSnapshot(dst []byte) []byte {
	var w encoder
	gs := make([]*grant, 0, len(u.grants))
	for _, of := range u.grants {
		gs = append(gs, of...)
	}
	slices.SortFunc(gs, func(a, b *grant) int {
		return cmp.Or(compareKeys(a.target, b.target), cmp.Compare(a.rule, b.rule),
			cmp.Compare(a.action, b.action), cmp.Compare(a.except, b.except))
	})
	w.Uint(uint64(len(gs)))
	for _, g := range gs {
		w.grant(g)
	}
	on := make([]*onState, 0, len(u.raised))
	for _, s := range u.raised {
		on = append(on, s)
	}
	slices.SortFunc(on, func(a, b *onState) int {
		return cmp.Or(cmp.Compare(a.rule, b.rule), compareKeys(a.key, b.key))
	})
	w.Uint(uint64(len(on)))
	for _, s := range on {
		w.onState(s)
	}
	mail := make([]*message, 0, len(u.mail))
	for _, m := range u.mail {
		mail = append(mail, m)
	}
	slices.SortFunc(mail, func(a, b *message) int {
		return cmp.Or(cmp.Compare(a.rule, b.rule), cmp.Compare(a.entry, b.entry), compareKeys(a.origin, b.origin))
	})
	w.Uint(uint64(len(mail)))
	for _, m := range mail {
		w.message(m)
	}
	dst, start := state.BeginRecord(dst)
	dst = append(dst, w.B...)
	state.EndRecord(dst, start, unitVersion)
	return u.win.AppendSnapshot(dst)
}

func (st *State) restoreUnit(b []byte, limit int64) (*Unit, error) {
	body, rest, err := state.ReadRecord(b, unitVersion)
	if err != nil {
		return nil, err
	}
	win, err := windows.RestoreUnit(&st.plan.Layout, limit, rest)
	if err != nil {
		return nil, err
	}
	u := newUnit(st, win)
	r := decoder{Reader: state.Reader{B: body}, plan: st.plan}
	for range r.Len() {
		g := r.grant()
		u.grants[g.target] = append(u.grants[g.target], g)
		if g.until != 0 {
			heap.Push(&u.ends, g)
		} else {
			u.ended++
		}
	}
	for range r.Len() {
		s := r.onState()
		u.raised[onKey{s.rule, s.key.Lo}] = s
	}
	for range r.Len() {
		m := r.message()
		u.mail[mailKey{m.rule, m.entry, m.origin}] = m
	}
	return u, r.Err
}

func compareKeys(a, b windows.Key) int {
	return cmp.Or(cmp.Compare(a.Hi, b.Hi), cmp.Compare(a.Lo, b.Lo))
}

type encoder struct{ state.Writer }

func (w *encoder) key(k windows.Key) { w.Fixed(k.Hi); w.Fixed(k.Lo) }

func (w *encoder) target(t event.Target) {
	w.Uint(uint64(len(t)))
	for _, v := range t {
		w.String(v.Field)
		w.String(v.Text)
	}
}

func (w *encoder) floats(fs []float64) {
	w.Uint(uint64(len(fs)))
	for _, f := range fs {
		w.Float(f)
	}
}

func (w *encoder) raw(vs [][]byte) {
	w.Uint(uint64(len(vs)))
	for _, v := range vs {
		w.String(string(v))
	}
}

func (w *encoder) spans(ss []event.Span) {
	w.Uint(uint64(len(ss)))
	for _, s := range ss {
		w.String(s.Source)
		w.Int(int64(s.Partition))
		w.Int(s.First)
		w.Int(s.Last)
	}
}

func (w *encoder) grant(g *grant) {
	w.key(g.target)
	w.Int(int64(g.rule))
	w.Int(int64(g.entry))
	w.Uint(uint64(g.action))
	w.Uint(uint64(g.except))
	w.Int(g.until)
	w.Int(g.length)
	w.Int(g.evidence)
	w.Uint(g.onset)
	w.Uint(uint64(len(g.made)))
	for _, t := range g.made {
		w.Int(t)
	}
	w.String(g.first)
	d := &g.last
	w.Bool(g.until != 0)
	if g.until == 0 {
		return
	}
	w.Uint(uint64(d.Mode))
	w.String(d.To)
	w.target(d.Target)
	w.String(d.Except)
	w.target(d.Key)
	w.Uint(uint64(len(d.Evidence)))
	for _, m := range d.Evidence {
		w.String(m.Name)
		w.Float(m.Value)
	}
	w.Float(d.Good)
	w.Float(d.Tried)
	w.Bool(d.Clean)
	w.spans(d.Sources)
}

func (w *encoder) onState(s *onState) {
	w.Int(int64(s.rule))
	w.key(s.key)
	w.target(s.values)
	w.raw(s.raw)
	w.Int(s.until)
	w.Uint(uint64(s.entries))
	w.floats(s.features)
	w.spans(s.spans)
}

func (w *encoder) message(m *message) {
	w.Int(int64(m.rule))
	w.Int(int64(m.entry))
	w.key(m.to)
	w.Bool(m.ask)
	w.Uint(uint64(m.rest))
	w.Int(m.at)
	w.Int(m.began)
	w.Bool(m.past)
	w.target(m.key)
	w.raw(m.raw)
	w.floats(m.features)
	w.floats(m.given)
	w.spans(m.spans)
	w.Bool(m.on != nil)
	if m.on != nil {
		w.onState(m.on)
	}
	w.key(m.origin)
	w.Uint(uint64(m.bit))
	w.target(m.target)
	w.key(m.dest)
}

type decoder struct {
	state.Reader
	plan *Plan
}

// rule takes off a rule's number; one that there is no rule for is an error.
func (r *decoder) rule() int {
	n := int(r.Int())
	if n < 0 || n >= len(r.plan.Rules) {
		if r.Err == nil {
			r.Err = fmt.Errorf("%w: rule %d of %d", state.ErrCorrupt, n, len(r.plan.Rules))
		}
		return 0
	}
	return n
}

func (r *decoder) entry(rule int) int {
	n := int(r.Int())
	if n < 0 || n >= len(r.plan.Rules[rule].Then) {
		if r.Err == nil {
			r.Err = fmt.Errorf("%w: entry %d of rule %s", state.ErrCorrupt, n, r.plan.Rules[rule].ID)
		}
		return 0
	}
	return n
}

func (r *decoder) key() windows.Key { return windows.Key{Hi: r.Fixed(), Lo: r.Fixed()} }

func (r *decoder) target() (t event.Target) {
	for range r.Len() {
		t = append(t, event.Value{Field: r.String(), Text: r.String()})
	}
	return t
}

func (r *decoder) floats() (fs []float64) {
	for range r.Len() {
		fs = append(fs, r.Float())
	}
	return fs
}

func (r *decoder) raw() (vs [][]byte) {
	for range r.Len() {
		vs = append(vs, []byte(r.String()))
	}
	return vs
}

func (r *decoder) spans() (ss []event.Span) {
	for range r.Len() {
		ss = append(ss, event.Span{Source: r.String(), Partition: int32(r.Int()), First: r.Int(), Last: r.Int()})
	}
	return ss
}

func (r *decoder) grant() *grant {
	g := &grant{target: r.key(), rule: r.rule()}
	g.entry = r.entry(g.rule)
	g.action, g.except = event.Action(r.Uint()), event.Field(r.Uint())
	g.until, g.length, g.evidence, g.onset = r.Int(), r.Int(), r.Int(), r.Uint()
	for range r.Len() {
		g.made = append(g.made, r.Int())
	}
	g.first = r.String()
	if !r.Bool() {
		return g
	}
	rule := r.plan.Rules[g.rule]
	d := &g.last
	d.Rule, d.Version, d.Severity, d.Would = rule.ID, rule.Version, rule.Severity, g.action
	d.Mode, d.To = event.Stage(r.Uint()), r.String()
	d.Target, d.Except, d.Key = r.target(), r.String(), r.target()
	for range r.Len() {
		d.Evidence = append(d.Evidence, event.Measure{Name: r.String(), Value: r.Float()})
	}
	d.Good, d.Tried, d.Clean, d.Sources = r.Float(), r.Float(), r.Bool(), r.spans()
	d.Time, d.Until = time.Time{}, time.Time{}
	return g
}

func (r *decoder) onState() *onState {
	return &onState{
		rule: r.rule(), key: r.key(), values: r.target(), raw: r.raw(), until: r.Int(),
		entries: uint16(r.Uint()), features: r.floats(), spans: r.spans(),
	}
}

func (r *decoder) message() *message {
	m := &message{rule: r.rule()}
	m.entry = r.entry(m.rule)
	m.to, m.ask, m.rest, m.at = r.key(), r.Bool(), uint16(r.Uint()), r.Int()
	m.began = r.Int()
	m.past = r.Bool()
	m.key, m.raw, m.features, m.given, m.spans = r.target(), r.raw(), r.floats(), r.floats(), r.spans()
	if r.Bool() {
		m.on = r.onState()
	}
	m.origin, m.bit, m.target, m.dest = r.key(), uint8(r.Uint()), r.target(), r.key()
	return m
}
