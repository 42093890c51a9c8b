package rules

import (
	"cmp"
	"slices"

	"weir/event"
	"weir/windows"
)

// walk goes down a rule's ladder for one key, or for one member of a
// population. See docs/adr/0002.
type walk struct {
	unit *Unit
	rule int
	at   int64 // as of which tick aggregates are read
	tick int64 // of the decisions made

	slot uint32 // of the key, or of the member
	key  windows.Key
	bit  uint8
	past bool // the key was not touched at this tick

	on   *onState // the population, of a member's walk
	mail *message // where the walk was resumed from
}

// ladder walks the entries from i on about the key itself and returns the
// entries about members that it passed.
func (w *walk) ladder(i int) (noted uint16) {
	p := w.unit.state.plan
	r, rp := p.Rules[w.rule], &p.rules[w.rule]
	for ; i < len(rp.entries); i++ {
		e, c := &rp.entries[i], &r.Then[i]
		if w.passedOver(c) {
			continue
		}
		if e.member >= 0 {
			noted |= 1 << i
			continue
		}
		if w.entry(i, e, c, 0) {
			break
		}
	}
	return noted
}

// members walks the given entries for one member.
func (w *walk) members(entries uint16) {
	p := w.unit.state.plan
	r, rp := p.Rules[w.rule], &p.rules[w.rule]
	for i := range rp.entries {
		if entries>>i&1 == 0 || w.passedOver(&r.Then[i]) {
			continue
		}
		if w.entry(i, &rp.entries[i], &r.Then[i], entries>>(i+1)<<(i+1)) {
			return
		}
	}
}

// passedOver reports whether an entry has an exception that nobody can know yet.
func (w *walk) passedOver(c *Consequence) bool {
	return c.Except != event.NoField && !w.unit.state.knows(c.Except, w.tick-1)
}

// acts reports whether members would do something.
func (w *walk) acts(entries uint16) bool {
	p := w.unit.state.plan
	r, rp := p.Rules[w.rule], &p.rules[w.rule]
	for i := range rp.entries {
		if entries>>i&1 == 1 && !w.passedOver(&r.Then[i]) {
			if holds, _ := w.holds(&rp.entries[i], &r.Then[i]); holds {
				return true
			}
		}
	}
	return false
}

// holds evaluates an entry's condition as far as that can be done here. One
// that is asked at its target holds here; f are the target's figures where
// that is here.
func (w *walk) holds(e *entryPlan, c *Consequence) (ok bool, f figures) {
	w.read()
	if e.local {
		f = w.unit.figuresOf(e.target, w.slot, w.at)
		return w.unit.ev.eval(c.If, &e.cond, &f), f
	}
	return c.asksTarget() || w.unit.ev.eval(c.If, &e.cond, nil), f
}

// asksTarget reports whether the entry's condition reads good, tried or clean.
func (c *Consequence) asksTarget() bool { return c.If != nil && c.If.Target }

// entry tries one entry; it returns true where the walk ends here, because the
// entry holds or because it is asked at its target, where the walk may go on.
func (w *walk) entry(i int, e *entryPlan, c *Consequence, rest uint16) bool {
	ok, f := w.holds(e, c)
	switch {
	case !ok:
		return false
	case e.local:
		w.unit.decide(w, i, w.key, f)
	default:
		w.send(i, e, c.asksTarget(), rest)
	}
	return true
}

// read points the unit's evaluator to what a condition of the ladder may ask.
func (w *walk) read() {
	ev := w.unit.ev
	features := w.unit.state.plan.rules[w.rule].features
	ev.given = nil
	ev.at(w.slot, w.at, features, w.carried())
	ev.raw = w.carriedRaw()
}

// carried returns the feature values that came with a population or a message;
// nil where they are read from the key.
func (w *walk) carried() []float64 {
	switch {
	case w.on != nil:
		return w.on.features
	case w.mail != nil:
		return w.mail.features
	}
	return nil
}

