package rules

import (
	"container/heap"
	"errors"
	"fmt"

	"weir/event"
	"weir/state"
	"weir/windows"
)

// A checkpoint of a state goes like this, all units at rest where it says so:
//
//	at rest    cp := store.Begin(st.Alive()); shared := st.Shared(), and of each unit head := u.Cut()
//	by unit    Encode until it is done, between ticks
//	           cp.Commit with shared and heads
//	by unit    u.Settle(err == nil), between ticks
//
// What is done by unit may be done in several units at once.

// Attach gives a state a store that has nothing yet, so that keys may leave
// memory and the state may be kept. All units must be at rest.
func (st *State) Attach(s *state.Store) {
	for i, u := range st.units {
		u.win.Attach(s.Unit(i))
		u.attach(s.Unit(i))
	}
}

// attach notes all that the unit has besides its windows as a change that the
// store lacks.
func (u *Unit) attach(cold *state.Unit) {
	u.granted.open(cold)
	u.shownNow.open(cold)
	for _, gs := range u.grants {
		for _, g := range gs {
			u.granted.change(g.place)
		}
	}
	for place := range u.shown {
		u.shownNow.change(place)
	}
}

// OpenState returns the state of a checkpoint: of what Cut returned and of the
// keys in the store. Rules and number of units must be those of the cut. Where
// there was no cut (shared is nil) the state is a new one. Keys stay in the
// store until Load, or until something touches them. An error that comes of the
// store's bytes wraps state.ErrCorrupt, or is of the windows.
func OpenState(p *Plan, units int, limits Limits, stage func(rule string) event.Stage, names func(int32) (string, int32),
	s *state.Store, shared []byte, heads [][]byte,
) (*State, error) {
	if shared == nil {
		st := NewState(p, units, limits, stage, names)
		if s != nil {
			st.Attach(s)
		}
		return st, nil
	}
	if s == nil || len(heads) != units {
		return nil, fmt.Errorf("state: a checkpoint of %d units, must be of %d, with its store", len(heads), units)
	}
	st := newState(p, units, limits, stage, names)
	if err := st.readShared(shared); err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	st.judgeWhole()
	for i := range units {
		st.units = append(st.units, newUnit(st, nil))
		if err := st.openShown(i, s.Unit(i)); err != nil {
			return nil, fmt.Errorf("state: unit %d: %w", i, err)
		}
	}
	// What travels may have come of what another unit shows.
	for i, u := range st.units {
		if err := u.open(i, s.Unit(i), heads[i]); err != nil {
			return nil, fmt.Errorf("state: unit %d: %w", i, err)
		}
	}
	return st, nil
}

// openShown reads what is shown of a unit's keys.
func (st *State) openShown(i int, cold *state.Unit) error {
	u := st.units[i]
	err := cold.Scan(onStateTable, func(place windows.Key, value []byte) error {
		s, err := st.readOnState(place, value)
		if err == nil {
			err = st.ofUnit(place, i)
		}
		if err != nil {
			return fmt.Errorf("on-state %016x%016x: %w", place.Hi, place.Lo, err)
		}
		st.board.put(onKey{s.rule, s.key.Lo}, s)
		u.shown[place] = s
		return nil
	})
	u.shownNow.open(cold)
	return err
}

// open reads the rest of a unit.
func (u *Unit) open(i int, cold *state.Unit, head []byte) error {
	head, err := u.readHead(head)
	if err != nil {
		return err
	}
	st := u.state
	if u.win, err = st.openWindows(head, cold); err != nil {
		return err
	}
	err = cold.Scan(grantTable, func(place windows.Key, value []byte) error {
		g, err := st.readGrant(place, value)
		if err == nil {
			err = st.ofUnit(place, i)
		}
		if err != nil {
			return fmt.Errorf("grant %016x%016x: %w", place.Hi, place.Lo, err)
		}
		u.restore(g)
		return nil
	})
	u.granted.open(cold)
	return err
}

// openWindows opens the windows of a unit, whose keys are in a store.
func (st *State) openWindows(head []byte, cold *state.Unit) (*windows.Unit, error) {
	win, err := windows.OpenUnit(&st.plan.Layout, st.share(), head, cold)
	if err != nil {
		return nil, err
	}
	win.Keep(st.plan.facts())
	return win, win.Follow(st.ways)
}

