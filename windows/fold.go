package windows

import (
	"encoding/binary"
	"slices"
)

// group is how many rows or touches go through each pass together, so that
// the cache misses of one pass overlap instead of queueing.
const group = 64

// cells is where the passes over a group of rows leave what the next one needs.
type cells struct {
	home [group]uint32
	slot [group]uint32
}

// Fold folds the rows of the second before tick, all of this unit. Row i
// belongs to event rows[i].Event of from[rows[i].From]. Their order does not
// matter, nor how they are spread over the Deltas. Ticks never go back, and
// none is folded again once it was shed at.
func (u *Unit) Fold(tick int64, rows []Row, from []*Deltas) {
	u.touches = u.touches[:0]
	u.next = u.next[:0]
	u.folds++
	u.tick = max(u.tick, tick)
	if tick < 1 || tick > 1<<32-1 || tick < int64(u.lines.highest()) {
		u.counters.OutOfTime += uint64(len(rows))
		return
	}
	u.rows, u.from, u.now = rows, from, uint32(tick-1)
	u.cohorts.advance(uint32(tick) / secondsOfHour)
	u.relax(tick)
	u.link(rows)
	u.order()
	u.unmark()
	u.foldKnown()
	u.foldFresh()
	u.rows, u.from = nil, nil
}

func compareKeys(a, b Key) int {
	switch {
	case a.Hi < b.Hi || a.Hi == b.Hi && a.Lo < b.Lo:
		return -1
	case a == b:
		return 0
	}
	return 1
}

// link finds or takes a slot for the key of each row and strings the rows of a
// key together.
func (u *Unit) link(rows []Row) {
	u.next = slices.Grow(u.next, len(rows))[:len(rows)]
	for end := len(rows); end > 0; end = max(0, end-group) {
		from := max(0, end-group)
		g := rows[from:end]
		u.probe(g)
		for i := len(g) - 1; i >= 0; i-- {
			u.linkRow(&g[i], uint32(from+i), u.cells.slot[i])
		}
	}
	for _, i := range u.faint {
		if at, ok := u.index.find(rows[i].Key); ok && u.index.slot(at).flags&marked != 0 {
			u.addRow(&rows[i], i, u.index.slot(at))
		}
	}
	u.faint = u.faint[:0]
	u.outside.forgetMissed()
}

// probe leaves in cells.slot the slot that each row of a group probably has,
// and has looked at it.
func (u *Unit) probe(g []Row) {
	x, c := &u.index, &u.cells
	var sum uint64
	for i := range g {
		h := x.home(g[i].Key)
		c.home[i] = h
		sum += uint64(x.entries[h])
	}
	mask := uint32(len(x.entries) - 1)
	for i := range g {
		t := tag(g[i].Key)
		c.slot[i] = 0
		for h := c.home[i]; ; h++ {
			e := x.entries[h&mask]
			if e == 0 {
				break
			}
			if e&0xff == t {
				c.slot[i] = e >> 8
				break
			}
		}
	}
	for i := range g {
		if n := c.slot[i]; n != 0 {
			sum += x.slot(n - 1).key.Lo
		}
	}
	u.sink += sum
}

// linkRow strings row i to the touch of its key; probable is the slot that
// probe found, plus one.
func (u *Unit) linkRow(r *Row, i, probable uint32) {
	var s *slot
	var at uint32
	if probable != 0 {
		at = probable - 1
		s = u.index.slot(at)
	}
	faint := r.Mask&^u.shapes[r.Table].faint == 0
	if s == nil || s.key != r.Key {
		var ok bool
		if at, ok = u.index.find(r.Key); !ok {
			if u.outside.keys > 0 {
				at, ok = u.fetchOnce(int(r.Table), r.Key)
			}
			if !ok && faint {
				u.faint = append(u.faint, i)
				return
			}
			if !ok {
				if at, ok = u.index.insert(r.Key, r.Table); !ok {
					u.counters.Refused++
					return
				}
			}
		}
		s = u.index.slot(at)
	}
	if s.flags&marked == 0 {
		if faint && u.expired(s, s.last) {
			u.faint = append(u.faint, i)
			return
		}
		if s.flags&u.index.listed == 0 && s.size > 0 {
			u.change(at, s)
		}
		u.touches = append(u.touches, Touch{
			Key: r.Key, Slot: at, Table: s.table, fresh: s.size == 0, head: noRow, last: s.last, was: s.risk(),
		})
		s.flags |= marked
		s.last = uint32(len(u.touches) - 1)
	}
	u.addRow(r, i, s)
}