func (w *walk) carriedRaw() [][]byte {
	switch {
	case w.on != nil:
		return w.on.raw
	case w.mail != nil:
		return w.mail.raw
	}
	return nil
}

// featureValues returns the evidence: the values of the rule's features.
func (w *walk) featureValues() []float64 {
	if f := w.carried(); f != nil {
		return f
	}
	ev := w.unit.ev
	ev.at(w.slot, w.at, w.unit.state.plan.rules[w.rule].features, nil)
	return ev.all()
}

// keyRaw returns the values of the rule's key as keys keep them.
func (w *walk) keyRaw() [][]byte {
	if raw := w.carriedRaw(); raw != nil {
		return raw
	}
	return w.slotRaw()
}

// slotRaw returns copies of the values of the walked key or member.
func (w *walk) slotRaw() [][]byte {
	vs := w.unit.win.AppendValues(w.slot, nil)
	for i := range vs {
		vs[i] = slices.Clone(vs[i])
	}
	return vs
}

// keyTarget returns the rule's key for reading.
func (w *walk) keyTarget() event.Target {
	p := w.unit.state.plan
	switch {
	case w.on != nil:
		return w.on.values
	case w.mail != nil:
		return w.mail.key
	}
	return p.format(p.tables[p.rules[w.rule].table].fields, w.slotRaw())
}

// spans returns where the events are that the walk rests on.
func (w *walk) spans() []event.Span {
	switch {
	case w.mail != nil:
		return w.mail.spans
	case w.past:
		return w.on.spans
	}
	return w.unit.spansOf(w.slot, w.bit)
}

// target returns the entry's target for reading, and raw.
func (w *walk) target(e *entryPlan) (event.Target, [][]byte) {
	p := w.unit.state.plan
	from := w.slotRaw()
	raw := make([][]byte, len(e.from))
	for i, at := range e.from {
		raw[i] = from[at]
	}
	return p.format(p.tables[e.target].fields, raw), raw
}

// format writes a key's values as decisions show them.
func (p *Plan) format(fields []event.Field, raw [][]byte) event.Target {
	t := make(event.Target, len(fields))
	for i, f := range fields {
		t[i] = event.Value{Field: p.extras.Name(f), Text: string(event.FormatValue(nil, f, raw[i]))}
	}
	return t
}

// message travels between units at a boundary: a candidate to its target's
// unit, or a walk that goes on back to the unit it came from.
type message struct {
	to     windows.Key
	resume bool // go on with the walk behind entry

	rule, entry int
	ask         bool   // the entry's condition is still to be evaluated
	rest        uint16 // of a member's walk, the entries behind this one
	at          int64  // the tick of the evidence
	began       int64  // the tick at which the walk began

	key      event.Target // of the rule
	raw      [][]byte
	features []float64
	given    []float64 // the values of the entry's inline aggregates
	spans    []event.Span
	on       *onState // of a member's walk

	past   bool        // made at a boundary, of a past member
	origin windows.Key // the key, or the member, that was walked
	bit    uint8
	target event.Target
	dest   windows.Key // the target
}

// mailKey: of several candidates between two boundaries the last one counts.
type mailKey struct {
	rule, entry int
	origin      windows.Key
}

func compareMessages(a, b *message) int {
	return cmp.Or(
		compareTargets(a.target, b.target), cmp.Compare(a.rule, b.rule), cmp.Compare(a.entry, b.entry),
		compareTargets(a.key, b.key), cmp.Compare(a.origin.Hi, b.origin.Hi), cmp.Compare(a.origin.Lo, b.origin.Lo),
		// A member may have been touched and walked again as a past one.
		cmp.Compare(b.at, a.at), cmp.Compare(b.order(), a.order()))
}

// order puts that of two candidates of one member and one tick first which was
// made at the boundary itself.
func (m *message) order() int {
	if m.past {
		return 1
	}
	return 0
}

