package windows

import (
	"encoding/binary"
	"slices"
)

const (
	slotBytes      = 32
	touchBytes     = 40
	estimatedBytes = 72
	idleBins       = 4096 // that tell apart how long keys were idle
)

// Resident returns the bytes that the unit really holds: slots, index, blobs,
// cohorts, notes, what waits to be written, what was read, and its scratch.
func (u *Unit) Resident() int64 {
	c := &u.changes
	n := int64(len(u.index.pages))<<slotShift*slotBytes + int64(len(u.index.entries)+cap(u.index.free))*4
	n += u.arena.held + u.cohorts.held + 2*int64(u.door.bytes()) + u.noting.held()
	n += int64(cap(c.list)+cap(c.pending)) * 4
	n += c.encoder.held() + int64(len(u.outside.buried))*burialBytes
	n += int64(cap(u.touches)+cap(u.sortedTouches))*touchBytes + int64(cap(u.next)+cap(u.faint)+cap(u.ends))*4
	return n + u.readsHeld() + int64(cap(u.blobRoom)+cap(u.tmp)+cap(u.outside.value))
}

const burialBytes = 64

// readsHeld returns how many bytes keep what was read.
func (u *Unit) readsHeld() int64 {
	n := int64(len(u.estimates))*estimatedBytes + int64(cap(u.earlier.of))*8
	for i := range u.totals {
		n += int64(cap(u.totals[i].of)) * 8
	}
	return n
}

// Evict lets clean keys leave memory, the longest idle first, until not more
// than so many bytes are resident or all that are left have changed since they
// were last settled. Every slot may have another key afterwards.
func (u *Unit) Evict(resident int64) (freed int64) {
	before := u.Resident()
	u.boundNotes(resident / notesShare)
	if before <= resident {
		return before - u.Resident()
	}
	u.touches = u.touches[:0]
	for {
		if u.sparse() {
			u.pack()
		}
		if u.outside.store == nil || u.Resident() <= resident || !u.evict(u.Resident()-resident) {
			break
		}
	}
	return before - u.Resident()
}

// evict lets keys leave that hold so many bytes; false if there are none.
func (u *Unit) evict(want int64) bool {
	oldest := uint32(u.tick)
	u.eachKey(func(_ uint32, s *slot) { oldest = min(oldest, s.last) })
	width := (uint32(u.tick)-oldest)/idleBins + 1
	held := make([]int64, idleBins)
	u.eachKey(func(i uint32, s *slot) {
		if u.clean(i, s) {
			held[(s.last-oldest)/width] += s.held()
		}
	})
	last := 0
	for rest := want; last < idleBins-1 && rest > held[last]; last++ {
		rest -= held[last]
	}
	any := false
	for i := range u.index.slots {
		s := u.index.slot(i)
		if want <= 0 {
			break
		}
		if s.used() && u.clean(i, s) && int((s.last-oldest)/width) <= last {
			want -= s.held()
			u.leave(i, s)
			any = true
		}
	}
	return any
}

// held returns about how many bytes memory has for the key.
func (s *slot) held() int64 { return int64(slotBytes + 8 + classBytes[classOf(int(s.size))]) }

// leave takes a key out of memory that the store has as it is.
func (u *Unit) leave(i uint32, s *slot) {
	if u.noting.judgeOf(int(s.table)) != nil {
		u.note(int(s.table), s.key, s.last, s.risk(), u.blob(s))
	}
	u.remove(i, s)
	u.outside.keys++
	u.outside.left++
}

// sparse reports whether packing would give back much: keys that come take free
// slots anyway. It has to wait while a cut is being encoded, which knows keys by
// their slots.
func (u *Unit) sparse() bool {
	free := len(u.index.free)
	return !u.changes.cut && free >= 1<<slotShift && free >= int(u.index.slots)/8
}

// pack moves keys together, so that slots and index are held only for what is
// there.
func (u *Unit) pack() {
	x := &u.index
	const gone = ^uint32(0)
	moved := make([]uint32, x.slots)
	next := uint32(0)
	for i := range x.slots {
		s := x.slot(i)
		if !s.used() {
			moved[i] = gone
			continue
		}
		if i != next {
			*x.slot(next) = *s
			binary.LittleEndian.PutUint32(u.arena.place(classOf(int(s.size)), s.ref), next)
		}
		moved[i] = next
		next++
	}
	list := u.changes.list[:0]
	for _, i := range u.changes.list {
		if moved[i] != gone {
			list = append(list, moved[i])
		}
	}
	u.changes.list = slices.Clip(slices.Clone(list))
	u.changes.pending = nil
	pages := int(next+1<<slotShift-1) >> slotShift
	x.pages = slices.Clone(x.pages[:pages])
	for i := next; int(i)>>slotShift < pages; i++ {
		*x.slot(i) = slot{}
	}
	x.slots, x.free = next, nil
	x.grow(indexFor(x.keys))
}

// indexFor returns how many entries the index of so many keys has.
func indexFor(keys int) int {
	n := firstIndex
	for keys+1 > n/4*3 {
		n *= 2
	}
	return n
}
