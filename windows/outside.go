package windows

import (
	"fmt"

	"weir/state"
)

// outside is the part of a unit that is not in memory.
type outside struct {
	store    *state.Unit // nil: everything is in memory
	keys     int64       // accounted keys that only the store has
	scanning bool        // so that the store must not be asked for anything else
	err      error       // the first one met
	value    []byte
	older    Conversion // of values that an earlier layout wrote

	// buried are dead keys of which the store may have a value that passes for
	// alive: one from when the key was near, or of a higher class. They are
	// deleted by the next checkpoint.
	buried map[Key]burial

	// missed are keys that the store was asked for in vain by the Fold that is
	// going on.
	missed map[Key]struct{}

	asked, loaded, left uint64 // keys: asked of the store, read from it, gone to it
}

type burial struct {
	table   uint16
	pending bool // the checkpoint that is going on deletes it
}

var errCohorts = fmt.Errorf("%w: keys are not those that were counted", state.ErrCorrupt)

// Err returns the first error met while reading keys of the store. From then
// on results are worthless.
func (u *Unit) Err() error { return u.outside.err }

func (u *Unit) fail(err error) {
	if u.outside.err == nil {
		u.outside.err = fmt.Errorf("unit's keys: %w", err)
	}
}

// Moved returns how many keys were read from the store, and how many left
// memory for it. These are no function of the log.
func (u *Unit) Moved() (loaded, left uint64) { return u.outside.loaded, u.outside.left }

// Attach says where keys are written to, and may go to when memory is short.
// All that is there counts as not written yet.
func (u *Unit) Attach(cold *state.Unit) {
	if u.outside.keys > 0 {
		panic("windows: another store was attached while keys were only in the first")
	}
	u.Settle(false)
	u.outside.store = cold
	clear(u.outside.buried)
	u.eachKey(func(i uint32, s *slot) {
		if s.flags&u.index.listed == 0 {
			u.begin(i, s)
		}
	})
}

// Follow says under which layouts the values in the store may have been
// written: all of the state's, in their order, the unit's own last. Values of
// an older one are converted when they are read.
func (u *Unit) Follow(ways *Succession) error {
	if last := ways.layouts[len(ways.layouts)-1]; last.Serial != u.layout.Serial {
		return fmt.Errorf("%d layouts, the last must be the unit's, which is layout %d", len(ways.layouts), u.layout.Serial)
	}
	u.outside.older = Conversion{ways: ways}
	return nil
}

// stores returns the number under which the store keeps each table: those of a
// layout that nobody numbered are the tables' own.
func (l *Layout) stores() []uint16 {
	numbers := make([]uint16, len(l.Tables))
	for i := range numbers {
		numbers[i] = uint16(i)
		if l.NextStore > 0 {
			numbers[i] = l.Tables[i].Store
		}
	}
	return numbers
}

// converted returns a stored blob as one of the unit's layout.
func (u *Unit) converted(table int, serial uint32, blob []byte) ([]byte, error) {
	if serial == u.layout.Serial {
		return blob, nil
	}
	c := &u.outside.older
	if number, ok := c.ways.number(serial); ok {
		c.first = number
		from, ok := c.ways.tables[number][u.stores[table]]
		if to, kept := 0, false; ok {
			if to, kept = c.Table(from); kept && to == table {
				if blob = c.Blob(u.tmp[:0], from, blob); len(blob) == 0 {
					return nil, errBlob
				}
				u.tmp = blob
				return blob, nil
			}
		}
	}
	return nil, fmt.Errorf("%w: table %d has a value of layout %d, which is not one that led to layout %d",
		state.ErrCorrupt, u.stores[table], serial, u.layout.Serial)
}

// fetch reads a key that is not in memory from the store, if it is there.
func (u *Unit) fetch(table int, k Key) (slot uint32, ok bool) {
	if !u.mayBeStored(table, k) {
		return 0, false
	}
	return u.ask(table, k)
}

