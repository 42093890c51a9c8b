package windows

import (
	"encoding/binary"
	"fmt"

	"weir/state"
)

// Load reads keys of the store into memory until so many bytes are resident,
// the latest touched first. It looks at all of them, and fails if they are not
// those that the unit's head counts.
func (u *Unit) Load(resident int64) error {
	if u.outside.err != nil || u.outside.keys == 0 {
		return u.outside.err
	}
	census := newCohorts(len(u.shapes))
	census.advance(u.cohorts.hour)
	u.eachKey(func(_ uint32, s *slot) { census.add(s.table, s.risk(), census.start(s.last), s.cost()) })

	oldest, _ := u.cohorts.oldest()
	from := int64(oldest) * 60
	width := (u.tick-from)/idleBins + 1
	held := make([]int64, idleBins)
	all := u.Resident()+u.bytes+u.bytes/8 <= resident // surely
	u.clearNotes()
	u.noting.most = resident / notesShare
	err := u.eachStored(func(table int, k Key, h header, value []byte) error {
		cost := int64(keyBytes + classBytes[h.class])
		census.add(uint16(table), riskOf(h.ticks, h.near), census.start(h.last), cost)
		if bin := (int64(h.last) - from) / width; bin >= 0 && bin < idleBins {
			held[bin] += cost
		}
		if all {
			_, _, err := u.take(table, k, value)
			return err
		}
		if u.noting.judgeOf(table) == nil {
			return nil
		}
		blob, err := u.readBlob(table, k, h, value)
		if err == nil {
			u.note(table, k, h.last, riskOf(h.ticks, h.near), blob)
		}
		return err
	})
	if err == nil && !census.equal(&u.cohorts) {
		err = errCohorts
	}
	if err == nil && !all {
		first := idleBins
		for room := resident - u.Resident(); first > 0 && room >= held[first-1]; first-- {
			room -= held[first-1]
		}
		err = u.eachStored(func(table int, k Key, h header, value []byte) error {
			if (int64(h.last)-from)/width < int64(first-1) || u.Resident() >= resident {
				return nil
			}
			_, _, err := u.take(table, k, value)
			return err
		})
	}
	if err != nil {
		u.fail(err)
	}
	return u.outside.err
}

// eachStored calls fn with every key that only the store has. The value is
// valid until fn returns, and fn must not ask the store for anything.
func (u *Unit) eachStored(fn func(table int, k Key, h header, value []byte) error) error {
	for table := range u.shapes {
		if err := u.eachStoredOf(table, fn); err != nil {
			return err
		}
	}
	return nil
}

func (u *Unit) eachStoredOf(table int, fn func(table int, k Key, h header, value []byte) error) error {
	return u.outside.store.Scan(u.stores[table], func(k Key, value []byte) error {
		h, _, err := readValue(value)
		if err != nil {
			return fmt.Errorf("key %016x%016x: %w", k.Hi, k.Lo, err)
		}
		if u.lines.dead(table, riskOf(h.ticks, h.near), h.last) {
			return nil
		}
		if _, there := u.index.find(k); there {
			return nil
		}
		if _, dead := u.outside.buried[k]; dead {
			return nil
		}
		return fn(table, k, h, value)
	})
}

// Scan calls fn with every key of a table of whose parent want holds (nil: all
// of them), in no order that means anything, and with the parent that its rows
// carried. Keys that only the store has are read for fn and leave again, unless
// it says to keep them. fn must not look up other keys, and must not fold, shed
// or expire.
func (u *Unit) Scan(table int, want func(parent uint64) bool, fn func(slot uint32, parent uint64) (keep bool)) {
	u.outside.scanning = true
	defer func() { u.outside.scanning = false }()
	parents := u.shapes[table].parent
	for i := range u.index.slots {
		s := u.index.slot(i)
		if !s.used() || int(s.table) != table {
			continue
		}
		parent := uint64(0)
		if parents {
			parent = parentOf(u.blob(s))
		}
		if want == nil || want(parent) {
			fn(i, parent)
		}
	}
	if u.outside.keys == 0 {
		return
	}
	err := u.eachStoredOf(table, func(table int, k Key, _ header, value []byte) error {
		parent := uint64(0)
		if parents {
			_, blob, err := readValue(value)
			if err != nil || len(blob) < parentEnd {
				return fmt.Errorf("key %016x%016x: %w: a value without its parent", k.Hi, k.Lo, state.ErrCorrupt)
			}
			parent = parentOf(blob)
		}
		if want != nil && !want(parent) {
			return nil
		}
		i, _, err := u.take(table, k, value)
		if err != nil {
			return err
		}
		s := u.index.slot(i)
		before, bytes := s.flags, s.cost()
		if keep := fn(i, parent); keep || s.flags != before {
			return nil
		}
		if s.flags&u.index.listed != 0 {
			u.changes.bytes -= bytes // only the slot was in the list
		}
		u.leave(i, s)
		return nil
	})
	if err != nil {
		u.fail(err)
	}
}

// parentOf returns the parent in the blob of a key of a table that has parents.
func parentOf(blob []byte) uint64 { return binary.LittleEndian.Uint64(blob[4:parentEnd]) }

const parentEnd = 12
