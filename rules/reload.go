package rules

import (
	"errors"
	"fmt"

	"weir/event"
	"weir/windows"
)

// Reload returns what the state becomes under another plan from a tick on: a
// whole ten seconds whose exchange is over, with no checkpoint going on and
// what was decided drained. The plan's layout is this one's, or inherits from
// it; then the windows go over by way of the store, so a checkpoint of this
// moment must be on disk. The state itself is not to be used any more, unless
// an error comes back. See docs/adr/0010.
//
// What is in force stays so until its end, by the rule that decided it. Of rules
// that do what they did (see Rule.Hash) on-states and steps are kept; those of
// others begin anew.
func (st *State) Reload(p *Plan, stage func(rule string) event.Stage, tick int64) (*State, error) {
	to, err := st.reload(p, stage, tick)
	if err != nil {
		return nil, fmt.Errorf("reload: %w", err)
	}
	return to, nil
}

func (st *State) reload(p *Plan, stage func(rule string) event.Stage, tick int64) (*State, error) {
	if err := st.atRest(tick); err != nil {
		return nil, err
	}
	to := newState(p, st.of, st.given, stage, st.names)
	to.start, to.blind = st.start, st.blind
	to.asksMore = p.asksMore(st.plan)
	to.judgeWhole()
	var err error
	if to.layouts, err = st.layouts.follow(&p.Layout); err != nil {
		return nil, err
	}
	to.layouts = to.layouts.pruned(tick)
	if to.ways, err = windows.Succeed(st.ways, to.layouts...); err != nil {
		return nil, err
	}
	wins := make([]*windows.Unit, st.of)
	for i, u := range st.units {
		if wins[i], err = to.windowsOf(u, p.Layout.Serial == st.plan.Layout.Serial); err != nil {
			return nil, fmt.Errorf("unit %d: %w", i, err)
		}
	}
	to.board.shed, to.left = st.board.shed, st.left
	for i, was := range st.units {
		to.units = append(to.units, to.takeOver(was, wins[i]))
	}
	return to, nil
}

// windowsOf returns the windows of another plan's unit under this state's.
func (st *State) windowsOf(was *Unit, same bool) (*windows.Unit, error) {
	switch {
	case same:
		return was.win, nil
	case was.granted.cold == nil:
		return nil, errors.New("its keys are in memory alone, must be in a store")
	case was.win.Dirty() > 0:
		return nil, fmt.Errorf("%d bytes of keys are not in the store, must be 0", was.win.Dirty())
	}
	win, err := st.openWindows(was.win.AppendHead(nil), was.granted.cold)
	if err == nil && st.given.Resident > 0 {
		// With room for what comes before keys have to leave again.
		err = win.Load(max(0, st.given.Resident/int64(st.of)/4*3-was.small()))
	}
	return win, err
}

// atRest returns what stands in the way of a reload.
func (st *State) atRest(tick int64) error {
	if tick%Boundary != 0 {
		return fmt.Errorf("at tick %d, must be a multiple of %d", tick, Boundary)
	}
	for i, u := range st.units {
		switch {
		case len(u.mail) > 0 || len(u.urgent) > 0:
			return fmt.Errorf("unit %d has %d candidates on their way, must have none", i, len(u.mail)+len(u.urgent))
		case len(u.decisions) > 0:
			return fmt.Errorf("unit %d has %d decisions that nobody took, must have none", i, len(u.decisions))
		case u.granted.cut != nil:
			return fmt.Errorf("unit %d is part of a checkpoint that is going on", i)
		}
	}
	return nil
}

// carried returns an on-state as it is in this state's plan; nil where its rule
// is gone, or nobody looks at it any more.
func (st *State) carried(from *State, s *onState) *onState {
	i, ok := st.byMark[from.marks[s.rule]]
	if !ok || !st.plan.rules[i].shared {
		return nil
	}
	c := *s
	c.rule = i
	// Which populations there are says what a table is called, and its name is
	// part of its keys.
	t := st.plan.rules[i].table
	if before := from.plan.rules[s.rule].table; st.plan.Layout.Tables[t].Name != from.plan.Layout.Tables[before].Name {
		c.key = st.plan.tables[t].keyOf(func(i int) uint64 { return st.plan.hashValue(c.raw[i]) })
	}
	return &c
}

// takeOver makes a unit of this state's plan of one of another's.
func (st *State) takeOver(was *Unit, win *windows.Unit) *Unit {
	u := newUnit(st, win)
	u.shed, u.swept = was.shed, was.swept
	// What the store has is as it was: what goes is a change.
	u.granted.cold, u.granted.dirty = was.granted.cold, was.granted.dirty
	u.shownNow.cold, u.shownNow.dirty = was.shownNow.cold, was.shownNow.dirty
	for place, s := range was.shown {
		c := st.carried(was.state, s)
		if c == nil || c.key != s.key || c.rule != s.rule {
			u.shownNow.change(place)
		}
		if c != nil {
			u.shown[place] = c
			st.board.put(onKey{c.rule, c.key.Lo}, c)
		}
	}
	for _, s := range was.raised {
		if c := st.carried(was.state, s); c != nil {
			u.putRaised(onKey{c.rule, c.key.Lo}, c)
		}
	}
	for _, gs := range was.grants {
		for _, g := range gs {
			i, ok := st.byMark[g.by]
			if !ok {
				i = gone
			}
			if g.rule = i; i == gone && g.until == 0 {
				u.granted.change(g.place)
				continue
			}
			g.counted = 0
			u.restore(g)
		}
	}
	return u
}
