package windows

// changes says which keys differ from what the store has of them.
//
// A key that changed since the last cut is in list, and its slot has the flag
// index.listed. A cut makes list pending by swapping the two flags. A pending
// key is encoded by Encode in its time, or before it changes; its slot then
// loses the flag, and has encoded until it changes or the checkpoint is
// settled. A cut of all keys takes those along that did not change: Encode makes
// them pending first, or who changes one.
type changes struct {
	list  []uint32 // slots
	bytes int64    // accounted for the keys in list

	cut     bool     // a cut is not settled yet
	flag    uint8    // of pending slots that are not encoded; 0 while there is no cut
	pending []uint32 // slots
	waiting int64    // bytes accounted for the keys in pending that did not change since
	lines   lines    // as of the cut

	// Of a cut of all keys: into how many pages each table goes (else it is empty),
	// the slots of which those are still to be gathered whose key did not change, and
	// the bytes accounted for these keys.
	pages                 []int
	gatherNext, gatherEnd uint32
	gatherBytes           int64

	encoder encoder
}

// change notes that a key, which is not in the list yet, is about to change.
func (u *Unit) change(i uint32, s *slot) {
	c := &u.changes
	if c.toGather(i, s) {
		c.addPending(i, s)
	}
	if s.flags&c.flag != 0 {
		u.save(i, s)
	}
	if s.flags&(c.flag|encoded) != 0 {
		c.waiting -= s.cost()
		s.flags &^= c.flag | encoded
	}
	u.begin(i, s)
}

// begin notes a key as one that the store does not have as it is.
func (u *Unit) begin(i uint32, s *slot) {
	c := &u.changes
	if s.flags&u.index.listed == 0 {
		c.list = append(c.list, i)
		s.flags |= u.index.listed
	}
	c.bytes += s.cost()
}

// forget notes that a key is about to leave memory for ever.
func (u *Unit) forget(i uint32, s *slot) {
	c := &u.changes
	if c.toGather(i, s) {
		c.addPending(i, s)
	}
	switch {
	case s.flags&c.flag != 0:
		u.save(i, s)
		c.waiting -= s.cost()
	case s.flags&encoded != 0:
		c.waiting -= s.cost()
	case s.flags&u.index.listed != 0:
		c.bytes -= s.cost()
	}
}

// clean reports whether the store has the key in a slot as it is.
func (u *Unit) clean(i uint32, s *slot) bool {
	return s.flags&(encoded|dirtyEven|dirtyOdd) == 0 && !u.changes.toGather(i, s)
}

// Dirty returns the bytes accounted for keys that changed since they were last
// settled.
func (u *Unit) Dirty() int64 { return u.changes.bytes + u.changes.waiting + u.changes.gatherBytes }

// Cut makes the keys that changed since the last cut pending: Encode will hand
// them over as they are now, whatever becomes of them in the meantime. Where all may
// be dirty at once, and most are, the others come with them, which is cheaper to
// write. A cut that was not settled counts as failed. AppendHead belongs to the
// same moment.
func (u *Unit) Cut(all bool) {
	if u.changes.cut {
		u.Settle(false)
	}
	c := &u.changes
	c.cut, c.flag = true, u.index.listed
	u.index.listed ^= dirtyEven | dirtyOdd
	c.list, c.pending = c.pending[:0], c.list
	c.bytes, c.waiting = 0, c.bytes
	if all {
		u.whole()
	}
	c.lines.shed, c.lines.idle = u.lines.shed, append(c.lines.idle[:0], u.lines.idle...)
	for k, b := range u.outside.buried {
		b.pending = true
		u.outside.buried[k] = b
	}
}

// Settle says what became of the checkpoint of the last Cut: it is on disk, so
// that keys which did not change since are clean, or it failed, so that they
// have to be written again.
func (u *Unit) Settle(ok bool) {
	c := &u.changes
	if !c.cut {
		return
	}
	if ok && !c.encoder.done {
		panic("windows: a checkpoint was settled before all of it was encoded")
	}
	for _, i := range c.pending {
		s := u.index.slot(i)
		waits := s.used() && s.flags&(encoded|c.flag) != 0
		s.flags &^= encoded | c.flag
		switch {
		case !waits:
		case !ok:
			u.begin(i, s)
		case s.flags&near == 0:
			s.flags &^= outlives
		}
	}
	c.pending, c.waiting, c.cut, c.flag, c.pages = shrunk(c.pending), 0, false, 0, c.pages[:0]
	c.gatherNext, c.gatherEnd, c.gatherBytes = 0, 0, 0
	c.encoder.reset()
	for k, b := range u.outside.buried {
		switch {
		case !b.pending:
		case ok:
			delete(u.outside.buried, k)
		default:
			u.settleBurial(k, b)
		}
	}
}

// shrunk returns a list emptied; a large one that was hardly used is given up.
func shrunk[T any](list []T) []T {
	if cap(list) > 4096 && len(list) < cap(list)/8 {
		return nil
	}
	return list[:0]
}