// send makes a candidate of the entry for its target's unit.
func (w *walk) send(i int, e *entryPlan, ask bool, rest uint16) {
	p := w.unit.state.plan
	m := &message{
		rule: w.rule, entry: i, ask: ask, rest: rest, at: w.at,
		key: w.keyTarget(), raw: w.keyRaw(), features: w.featureValues(), spans: w.spans(), on: w.on,
		origin: w.key, bit: w.bit, began: w.at,
	}
	m.past = w.past
	if w.mail != nil {
		m.began, m.past = w.mail.began, w.mail.past
	}
	if ask && len(e.cond.inline) > 0 {
		m.given = make([]float64, len(e.cond.inline))
		for k := range m.given {
			m.given[k] = w.unit.load(w.slot, &e.cond.inline[k], w.at)
		}
	}
	var raw [][]byte
	m.target, raw = w.target(e)
	m.dest = p.tables[e.target].keyOf(func(i int) uint64 { return p.hashValue(raw[i]) })
	m.to = m.dest
	u := w.unit
	k := mailKey{m.rule, m.entry, m.origin}
	switch limit := u.state.limits.travel; {
	case w.mail != nil: // one for each that came
		u.urgent = append(u.urgent, m)
	case w.past && !full(len(u.urgent), u.urgentBytes, limit):
		u.urgent, u.urgentBytes = append(u.urgent, m), u.urgentBytes+m.size()
	case !w.past && (u.mail[k] != nil || !full(len(u.mail), u.mailBytes, limit)):
		u.putMail(k, m)
	default:
		u.shed.Decisions++
	}
}

func (u *Unit) putMail(k mailKey, m *message) {
	if was := u.mail[k]; was != nil {
		u.mailBytes -= was.size()
	}
	u.mail[k], u.mailBytes = m, u.mailBytes+m.size()
}

func (u *Unit) takeMail() []*message {
	out := u.urgent
	u.urgent, u.urgentBytes, u.mailBytes = nil, 0, 0
	for _, m := range u.mail {
		out = append(out, m)
	}
	clear(u.mail)
	return out
}

// receive handles a message at boundary b.
func (u *Unit) receive(m *message, b int64) {
	p := u.state.plan
	e, c := &p.rules[m.rule].entries[m.entry], &p.Rules[m.rule].Then[m.entry]
	if m.resume {
		u.resume(m, b)
		return
	}
	f, slot := u.findTarget(e.target, m.dest, b)
	if m.ask {
		u.ev.at(slot, b, p.rules[m.rule].features, m.features)
		u.ev.given = m.given
		u.ev.raw = m.raw
		holds := u.ev.eval(c.If, &e.cond, &f)
		u.ev.given = nil
		if !holds {
			back := *m
			back.resume, back.to = true, m.origin
			u.urgent = append(u.urgent, &back)
			return
		}
	}
	w := walk{unit: u, rule: m.rule, at: m.at, tick: b, slot: slot, mail: m}
	u.decide(&w, m.entry, m.dest, f)
}

// resume goes on with a walk behind an entry that did not hold at its target.
func (u *Unit) resume(m *message, b int64) {
	p := u.state.plan
	slot, ok := u.win.Find(m.origin)
	if !ok {
		return // its state was shed meanwhile
	}
	w := walk{unit: u, rule: m.rule, at: b, tick: b, slot: slot, key: m.origin, bit: m.bit, on: m.on, mail: m}
	if m.on != nil {
		w.members(m.rest)
		return
	}
	noted := w.ladder(m.entry + 1)
	if noted == 0 {
		return
	}
	// It is the on-state of the tick at which the walk began that has more
	// entries now; if the rule was true again since, that walk counts.
	k := onKey{m.rule, m.origin.Lo}
	if s := u.state.board.on[k]; s != nil && s.until == m.began+p.rules[m.rule].on {
		more := *s
		more.entries |= noted
		u.putRaised(k, &more)
	}
}
