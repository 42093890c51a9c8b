package pipeline_test

import (
	"fmt"
	"slices"
	"sort"

	"weir/event"
	"weir/rules"
)

// truth is a rule that was true for a key at a tick, with its figures then.
type truth struct {
	rule     *rules.Rule
	key      oracleKey
	tick     int64
	off      int64 // on at ticks before this one
	features []float64
	sources  []event.Span
	noted    []int // the entries about members that the walk came by
}

// onKey is a rule's on-state for a key: what it is, and what other keys see
// since the last boundary.
type onKey struct {
	latest, visible *truth
	changed         bool // since the last boundary
	shown           int  // noted entries of visible, when it became so
}

// entries returns the noted entries that other keys see.
func (s *onKey) entries() []int { return s.visible.noted[:s.shown] }

// subject is who walks a ladder: a key of the rule, or a member of one.
type subject struct {
	*truth
	key     oracleKey // its own
	tick    int64     // as of
	sources []event.Span
	member  bool
	past    bool  // a member that was not touched at the tick
	entries []int // of a member: the noted ones as others see them
}

// candidate is a consequence on its way to its target's unit.
type candidate struct {
	subject
	entry  int
	target oracleKey
	open   bool // whether the if is still to be answered, with the target's facts
	read   func(i int) float64
}

// walk goes through the ladder from an entry on, until one holds.
func (o *oracle) walk(s *subject, from int) {
	for i := from; i < len(s.rule.Then); i++ {
		c := &s.rule.Then[i]
		if c.Except != event.NoField && !o.standingAt(s.tick-1).defined {
			continue
		}
		members := c.Members(s.rule.Key)
		if s.member {
			if !slices.Contains(s.entries, i) || !slices.Equal(s.key.fields, union(s.rule.Key, members)) {
				continue
			}
		} else if len(members) > 0 {
			s.noted = append(s.noted, i)
			continue
		}
		target := s.key.project(c.Dims)
		own := len(target.fields) == len(s.key.fields)
		switch {
		case own:
			if o.holds(s, c, target, s.tick, nil) {
				o.decide(s, i, target, s.tick)
				return
			}
		case c.If == nil || !c.If.Target:
			if o.holds(s, c, target, s.tick, nil) {
				o.carry(&candidate{subject: *s, entry: i, target: target})
				return
			}
		default:
			read := o.reader(s.rule, c.If, s.features, o.byRule[s.rule].of(s.key), s.tick)
			o.carry(&candidate{subject: *s, entry: i, target: target, open: true, read: read})
			return
		}
	}
}

// holds reports whether a consequence's if holds for the subject.
func (o *oracle) holds(s *subject, c *rules.Consequence, target oracleKey, tick int64, read func(int) float64) bool {
	if c.If == nil {
		return true
	}
	if read == nil {
		read = o.reader(s.rule, c.If, s.features, o.byRule[s.rule].of(s.key), tick)
	}
	env := &rules.Env{Read: read, Signal: o.signals(s.rule, c.If, s.truth.key, tick)}
	if c.If.Target {
		env.Good, env.Tried, env.Clean = o.goodTriedClean(target, tick)
	}
	return c.If.Eval(env)
}

// carry sends a candidate; of several of one rule, key and entry the last
// counts, but that of a past member is one more.
func (o *oracle) carry(c *candidate) {
	o.carried[fmt.Sprintf("%s\x00%s\x00%d\x00%v", c.rule.ID, c.key, c.entry, c.past)] = c
}

// signals answers a condition's signals for key k as of tick: whether the rule
// was on for these values at some tick within the window, strictly earlier, as
// far as it was visible.
func (o *oracle) signals(by *rules.Rule, c *rules.Cond, k oracleKey, tick int64) func(i int) bool {
	return func(i int) bool {
		for _, r := range o.rules {
			if r.ID != c.Signals[i].Rule {
				continue
			}
			state := o.on[r][signalKey(by, k, r.Key).String()]
			return state != nil && state.visible != nil &&
				state.visible.off > tick-int64(c.Signals[i].Window)
		}
		return false
	}
}

// signalKey returns the key of these fields that a rule with key k asks about:
// what k lacks, the rule's where fixes.
func signalKey(by *rules.Rule, k oracleKey, fields []event.Field) oracleKey {
	for _, f := range fields {
		if v, ok := by.Fixed(f); ok && !slices.Contains(k.fields, f) {
			k = oracleKey{fields: append(slices.Clone(k.fields), f), values: append(slices.Clone(k.values), v)}
		}
	}
	return k.project(fields)
}

