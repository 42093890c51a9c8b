package rules

import "weir/event"

// Standing holds the facts about values that were published at one whole hour:
// which succeeded in the seven days before (more often than they failed), and
// which occurred at all. Once published it does not change.
type Standing struct {
	defined bool
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

// Defined reports whether the facts may be used; a nil standing may not.
func (s *Standing) Defined() bool { return s != nil && s.defined }

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
		old := s.slots
		s.slots, s.n = make([]uint64, max(16, 2*len(old))), 0
		for _, o := range old {
			if o != 0 {
				s.add(o)
			}
		}
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
