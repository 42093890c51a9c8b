package rules

import (
	"fmt"
	"slices"

	"weir/event"
	"weir/windows"
)

// failedText is an outcome condition that the plan itself asks; those that
// visits can stand in for are tried and succeeded.
const failedText = `outcome == "failure"`

// tried returns the condition that something was tried.
func (p *planner) tried() int {
	if !p.visits {
		return p.text(`outcome != ""`)
	}
	return p.cond(&EventCond{
		Text: `outcome != "" or unjudged`, Kinds: allKinds,
		Match: func(ev *event.Event, _ *Facts) bool { return ev.Outcome != event.NoOutcome || ev.Unjudged },
	})
}

// succeeded returns the condition that it succeeded, or that a visitor did it.
func (p *planner) succeeded() int {
	if !p.visits {
		return p.text(`outcome == "success"`)
	}
	return p.cond(&EventCond{
		Text: `outcome == "success" or unjudged and visited`, Kinds: allKinds,
		Match: func(ev *event.Event, f *Facts) bool {
			return ev.Outcome == event.Success || ev.Unjudged && f != nil && f.Standing.Visited(ev)
		},
	})
}

// vouched returns the condition that it succeeded where only a customer can, or
// that a visitor did it.
func (p *planner) vouched() int {
	const text = `outcome == "success" and kind not in ["reset", "signup"] and ` +
		`(kind not in ["balance", "checkout", "giftcard", "transfer"] or credential != "" or consumer != "")`
	if !p.visits {
		return p.text(text)
	}
	return p.cond(&EventCond{
		Text: text + " or unjudged and visited", Kinds: allKinds,
		Match: func(ev *event.Event, f *Facts) bool {
			return ev.Outcome == event.Success && ev.Vouches() || ev.Unjudged && f != nil && f.Standing.Visited(ev)
		},
	})
}

// hit returns the condition that a success vouches for somebody whom the
// exception would not have spared.
func (p *planner) hit(except event.Field) int {
	good := p.conds[p.vouched()]
	return p.cond(&EventCond{
		Text: good.Text + " of none known(" + p.extras.Name(except) + ")", Kinds: good.Kinds, Standing: askedFacts{Known: {except}},
		Match: func(ev *event.Event, f *Facts) bool {
			return f != nil && f.Standing.Tells(Known, except) && good.Match(ev, f) && !f.Standing.Is(Known, ev, except)
		},
	})
}

// targetOf makes t keep what good, tried, clean and law 9 ask of a target.
//
// All events of a target count, not only those that the rule sees. Where the
// target's values fix the kind of endpoint, only events of kinds that the rule
// sees can be the target's, so the others need not touch the table at all.
func (p *planner) targetOf(t int, r *Rule, except event.Field) {
	kinds := ^uint32(0)
	if fixesKind(p.tables[t].fields) {
		kinds = r.Where.Kinds
	}
	tr := p.tables[t].target
	if tr == nil {
		tr = &targetReads{who: -1}
		p.tables[t].target = tr
	}
	tr.kinds |= kinds
	if except != event.NoField && !tr.spares(except) {
		tr.spared = append(tr.spared, exceptReads{field: except})
	}
	if who := whoOf(p.tables[t].fields); kinds&^(event.Vouchless|event.Namely) == 0 && len(who) > 0 {
		w := p.table(who, -1)
		p.targetOf(w, r, except)
		p.tables[w].remote = true
		p.tables[t].target.who = w
	}
}

// whoOf returns the fields of a target that say who, not where.
func whoOf(fs []event.Field) []event.Field {
	return slices.DeleteFunc(slices.Clone(fs), func(f event.Field) bool {
		switch f {
		case event.FieldSite, event.FieldMethod, event.FieldPath, event.FieldQuery, event.FieldEndpoint, event.FieldKind,
			event.FieldItem, event.FieldStatus, event.FieldProtocol, event.FieldDeprecated:
			return true
		}
		return false
	})
}

// planTarget enters the series behind good, tried, clean and law 9.
func (p *planner) planTarget(t int) {
	tr := p.tables[t].target
	of := noCond
	if fixesKind(p.tables[t].fields) {
		of = p.cond(kindsCond(tr.kinds))
		p.ofKinds[of] = tr.kinds
	}
	tried, good := p.tried(), p.vouched()
	// Where a target is one endpoint, clean is of what happens there: whom a
	// block would stop from signing up succeeds in signing up.
	ok := good
	if of != noCond {
		ok = p.succeeded()
	}
	tr.events = p.series(t, windows.Count, p.bit(t, of, noCond), 0, windows.W10m)
	tr.refused = p.bit(t, refusedBit, of)
	tr.refusals = p.series(t, windows.Count, tr.refused, 0, windows.W10m)
	actor := p.observe(event.FieldActor, false)
	triedBit, okBit, goodBit := p.bit(t, of, tried), p.bit(t, of, ok), p.bit(t, of, good)
	for _, w := range []windows.Window{windows.W1h, windows.W7d} {
		tr.tries = p.series(t, windows.Count, triedBit, 0, w)
		tr.successes = p.series(t, windows.Count, okBit, 0, w)
	}
	tr.triedActors = p.series(t, windows.Distinct, triedBit, actor, windows.W7d)
	tr.goodActors = p.series(t, windows.Distinct, goodBit, actor, windows.W7d)
	tr.vouched = p.series(t, windows.Count, goodBit, 0, windows.W7d)
	for i := range tr.spared {
		e := &tr.spared[i]
		e.hit = p.series(t, windows.Count, p.bit(t, of, p.hit(e.field)), 0, windows.W7d)
	}
}

