package main

import (
	"slices"

	"weir/event"
	"weir/rules"
)

// ruleSight is what a rule sees of a log.
type ruleSight struct {
	rule   *rules.Rule
	extras event.Extras
	where  []condSight
	sees   int64 // events for which its where holds
	needs  []need
	aggs   []aggSight // its features, then the aggregates inside when
	ladder [][]aggSight
}

// condSight is one conjunct of a condition.
type condSight struct {
	cond     *rules.EventCond
	standing bool  // asks what is known of a value, which a single look cannot say
	held     int64 // for how many events; of one that asks what is known, as if nothing were
}

// ofStrangers returns facts by which nothing is known of anybody.
func ofStrangers(lookups map[string]func(string) bool) rules.Facts {
	nobody := func(*event.Event, event.Field) (uint64, bool) { return 0, false }
	return rules.Facts{Standing: rules.NewStanding(true, nobody), Lookups: lookups}
}

// need is a field that the rule reads, and how many events that it sees have it.
type need struct {
	field event.Field
	n     int64
}

// aggSight is one aggregate.
type aggSight struct {
	*rules.Aggregate
	name  string
	conds []condSight
}

func newRuleSight(r *rules.Rule, x event.Extras) *ruleSight {
	s := &ruleSight{rule: r, extras: x, where: sights(r.Where)}
	s.need(r.Key...)
	for i := range r.Features {
		s.aggs = append(s.aggs, s.aggregate(&r.Features[i].Aggregate, r.Features[i].Name))
	}
	for i := range r.When.Inline {
		s.aggs = append(s.aggs, s.aggregate(&r.When.Inline[i], ""))
	}
	for i := range r.Then {
		c := &r.Then[i]
		s.need(c.Dims...)
		var inline []aggSight
		if c.If != nil {
			for j := range c.If.Inline {
				inline = append(inline, s.aggregate(&c.If.Inline[j], ""))
			}
		}
		s.ladder = append(s.ladder, inline)
	}
	return s
}

func sights(conds ...*rules.EventCond) (out []condSight) {
	for _, c := range conds {
		if c == nil {
			continue
		}
		for _, part := range c.Conjuncts {
			out = append(out, condSight{cond: part, standing: part.AsksStanding()})
		}
	}
	return out
}

func (s *ruleSight) need(fields ...event.Field) {
	for _, f := range fields {
		if f != event.NoField && !slices.ContainsFunc(s.needs, func(n need) bool { return n.field == f }) {
			s.needs = append(s.needs, need{field: f})
		}
	}
}

func (s *ruleSight) aggregate(a *rules.Aggregate, name string) aggSight {
	g := aggSight{Aggregate: a, name: name, conds: sights(a.Cond, a.Of)}
	s.need(a.Field)
	for _, c := range g.conds {
		s.need(c.cond.Fields...)
	}
	return g
}

// add shows the rule an event.
func (s *ruleSight) add(ev *event.Event, filled uint64, facts *rules.Facts) {
	if !holds(s.where, ev, facts) {
		return
	}
	s.sees++
	for i := range s.needs {
		s.needs[i].n += int64(filled >> s.needs[i].field & 1)
	}
	for i := range s.aggs {
		holds(s.aggs[i].conds, ev, facts)
	}
	for _, inline := range s.ladder {
		for i := range inline {
			holds(inline[i].conds, ev, facts)
		}
	}
}

// holds counts which of some conditions hold, and reports whether all do.
func holds(conds []condSight, ev *event.Event, facts *rules.Facts) bool {
	all := true
	for i := range conds {
		c := &conds[i]
		if c.cond.Match(ev, facts) {
			c.held++
		} else if !c.standing {
			all = false
		}
	}
	return all
}