// fetchOnce is fetch for the rows of a Fold: what is not there is asked for once,
// however many rows there are that begin no key.
func (u *Unit) fetchOnce(table int, k Key) (slot uint32, ok bool) {
	o := &u.outside
	if !u.mayBeStored(table, k) {
		return 0, false
	}
	if _, missed := o.missed[k]; missed {
		return 0, false
	}
	if slot, ok = u.ask(table, k); !ok {
		if o.missed == nil {
			o.missed = map[Key]struct{}{}
		}
		o.missed[k] = struct{}{}
	}
	return slot, ok
}

// forgetMissed ends what holds for one Fold. A map that many keys went into is
// not kept: it would be cleared as a whole each time.
func (o *outside) forgetMissed() {
	const few = 256
	switch n := len(o.missed); {
	case n > few:
		o.missed = nil
	case n > 0:
		clear(o.missed)
	}
}

// mayBeStored reports whether the store has to be asked for a key.
func (u *Unit) mayBeStored(table int, k Key) bool {
	_, dead := u.outside.buried[k]
	return !dead && u.outside.store.Has(u.stores[table], k)
}

// ask reads a key from the store, dead or alive.
func (u *Unit) ask(table int, k Key) (slot uint32, ok bool) {
	o := &u.outside
	o.asked++
	value, ok, err := o.store.Get(u.stores[table], k, o.value[:0])
	if value != nil {
		o.value = value
	}
	if err != nil {
		u.fail(err)
		return 0, false
	}
	if !ok {
		return 0, false
	}
	slot, ok, err = u.take(table, k, value)
	if err != nil {
		u.fail(err)
	}
	return slot, ok
}

// take takes a stored key into memory; ok is false if it is dead.
func (u *Unit) take(table int, k Key, value []byte) (i uint32, ok bool, err error) {
	h, blob, err := readValue(value)
	if err != nil {
		return 0, false, fmt.Errorf("key %016x%016x: %w", k.Hi, k.Lo, err)
	}
	if u.lines.dead(table, riskOf(h.ticks, h.near), h.last) {
		return 0, false, nil
	}
	if u.outside.keys == 0 {
		return 0, false, errCohorts
	}
	if i, err = u.place(table, k, h, blob); err != nil {
		return 0, false, fmt.Errorf("key %016x%016x: %w", k.Hi, k.Lo, err)
	}
	u.outside.keys--
	u.outside.loaded++
	u.unnote(table, k)
	return i, true, nil
}

// place puts a stored key, which is not there, into a slot.
func (u *Unit) place(table int, k Key, h header, blob []byte) (i uint32, err error) {
	if blob, err = u.converted(table, h.serial, blob); err != nil {
		return 0, err
	}
	if len(blob) > maxBlob {
		return 0, fmt.Errorf("%w: %d bytes, must be at most %d", errBlob, len(blob), maxBlob)
	}
	if err := u.shapes[table].check(blob, h.last, u.tick); err != nil {
		return 0, err
	}
	i, ok := u.index.insert(k, uint16(table))
	if !ok {
		return 0, fmt.Errorf("more than %d keys in memory", maxKeys)
	}
	c := classOf(len(blob))
	s := u.index.slot(i)
	s.ref, s.size, s.class, s.last, s.ticks = u.arena.alloc(c, i), uint16(len(blob)), h.class, h.last, h.ticks
	if h.near {
		s.flags |= near | outlives
	}
	copy(u.arena.blob(c, s.ref), blob)
	if s.flags&u.index.listed != 0 {
		u.changes.bytes += s.cost() // the slot is in the list, so this key is
	}
	return i, nil
}

// bury notes a key that dies and may pass for alive in the store.
func (u *Unit) bury(s *slot) {
	if u.outside.buried == nil {
		u.outside.buried = map[Key]burial{}
	}
	b := u.outside.buried[s.key]
	b.table = s.table
	u.outside.buried[s.key] = b
}

// unbury notes that a key which is new may have an older value in the store.
func (u *Unit) unbury(s *slot) {
	b, ok := u.outside.buried[s.key]
	if !ok {
		return
	}
	s.flags |= outlives
	if !b.pending {
		delete(u.outside.buried, s.key)
	}
}

// settleBurial has a key deleted by the next checkpoint, since this one failed.
func (u *Unit) settleBurial(k Key, b burial) {
	if _, back := u.index.find(k); back {
		delete(u.outside.buried, k) // it will be written over
		return
	}
	b.pending = false
	u.outside.buried[k] = b
}
