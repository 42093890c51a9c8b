package rules

import (
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
	return w.appendFeatures(nil)
}

// appendFeatures reads them from the key.
func (w *walk) appendFeatures(dst []float64) []float64 {
	ev := w.unit.ev
	ev.at(w.slot, w.at, w.unit.state.plan.rules[w.rule].features, nil)
	return ev.appendAll(dst)
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
