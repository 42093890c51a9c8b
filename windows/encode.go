package windows

import (
	"cmp"
	"errors"
	"slices"

	"weir/state"
)

const (
	sliceBytes = 128 << 10 // that Encode hands over in one call
	sliceKeys  = 2048      // that it looks up in one
	roomBytes  = 64 << 10  // in which values are kept that were encoded early
	keptSaved  = 4096      // of those values, for how many room is kept from one cut to the next
)

// encoder hands over the pending keys of a cut, page by page. Their pages are
// looked up in slices, each sorted, and then merged. What it needs for that it
// keeps for the next cut, so that cuts leave nothing for the collector.
type encoder struct {
	at     int      // how many of the pending slots were looked up
	places []pageOf // of all runs
	runs   []run    // sorted by page; a heap by the first of each
	done   bool
	value  []byte
	page   []byte

	tombs []tomb // what to delete, looked up first
	begun bool

	saved  []saved           // the pending keys that changed or went since
	bySlot map[uint32]uint32 // where in saved they are
	most   int               // keys that bySlot had at once
	rooms  [][]byte          // of their values
	room   int               // the one that is being filled
}

// run is pending changes, sorted by page.
type run []pageOf

// pageOf is the page of a pending change: of a slot or, from tombBit on, a tomb.
type pageOf struct {
	page uint64 // the store's number of the table, and the page
	slot uint32
}

const tombBit = 1 << 31

// tomb is a key of which the store may have a value that passes for alive,
// though the key is dead.
type tomb struct {
	key   Key
	table uint16
}

// saved is a pending key as it was at the cut.
type saved struct {
	key   Key
	table uint16
	value []byte
}

var errNoStore = errors.New("no store is attached that keys could be written to")

// reset forgets a cut. It keeps as much room as that took.
func (e *encoder) reset() {
	e.most = max(e.most, len(e.saved))
	switch n := len(e.saved); {
	case n == 0 || n > keptSaved:
		e.saved, e.bySlot, e.rooms, e.most = nil, nil, nil, 0
	default:
		e.rooms = slices.Delete(e.rooms, e.room+1, len(e.rooms))
	}
	for i := range e.rooms {
		e.rooms[i] = e.rooms[i][:0]
	}
	clear(e.saved)
	clear(e.bySlot)
	clear(e.runs[:cap(e.runs)])
	*e = encoder{
		places: shrunk(e.places), runs: e.runs[:0], value: e.value, page: e.page[:0],
		tombs: shrunk(e.tombs), saved: e.saved[:0], bySlot: e.bySlot, rooms: e.rooms, most: e.most,
	}
	if cap(e.page) > sliceBytes {
		e.page = nil
	}
}

// save encodes a pending key that is about to change or to go.
func (u *Unit) save(i uint32, s *slot) {
	e := &u.changes.encoder
	if e.bySlot == nil {
		e.bySlot = make(map[uint32]uint32, min(len(u.changes.pending)/2, keptSaved))
	}
	e.value = u.appendValue(e.value[:0], s)
	r := e.roomFor(len(e.value))
	at := len(*r)
	*r = append(*r, e.value...)
	e.bySlot[i] = uint32(len(e.saved))
	e.saved = append(e.saved, saved{s.key, s.table, (*r)[at:]})
	if s.flags&near != 0 {
		s.flags |= outlives
	}
}

// roomFor returns a room with so many bytes left.
func (e *encoder) roomFor(bytes int) *[]byte {
	for ; e.room < len(e.rooms); e.room++ {
		if r := &e.rooms[e.room]; len(*r)+bytes <= cap(*r) {
			return r
		}
	}
	e.rooms = append(e.rooms, make([]byte, 0, max(roomBytes, bytes)))
	return &e.rooms[e.room]
}

// Encode hands over a slice of the keys that were pending at the last Cut, and
// reports whether that was the last of them. Each page comes once, and a table that
// comes whole is announced before. It hands over no more while there is no room. Of a
// cut of all keys it first gathers those that did not change, some in each call.
// After an error the checkpoint must be settled as failed.
func (u *Unit) Encode(to Sink) (done bool, err error) {
	c := &u.changes
	e := &c.encoder
	if !c.cut || e.done {
		return true, nil
	}
	if u.outside.store == nil {
		return false, errNoStore
	}
	if c.gatherEnd > 0 {
		u.gather()
		return false, nil
	}
	if !e.begun {
		if err := u.announce(to); err != nil {
			return false, err
		}
	}
	if !e.begun || e.at < len(c.pending) {
		u.lookUp()
		return false, nil
	}
	for handed := 0; len(e.runs) > 0; {
		if handed >= sliceBytes || !to.Room() {
			return false, nil
		}
		page := e.runs[0][0].page
		e.page = u.appendPage(e.page[:0], page)
		if err := to.Put(uint16(page>>32), uint32(page), e.page); err != nil {
			return false, err
		}
		handed += len(e.page)
	}
	e.done = true
	return true, nil
}

