package rules

import (
	"weir/event"
	"weir/windows"
)

// Complete returns the tick from which on all that a rule reads is there: its
// features, its conditions and those of its consequences, with the targets,
// standing and signals that they ask for. It is 0 where all of that has been
// collected since the state began.
func (p *Plan) Complete(rule int) (from int64) { return p.complete(rule, map[int]int64{}) }

// CompleteFeature is Complete for one feature of a rule.
func (p *Plan) CompleteFeature(rule, feature int) (from int64) {
	r, rp := p.Rules[rule], &p.rules[rule]
	f := &r.Features[feature]
	return max(p.completeReading(rp.table, rp.features[feature]), p.completeStanding(r.Where, f.Window), p.completeConds(&f.Aggregate))
}

// complete is Complete with what was found of other rules. A rule is entered
// before those whose signals it reads, so that a circle would end too.
func (p *Plan) complete(rule int, found map[int]int64) (from int64) {
	if from, ok := found[rule]; ok {
		return from
	}
	found[rule] = 0
	r, rp := p.Rules[rule], &p.rules[rule]
	for i := range r.Features {
		from = max(from, p.CompleteFeature(rule, i))
	}
	from = max(from, p.completeStanding(r.Where, rp.longest), p.completeCond(rp.table, r.When, &rp.when, found))
	for n := range rp.entries {
		e, c := &rp.entries[n], &r.Then[n]
		t := rp.table
		if e.member >= 0 {
			t = e.member
		}
		from = max(from, p.completeCond(t, c.If, &e.cond, found))
		if c.If != nil && c.If.Target {
			from = max(from, p.completeTarget(e.target, r.Where.Kinds))
		}
		if c.Except != event.NoField {
			from = max(from, p.completeFact(Known, c.Except, 0))
		}
	}
	for t := range p.tables {
		for _, m := range p.tables[t].members {
			if m.rule == rule {
				from = max(from, p.whole(t, m.seen, rp.longest))
			}
		}
	}
	found[rule] = from
	return from
}

// whole returns the tick from which on a window of a series is there.
func (p *Plan) whole(t, series int, w windows.Window) int64 {
	if since := p.since(t, series, w); since > 0 {
		return since + int64(w)
	}
	return 0
}

func (p *Plan) completeReading(t int, rd reading) (from int64) {
	from = p.whole(t, rd.a, rd.window)
	if rd.fn == Ratio || rd.fn == RatioLow {
		from = max(from, p.whole(t, rd.b, rd.window))
	}
	if since := p.since(t, rd.a, windows.W7d); rd.fn == Surge && since > 0 {
		from = max(from, since+int64(windows.W7d))
	}
	return from
}

// completeCond is for a condition on a table's keys; c may be nil.
func (p *Plan) completeCond(t int, c *Cond, cp *condPlan, found map[int]int64) (from int64) {
	if c == nil {
		return 0
	}
	for i, rd := range cp.inline {
		from = max(from, p.completeReading(t, rd), p.completeConds(&c.Inline[i]))
	}
	for _, s := range cp.signals {
		if other := p.complete(s.rule, found); other > 0 {
			from = max(from, other+int64(s.window))
		}
	}
	return from
}

// completeTarget is for good, tried and clean of a target of some kinds of
// endpoints.
func (p *Plan) completeTarget(t int, kinds uint32) (from int64) {
	tr := p.tables[t].target
	add := func(series int, ws ...windows.Window) {
		for _, w := range ws {
			from = max(from, p.whole(t, series, w))
			if joined := p.Layout.Tables[t].Series[series].KindsSince(kinds); joined > 0 {
				from = max(from, joined+int64(w))
			}
		}
	}
	add(tr.tries, windows.W1h, windows.W7d)
	add(tr.successes, windows.W1h, windows.W7d)
	add(tr.triedActors, windows.W7d)
	add(tr.goodActors, windows.W7d)
	return from
}

func (p *Plan) completeConds(a *Aggregate) int64 {
	return max(p.completeStanding(a.Cond, a.Window), p.completeStanding(a.Of, a.Window))
}

// completeStanding is for what a condition asks of the standing of the events
// in a window; c may be nil.
func (p *Plan) completeStanding(c *EventCond, w windows.Window) (from int64) {
	if c == nil {
		return 0
	}
	for k, fields := range c.Standing {
		for _, f := range fields {
			from = max(from, p.completeFact(Fact(k), f, w))
		}
	}
	return from
}

// completeFact is for a fact of a field of the events in a window.
func (p *Plan) completeFact(k Fact, f event.Field, w windows.Window) int64 {
	for t := range p.tables {
		tb := &p.tables[t]
		if len(tb.fields) == 1 && tb.fields[0] == f && tb.standing[k] != nil {
			return asked(p.sinceRead(t, tb.standing[k]), w)
		}
	}
	return 0
}

// asked returns when a window has only events whose standing rests on seven
// whole days, where they are collected since a tick. What is published at an
// hour is used for the events of the next one.
func asked(since int64, w windows.Window) int64 {
	if since <= 0 {
		return 0
	}
	return wholeFrom(since, windows.W7d) + 3600 + int64(w)
}
