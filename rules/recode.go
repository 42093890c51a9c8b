package rules

import (
	"bytes"
	"fmt"

	"weir/windows"
)

// Recode encodes unit i, drops it and puts the decoded one in its place.
// Nothing may come out differently. The forms are those of a checkpoint; none
// may be going on.
func (st *State) Recode(i int) error {
	if err := st.recode(i); err != nil {
		return fmt.Errorf("unit %d: %w", i, err)
	}
	return nil
}

func (st *State) recode(i int) error {
	was := st.units[i]
	u := newUnit(st, nil)
	rest, err := u.readHead(was.appendHead())
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return fmt.Errorf("%d bytes behind its head", len(rest))
	}
	if u.win, err = windows.RestoreUnit(&st.plan.Layout, st.share(), was.win.AppendSnapshot(nil)); err != nil {
		return err
	}
	u.win.Keep(st.plan.facts())
	for _, gs := range was.grants {
		for _, g := range gs {
			again, err := st.readGrant(g.place, g.append(nil))
			if err != nil {
				return fmt.Errorf("grant %016x%016x: %w", g.place.Hi, g.place.Lo, err)
			}
			u.restore(again)
		}
	}
	for place, s := range was.shown {
		again, err := st.readOnState(place, st.appendOnState(nil, s))
		if err != nil {
			return fmt.Errorf("on-state %016x%016x: %w", place.Hi, place.Lo, err)
		}
		// Other units read it on the board meanwhile, so it stays the same one.
		if !bytes.Equal(st.appendOnState(nil, again), st.appendOnState(nil, s)) {
			return fmt.Errorf("on-state %016x%016x comes back as another one", place.Hi, place.Lo)
		}
		u.shown[place] = s
	}
	if cold := was.granted.cold; cold != nil {
		u.win.Attach(cold)
		u.attach(cold)
	}
	u.decisions = was.decisions
	st.units[i] = u
	return nil
}
