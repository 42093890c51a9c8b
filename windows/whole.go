package windows

import "weir/state"

// Sink takes what a checkpoint has of a unit.
type Sink struct {
	// Whole says that what is put of a table from here on, in so many pages, takes
	// the place of all that the store has of it.
	Whole func(table uint16, pages int) error
	// Put takes what changed in one page, or all of it where the table comes whole.
	Put func(table uint16, page uint32, changes []byte) error
	// Room reports whether more may come now.
	Room func() bool
}

// wholeShare is the part of a unit's keys that must have changed, in hundredths, for
// all of them to be written. What is written of a page that is there has to be read
// and put together with it sooner or later, which costs a key's writing about once
// more; a page that comes whole takes the place of the one that was there.
const wholeShare = 60

// gatherSlots is how many slots are looked at in one call of Encode for keys that did
// not change.
const gatherSlots = 1 << 10

// whole has the cut that is made write all keys, where most changed and all are in
// memory. The ones that did not change are gathered afterwards, in slices: until then
// they are as they were at the cut, or are made pending before they change.
func (u *Unit) whole() {
	c := &u.changes
	if u.outside.store == nil || u.outside.keys > 0 || len(c.pending)*100 < u.index.keys*wholeShare {
		return
	}
	c.gatherNext, c.gatherEnd, c.gatherBytes = 0, u.index.slots, u.bytes-c.waiting
	for table := range u.shapes {
		keys, cost := u.cohorts.sum(table)
		values := cost - keys*(keyBytes+ownerBytes) // bytes of their size classes: a few too many
		c.pages = append(c.pages, state.PagesOf(values+keys*state.ChangeBytes(maxHeader)))
	}
}

// toGather reports whether a slot's key, which was there before the Fold that is going
// on, is still to be gathered.
func (c *changes) toGather(i uint32, s *slot) bool {
	return i < c.gatherEnd && i >= c.gatherNext && s.flags&(encoded|dirtyEven|dirtyOdd) == 0
}

// addPending makes a key pending that did not change.
func (c *changes) addPending(i uint32, s *slot) {
	s.flags |= c.flag
	c.pending = append(c.pending, i)
	c.waiting += s.cost()
	c.gatherBytes -= s.cost()
}

// gather makes some of the keys pending that did not change.
func (u *Unit) gather() {
	c := &u.changes
	for end := min(c.gatherNext+gatherSlots, c.gatherEnd); c.gatherNext < end; c.gatherNext++ {
		if s := u.index.slot(c.gatherNext); s.used() && c.toGather(c.gatherNext, s) {
			c.addPending(c.gatherNext, s)
		}
	}
	if c.gatherNext == c.gatherEnd {
		c.gatherNext, c.gatherEnd = 0, 0
	}
}

// wholly reports whether all keys come in the cut that is not settled.
func (c *changes) wholly() bool { return len(c.pages) > 0 }

// page returns in which page of the store a key of a table is to be put.
func (u *Unit) page(table uint16, k Key) uint32 {
	if c := &u.changes; c.wholly() {
		return state.PageAmong(k, c.pages[table])
	}
	return u.outside.store.Page(u.stores[table], k)
}

// announce says which tables come whole.
func (u *Unit) announce(to Sink) error {
	for table, pages := range u.changes.pages {
		if err := to.Whole(u.stores[table], pages); err != nil {
			return err
		}
	}
	return nil
}