// faint returns the bit of events that only law 9 counts: whoever no rule has
// looked at needs no key, since nothing is decided about him. That holds only
// where all that is decided about the table's keys begins with them.
func (p *planner) faint(t int) uint64 {
	tb := &p.tables[t]
	series := p.Layout.Tables[t].Series
	bit := series[tb.target.events].Bit
	shared := tb.remote || len(series[tb.target.events].Windows) > 1
	for i, s := range series {
		shared = shared || s.Bit == bit && i != tb.target.events
	}
	for _, e := range slices.Concat(tb.rules, tb.members) {
		shared = shared || e.bit == bit
	}
	if shared {
		return 0
	}
	return 1 << bit
}

// refusedBit stands in for a condition number in the bit of refused events,
// which no other condition is asked of.
const refusedBit = -2

// fixesKind reports whether all events of a target of these fields are of one
// kind of endpoint.
func fixesKind(fs []event.Field) bool {
	return contains(fs, event.FieldEndpoint) || contains(fs, event.FieldKind)
}

// kindsCond is the condition that an event's endpoint is of one of the kinds.
// It stands also for all of them: a rule that comes or goes may change which
// they are, and what is kept of a target is the same series all the while.
func kindsCond(kinds uint32) *EventCond {
	const all = 1<<event.NumKinds - 1
	return &EventCond{
		Text:  fmt.Sprintf("kind in mask %#x", kinds&all),
		Match: func(ev *event.Event, _ *Facts) bool { return kinds>>ev.Kind&1 == 1 },
		Kinds: kinds & all,
	}
}

// planStanding plans the tables behind the facts that a rule's conditions and
// exceptions ask for.
func (p *planner) planStanding(r *Rule) {
	for k, fields := range standingFields(r) {
		for _, f := range fields {
			t := p.table([]event.Field{f}, -1)
			if p.tables[t].standing[k] == nil {
				p.tables[t].standing[k] = p.standingReads(Fact(k), t)
			}
		}
	}
}

func (p *planner) standingReads(k Fact, t int) *standingReads {
	if k == Seen {
		return &standingReads{more: p.series(t, windows.Count, p.bit(t, noCond, noCond), 0, windows.W7d), than: -1}
	}
	success := p.series(t, windows.Count, p.bit(t, noCond, p.vouched()), 0, windows.W7d)
	failure := p.series(t, windows.Count, p.bit(t, noCond, p.text(failedText)), 0, windows.W7d)
	if k == Denied {
		return &standingReads{more: failure, than: success}
	}
	return &standingReads{more: success, than: failure}
}

// planVisits plans the table behind visits: what each actor asked for.
func (p *planner) planVisits() {
	unjudged := p.cond(&EventCond{
		Text: "unjudged", Kinds: allKinds, Match: func(ev *event.Event, _ *Facts) bool { return ev.Unjudged },
	})
	t := p.table([]event.Field{event.FieldActor}, -1)
	p.tables[t].visits = &visitReads{
		all:    p.series(t, windows.Count, p.bit(t, unjudged, noCond), 0, windows.W7d),
		assets: p.series(t, windows.Count, p.bit(t, unjudged, p.text(`kind == "asset"`)), 0, windows.W7d),
	}
}

// planSite plans the table of a single key, that of no values, behind the
// figures of the empty target. Behind all other tables, and it brings no field:
// nothing else comes out differently.
func (p *planner) planSite() {
	t := p.table(nil, -1)
	actor := p.observe(event.FieldActor, false)
	p.tables[t].site = &siteReads{
		good:  p.series(t, windows.Distinct, p.bit(t, noCond, p.vouched()), actor, windows.W7d),
		tried: p.series(t, windows.Distinct, p.bit(t, noCond, p.tried()), actor, windows.W7d),
	}
}

// standingFields lists by fact the fields of which a rule reads it.
func standingFields(r *Rule) (fields askedFacts) {
	add := func(c *EventCond) {
		if c != nil {
			for k := range fields {
				fields[k] = append(fields[k], c.Standing[k]...)
			}
		}
	}
	aggregates := func(as []Aggregate) {
		for _, a := range as {
			add(a.Cond)
			add(a.Of)
		}
	}
	add(r.Where)
	for _, f := range r.Features {
		add(f.Cond)
		add(f.Of)
	}
	aggregates(r.When.Inline)
	for _, c := range r.Then {
		if c.If != nil {
			aggregates(c.If.Inline)
		}
		if c.Except != event.NoField {
			fields[Known] = append(fields[Known], c.Except)
		}
	}
	return fields
}