// addRow adds row i to the touch of its key, whose slot is marked.
func (u *Unit) addRow(r *Row, i uint32, s *slot) {
	t := &u.touches[s.last]
	t.Mask |= r.Mask
	u.next[i] = t.head
	t.head = i
}

// expired reports whether a key that was last touched at a tick might as well
// have been deleted.
func (u *Unit) expired(s *slot, last uint32) bool {
	return int64(u.now+1)-int64(last) > u.shapes[s.table].retain
}

// unmark gives the slots back what marking them had borrowed.
func (u *Unit) unmark() {
	for i := range u.touches {
		t := &u.touches[i]
		s := u.index.slot(t.Slot)
		s.flags &^= marked | near
		if s.last = u.now + 1; s.last != t.last && s.ticks != ^uint16(0) {
			s.ticks++
		}
	}
}

// foldKnown folds the touches of keys that were there before.
func (u *Unit) foldKnown() {
	for from := 0; from < len(u.touches); from += group {
		g := u.touches[from:min(from+group, len(u.touches))]
		var sum uint64
		for i := range g {
			if !g[i].fresh {
				s := u.index.slot(g[i].Slot)
				b := u.arena.place(classOf(int(s.size)), s.ref)
				for line := 0; line < len(b) && line < 512; line += 64 {
					sum += uint64(b[line])
				}
			}
		}
		u.sink += sum
		for i := range g {
			if !g[i].fresh {
				u.foldTouch(&g[i])
			}
		}
	}
}

// foldTouch folds the rows of one key that was there before.
func (u *Unit) foldTouch(t *Touch) {
	s := u.index.slot(t.Slot)
	sh := &u.shapes[s.table]
	class := classOf(int(s.size))
	room := u.arena.blob(class, s.ref)
	e := edit{b: room[:s.size], scratch: u.blobRoom, limit: maxBlob, key: t.Key}
	if u.expired(s, t.last) { // begin anew
		e.b, e.moved = u.newBlob(sh, t), true
		s.ticks = 1
		if u.outside.store != nil {
			s.flags |= outlives // in the store it may be of a higher class
		}
	}
	u.foldSections(&e, sh, t)
	if c := classOf(len(e.b)); e.moved || c != class {
		ref := s.ref
		if c != class {
			ref = u.arena.alloc(c, t.Slot)
		}
		copy(u.arena.blob(c, ref), e.b)
		if c != class {
			if owner, moved := u.arena.free(class, s.ref); moved {
				u.index.slot(owner).ref = s.ref
			}
			s.ref = ref
		}
	}
	s.size = uint16(len(e.b))
	u.account(s, t, uint8(classOf(len(e.b))))
}

// account moves a key that was touched again to where it belongs now.
func (u *Unit) account(s *slot, t *Touch, class uint8) {
	from, to := u.cohorts.start(t.last), u.cohorts.start(s.last)
	risk := s.risk()
	if from == to && risk == t.was && class == s.class {
		return
	}
	before := s.cost()
	s.class = class
	now := s.cost()
	if !u.cohorts.sub(s.table, t.was, from, before) {
		u.fail(errCohorts)
	}
	u.cohorts.add(s.table, risk, to, now)
	u.bytes += now - before
	u.changes.bytes += now - before
}