// comingMembers walks the members touched in a tick whose population is on.
func (o *oracle) comingMembers(r *rules.Rule, fresh []*oracleRow, tick int64) {
	for _, fields := range memberShapes(r) {
		for _, m := range touched(r, fresh, fields) {
			state := o.on[r][m.project(r.Key).String()]
			if state == nil || state.visible == nil || state.visible.off <= tick {
				continue
			}
			rows := within(o.byRule[r].of(m), tick-1, tick)
			o.walk(&subject{truth: state.visible, key: m, tick: tick, sources: sources(rows), member: true, entries: state.entries()}, 0)
		}
	}
}

// memberShapes returns the shapes of the keys of a rule's members, in the
// order of the ladder.
func memberShapes(r *rules.Rule) [][]event.Field {
	var shapes [][]event.Field
	for i := range r.Then {
		members := r.Then[i].Members(r.Key)
		if len(members) == 0 {
			continue
		}
		shape := union(r.Key, members)
		if !slices.ContainsFunc(shapes, func(s []event.Field) bool { return slices.Equal(s, shape) }) {
			shapes = append(shapes, shape)
		}
	}
	return shapes
}

func union(a, b []event.Field) []event.Field {
	u := slices.Concat(a, b)
	slices.Sort(u)
	return slices.Compact(u)
}

// waiting reports whether anything waits for a boundary.
func (o *oracle) waiting() bool {
	if len(o.carried) > 0 {
		return true
	}
	for _, keys := range o.on {
		for _, state := range keys {
			if state.changed {
				return true
			}
		}
	}
	return false
}

// boundary is "Boundary B" of ADR 2.
func (o *oracle) boundary(b int64) {
	for _, s := range o.show(b) {
		o.walk(s, 0)
	}
	// Candidates are decided in rounds until none is left.
	for len(o.carried) > 0 {
		round := make([]*candidate, 0, len(o.carried))
		for _, c := range o.carried {
			round = append(round, c)
		}
		clear(o.carried)
		sort.Slice(round, func(i, j int) bool { return round[i].before(round[j]) })
		for _, c := range round {
			if c.open && !o.holds(&c.subject, &c.rule.Then[c.entry], c.target, b, c.read) {
				rest := c.subject
				rest.tick = b
				o.walk(&rest, c.entry+1)
				if !rest.member {
					o.on[c.rule][c.truth.key.String()].changed = true
				}
				continue
			}
			o.decide(&c.subject, c.entry, c.target, b)
		}
	}
}

// before orders a round: by target, rule, entry and key, a past member's first.
func (c *candidate) before(d *candidate) bool {
	if a, b := c.target.String(), d.target.String(); a != b {
		return a < b
	}
	if c.rule != d.rule {
		return c.rule.ID < d.rule.ID
	}
	if c.entry != d.entry {
		return c.entry < d.entry
	}
	if a, b := c.key.String(), d.key.String(); a != b {
		return a < b
	}
	if c.tick != d.tick {
		return c.past && !d.past
	}
	return c.past && !d.past
}

// show makes the on-states visible and returns the past members of those that
// were not visible before, or show entries that they did not.
func (o *oracle) show(b int64) []*subject {
	var past []*subject
	for _, r := range o.rules {
		for _, state := range o.on[r] {
			if !state.changed {
				continue
			}
			state.changed = false
			was, had := state.visible, []int(nil)
			if was != nil && was.off > b {
				had = state.entries()
			}
			state.visible, state.shown = state.latest, len(state.latest.noted)
			if !slices.Equal(had, state.latest.noted) {
				past = append(past, o.pastMembers(state, b)...)
			}
		}
	}
	return past
}

// pastMembers returns the members that the rule's where touched within its
// longest window.
func (o *oracle) pastMembers(state *onKey, b int64) []*subject {
	var past []*subject
	v := state.visible
	rows := within(o.byRule[v.rule].of(v.key), retained(v.rule).Start(b), b)
	for _, fields := range memberShapes(v.rule) {
		for _, m := range touched(v.rule, rows, fields) {
			past = append(past, &subject{truth: v, key: m, tick: b, sources: v.sources, member: true, past: true, entries: state.entries()})
		}
	}
	return past
}

// evidence returns the rule's features under their names.
func (v *truth) evidence() []event.Measure {
	var ms []event.Measure
	for i, f := range v.rule.Features {
		ms = append(ms, event.Measure{Name: f.Name, Value: v.features[i]})
	}
	return ms
}