// ofUnit is an error where a key belongs to another unit.
func (st *State) ofUnit(k windows.Key, unit int) error {
	if of := k.Unit(st.of); of != unit {
		return fmt.Errorf("%w: it is of unit %d", state.ErrCorrupt, of)
	}
	return nil
}

// restore puts a grant into force, or into memory, as it was.
func (u *Unit) restore(g *grant) {
	u.grants[g.place.Hi] = append(u.grants[g.place.Hi], g)
	u.count(g)
	if g.until != 0 {
		heap.Push(&u.ends, g)
	} else {
		u.ended++
	}
}

// Shared encodes what all units share, for a checkpoint. All units must be at
// rest, and what was decided drained; between it and the last unit's Cut no tick
// may run.
func (st *State) Shared() []byte { return st.appendShared() }

// Cut takes the unit as it is for a checkpoint. What is small is encoded at once:
// its counters and what waits for the next boundary, which at one is next to
// nothing. Keys, grants and on-states are pending from then on, until Encode has
// written them. all says that all keys may be dirty at once.
func (u *Unit) Cut(all bool) (head []byte) {
	u.CutKeys(all)
	return u.win.AppendHead(u.appendHead())
}

// CutKeys is Cut for a checkpoint that nobody is going to go on from: of a store
// that only makes room.
func (u *Unit) CutKeys(all bool) {
	u.win.Cut(all)
	u.granted.begin()
	u.shownNow.begin()
}

// Alive returns what Store.Begin asks of stored values: whether they are still
// alive, as of now. All units must be at rest.
func (st *State) Alive() func(unit int, table uint16, value []byte) bool {
	alive := make([]func(uint16, []byte) bool, len(st.units))
	for i, u := range st.units {
		alive[i] = u.win.Alive()
	}
	return func(unit int, table uint16, value []byte) bool {
		return table == grantTable || table == onStateTable || alive[unit](table, value)
	}
}

// Settle says what became of the checkpoint of the last Cut: it is on disk, or
// failed, and what it had is dirty again. It must be said before the next Cut.
func (u *Unit) Settle(ok bool) {
	u.win.Settle(ok)
	u.granted.settle(ok)
	u.shownNow.settle(ok)
}

// Encode hands over a slice of what is pending of the unit, each page once for
// each cut, as long as there is room. It is done when nothing is pending.
func (u *Unit) Encode(to windows.Sink) (done bool, err error) {
	for _, kept := range []*records{&u.granted, &u.shownNow} {
		if done, err = kept.encode(to.Put, to.Room); err != nil || !done {
			return false, err
		}
	}
	return u.win.Encode(to)
}

// Load reads keys of the store into memory, the latest touched first, until so
// many bytes are resident. All units must be at rest.
func (st *State) Load(resident int64) error {
	resident -= st.board.bytes
	for i, u := range st.units {
		if err := u.win.Load(max(0, resident/int64(len(st.units))-u.small())); err != nil {
			return fmt.Errorf("state: unit %d: %w", i, err)
		}
	}
	return nil
}

// Err returns the first error that a unit met while it read from the store.
// What the state decides from then on is worthless.
func (st *State) Err() error {
	var all error
	for i, u := range st.units {
		if err := u.win.Err(); err != nil {
			all = errors.Join(all, fmt.Errorf("state: unit %d: %w", i, err))
		}
	}
	return all
}

// Resident returns the bytes that memory holds of all of the state.
func (st *State) Resident() int64 {
	n := st.board.bytes
	for _, u := range st.units {
		n += u.Resident()
	}
	return n
}

// Resident returns the bytes that memory holds of the unit: its windows, its
// grants, and what is on its way to others.
func (u *Unit) Resident() int64 { return u.win.Resident() + u.small() }

// small is what the unit holds besides its windows.
func (u *Unit) small() int64 {
	return u.grantBytes + u.raisedBytes + u.mailBytes + u.granted.resident() + u.shownNow.resident() + u.foundBytes + u.state.standingBytes()
}

// Dirty returns about how many bytes have changed since they were last settled.
func (u *Unit) Dirty() int64 { return u.win.Dirty() + u.granted.unsettled() + u.shownNow.unsettled() }

// Evict lets clean keys leave memory, the longest idle first, until so many
// bytes of the unit are resident, as far as that goes.
func (u *Unit) Evict(resident int64) (freed int64) {
	return u.win.Evict(max(0, resident-u.small()))
}
