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

// whole has the cut that is made write all keys, where most changed and all are in
// memory: the ones that did not change are written with those that did.
func (u *Unit) whole() {
	c := &u.changes
	if u.outside.store == nil || u.outside.keys > 0 || len(c.list)*100 < u.index.keys*wholeShare {
		return
	}
	bytes := make([]int64, len(u.shapes))
	c.list = c.list[:0] // it is made anew in the order of slots, which is that of memory
	for i := range u.index.slots {
		s := u.index.slot(i)
		if s.used() {
			bytes[s.table] += state.ChangeBytes(maxHeader + int(s.size))
			if s.flags&u.index.listed == 0 {
				s.flags |= u.index.listed
				c.bytes += s.cost()
			}
		}
		if s.flags&u.index.listed != 0 {
			c.list = append(c.list, i)
		}
	}
	for _, n := range bytes {
		c.pages = append(c.pages, state.PagesOf(n))
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