// newBlob begins a blob in the scratch.
func (u *Unit) newBlob(sh *shape, t *Touch) []byte {
	r := &u.rows[t.head] // rows of one key agree on its values
	b, cut := sh.appendHeader(u.blobRoom[:0], u.now, r, u.from[r.From], len(u.layout.Fields))
	if cut {
		u.counters.Cut++
	}
	return b
}

// foldSections folds the rows of a touch into each section that they feed.
func (u *Unit) foldSections(e *edit, sh *shape, t *Touch) {
	if len(sh.adders) > 0 {
		u.addUp(sh, t)
	}
	base := binary.LittleEndian.Uint32(e.b)
	at := sh.header(e.b)
	for id := range sh.sections {
		s := &sh.sections[id]
		if s.mask&t.Mask == 0 {
			if n, ok := sectionLen(e.b, at, id); ok {
				at += sectionHeader + n
			}
			continue
		}
		if s.kind == Distinct {
			e.limit = maxWithPairs
			at += u.foldDistinct(e, at, id, s, base, t)
			e.limit = maxBlob
		} else {
			at += u.foldPanes(e, at, id, s, base, t)
		}
	}
}

// foldFresh makes the new keys, in key order as long as there is room for
// them: which are turned away depends on the set of rows alone.
func (u *Unit) foldFresh() {
	refused := false
	for i := range u.touches {
		t := &u.touches[i]
		if t.fresh && !u.enter(t) {
			u.index.remove(t.Slot)
			t.Slot, refused = noRow, true
		}
	}
	if refused {
		u.touches = slices.DeleteFunc(u.touches, func(t Touch) bool { return t.Slot == noRow })
	}
}

// enter makes a new key, if it may be one.
func (u *Unit) enter(t *Touch) bool {
	u.rush()
	if u.degraded && !u.door.admits(t.Key) {
		u.counters.Turned++
		return false
	}
	if u.admit(t) {
		return true
	}
	u.counters.Refused++
	if u.limit > 0 {
		u.strain(int64(u.now) + 1)
		u.door.admits(t.Key)
	}
	return false
}

// admit makes the blob of a new key; false if there is no room for it.
func (u *Unit) admit(t *Touch) bool {
	if u.keys >= u.most || u.limit > 0 && u.bytes+minKeyBytes > u.hard {
		return false
	}
	sh := &u.shapes[t.Table]
	e := edit{b: u.newBlob(sh, t), scratch: u.blobRoom, limit: maxBlob, moved: true, key: t.Key}
	u.foldSections(&e, sh, t)
	c := classOf(len(e.b))
	cost := int64(keyBytes + classBytes[c])
	if u.limit > 0 && u.bytes+cost > u.hard {
		return false
	}
	s := u.index.slot(t.Slot)
	s.ref = u.arena.alloc(c, t.Slot)
	s.size, s.class = uint16(len(e.b)), uint8(c)
	copy(u.arena.blob(c, s.ref), e.b)
	u.cohorts.add(s.table, s.risk(), u.cohorts.start(s.last), cost)
	u.keys++
	u.bytes += cost
	u.begin(t.Slot, s)
	u.unbury(s)
	return true
}

// Touched returns the keys that the last Fold touched, sorted by key. It is
// valid until the next one; Shed and Expire may take keys out of their slots.
func (u *Unit) Touched() []Touch { return u.touches }

// RowsOf calls yield with the index of each row of the last Fold that touched
// the key in slot, in no order.
func (u *Unit) RowsOf(slot uint32, yield func(i int)) {
	k := u.KeyOf(slot)
	n, ok := slices.BinarySearchFunc(u.touches, k, func(t Touch, k Key) int { return compareKeys(t.Key, k) })
	if !ok {
		return
	}
	for i := u.touches[n].head; i != noRow; i = u.next[i] {
		yield(int(i))
	}
}
