package rules

import "weir/event"

// Standing holds the facts about values that were published at one whole hour:
// which succeeded in the seven days before (more often than they failed), and
// which occurred at all. Once published it does not change.
type Standing struct {
	defined bool
	// Of fields that nobody asked about when it was published, or not for long
	// enough, nothing is known; that is not the same as knowing of no value.
	noKnown, noSeen [event.NumFields]bool

	hash    func(ev *event.Event, f event.Field) (h uint64, ok bool)
	known   [event.NumFields]hashSet
	seen    [event.NumFields]hashSet
	visited hashSet
}

// NewStanding returns an empty standing. It is defined from the second day of
// a state on; hash gives the identity under which an event's value is entered.
func NewStanding(defined bool, hash func(ev *event.Event, f event.Field) (uint64, bool)) *Standing {
	return &Standing{defined: defined, hash: hash}
}

// AddKnown enters a value that succeeded here.
func (s *Standing) AddKnown(f event.Field, h uint64) { s.known[f].add(h) }

// AddSeen enters a value that occurred here.
func (s *Standing) AddSeen(f event.Field, h uint64) { s.seen[f].add(h) }

// Visited reports whether the event's actor was seen to visit the site: three
// or more requests with assets among them. Unlike the other facts it is there
// from the first published hour on.
func (s *Standing) Visited(ev *event.Event) bool {
	if s == nil {
		return false
	}
	h, ok := s.hash(ev, event.FieldActor)
	return ok && s.visited.has(h)
}

// KnowsOf reports whether Known of a field may be asked; a nil standing knows
// of none.
func (s *Standing) KnowsOf(f event.Field) bool { return s != nil && s.defined && !s.noKnown[f] }

// SeesOf reports whether Seen of a field may be asked; a nil standing sees none.
func (s *Standing) SeesOf(f event.Field) bool { return s != nil && s.defined && !s.noSeen[f] }

// Known reports whether the event's value of f succeeded here before; an
// event without a value is not known.
func (s *Standing) Known(ev *event.Event, f event.Field) bool {
	h, ok := s.hash(ev, f)
	return ok && s.known[f].has(h)
}

// Seen reports whether the event's value of f occurred here before.
func (s *Standing) Seen(ev *event.Event, f event.Field) bool {
	h, ok := s.hash(ev, f)
	return ok && s.seen[f].has(h)
}

// hashSet is a set of keyed hashes: open addressing without pointers, since a
// set of all addresses of a week is rebuilt every hour.
type hashSet struct {
	slots []uint64
	n     int
	zero  bool
}

func (s *hashSet) add(h uint64) {
	if h == 0 {
		s.zero = true
		return
	}
	if 4*(s.n+1) > 3*len(s.slots) {
		s.grow(s.n + 1)
	}
	mask := uint64(len(s.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		switch s.slots[i] {
		case h:
			return
		case 0:
			s.slots[i] = h
			s.n++
			return
		}
	}
}

// grow makes room for n values.
func (s *hashSet) grow(n int) {
	size := max(16, len(s.slots))
	for 4*n > 3*size {
		size *= 2
	}
	if n == 0 || size == len(s.slots) {
		return
	}
	old := s.slots
	s.slots, s.n = make([]uint64, size), 0
	for _, o := range old {
		if o != 0 {
			s.add(o)
		}
	}
}

func (s *hashSet) has(h uint64) bool {
	if h == 0 {
		return s.zero
	}
	if s.n == 0 {
		return false
	}
	mask := uint64(len(s.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		switch s.slots[i] {
		case h:
			return true
		case 0:
			return false
		}
	}
}