// lookUp finds the pages of some of the pending keys.
func (u *Unit) lookUp() {
	c := &u.changes
	e := &c.encoder
	if !e.begun {
		e.begun = true
		u.lookUpTombs()
		e.places = slices.Grow(e.places[:0], len(c.pending)+len(e.tombs))
	}
	from := len(e.places)
	add := func(table uint16, k Key, i uint32) {
		e.places = append(e.places, pageOf{uint64(u.stores[table])<<32 | uint64(u.page(table, k)), i})
	}
	if e.at == 0 {
		for i, t := range e.tombs {
			add(t.table, t.key, tombBit|uint32(i))
		}
	}
	end := min(e.at+sliceKeys, len(c.pending))
	for _, i := range c.pending[e.at:end] {
		if s := u.index.slot(i); s.used() && s.flags&c.flag != 0 {
			add(s.table, s.key, i)
		} else if at, ok := e.bySlot[i]; ok {
			old := &e.saved[at]
			add(old.table, old.key, i)
		}
	}
	e.at = end
	if r := run(e.places[from:]); len(r) > 0 {
		slices.SortFunc(r, func(a, b pageOf) int { return cmp.Compare(a.page, b.page) })
		e.runs = append(e.runs, r)
		e.up(len(e.runs) - 1)
	}
}

// lookUpTombs finds what is to be deleted. What is not written of a table that comes
// whole is gone by that.
func (u *Unit) lookUpTombs() {
	if u.changes.wholly() {
		return
	}
	e := &u.changes.encoder
	for k, b := range u.outside.buried {
		if b.pending { // else it died after the cut
			e.tombs = append(e.tombs, tomb{k, b.table})
		}
	}
}

// appendPage appends the changes of the first page of all runs, and takes them
// out of the runs.
func (u *Unit) appendPage(dst []byte, page uint64) []byte {
	e := &u.changes.encoder
	for len(e.runs) > 0 && e.runs[0][0].page == page {
		r := e.runs[0]
		for len(r) > 0 && r[0].page == page {
			dst = u.appendChange(dst, r[0].slot)
			r = r[1:]
		}
		e.runs[0] = r
		if len(r) == 0 {
			n := len(e.runs) - 1
			e.runs[0] = e.runs[n]
			e.runs[n] = nil
			e.runs = e.runs[:n]
		}
		e.down()
	}
	return dst
}

// appendChange appends one change.
func (u *Unit) appendChange(dst []byte, i uint32) []byte {
	c := &u.changes
	e := &c.encoder
	if i >= tombBit {
		return state.AppendChange(dst, e.tombs[i-tombBit].key, nil)
	}
	s := u.index.slot(i)
	if !s.used() || s.flags&c.flag == 0 { // it was saved before it changed, or before another key took its slot
		at, ok := e.bySlot[i]
		if !ok {
			panic("windows: a pending key changed and was not saved")
		}
		old := &e.saved[at]
		return state.AppendChange(dst, old.key, old.value)
	}
	e.value = u.appendValue(e.value[:0], s)
	s.flags = s.flags&^c.flag | encoded
	if s.flags&near != 0 {
		s.flags |= outlives
	}
	return state.AppendChange(dst, s.key, e.value)
}

// up and down keep the runs a heap.
func (e *encoder) up(i int) {
	for i > 0 {
		p := (i - 1) / 2
		if e.runs[p][0].page <= e.runs[i][0].page {
			return
		}
		e.runs[p], e.runs[i] = e.runs[i], e.runs[p]
		i = p
	}
}

func (e *encoder) down() {
	for i, n := 0, len(e.runs); ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < n; child++ {
			if e.runs[child][0].page < e.runs[least][0].page {
				least = child
			}
		}
		if least == i {
			return
		}
		e.runs[i], e.runs[least] = e.runs[least], e.runs[i]
		i = least
	}
}

// held returns the bytes that an encoder holds.
func (e *encoder) held() (n int64) {
	const pageOfBytes, runBytes, savedBytes, bySlotBytes, tombBytes = 16, 24, 48, 20, 24
	for _, r := range e.rooms {
		n += int64(cap(r))
	}
	n += int64(cap(e.places))*pageOfBytes + int64(cap(e.runs))*runBytes
	n += int64(cap(e.saved))*savedBytes + int64(max(e.most, len(e.bySlot)))*bySlotBytes
	return n + int64(cap(e.tombs))*tombBytes + int64(cap(e.value)+cap(e.page))
}
