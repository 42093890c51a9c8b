package rules

import (
	"math/bits"

	"weir/event"
)

// Fact is what a condition may ask of a field's value: what was so of it in the
// seven days before a whole hour.
type Fact uint8

const (
	Known  Fact = iota // it succeeded, more often than it failed
	Denied             // it failed, more often than it succeeded
	Seen               // it occurred
	numFacts
)

var factNames = [numFacts]string{Known: "known", Denied: "denied", Seen: "seen"}

// String returns the fact as rules write it.
func (k Fact) String() string { return factNames[k] }

// byFact has something for each field of each fact.
type byFact[T any] [numFacts][event.NumFields]T

// askedFacts has the fields of which each fact is asked.
type askedFacts [numFacts][]event.Field

func (a askedFacts) any() bool {
	for _, fields := range a {
		if len(fields) > 0 {
			return true
		}
	}
	return false
}

// Standing holds the facts about values that were published at one whole hour.
// Once published it does not change.
type Standing struct {
	defined bool
	// Of fields that nobody asked about when it was published, or not for long
	// enough, nothing is known; that is not the same as knowing of no value.
	untold byFact[bool]

	hash    func(ev *event.Event, f event.Field) (h uint64, ok bool)
	sets    byFact[hashSet]
	visited hashSet
	// There were too many visitors: nobody is told from one.
	allVisited bool
	left       []string // facts that were left out when it was published here
}

// NewStanding returns an empty standing. It is defined from the second day of
// a state on; hash gives the identity under which an event's value is entered.
func NewStanding(defined bool, hash func(ev *event.Event, f event.Field) (uint64, bool)) *Standing {
	return &Standing{defined: defined, hash: hash}
}

// Add enters a value of which a fact is so.
func (s *Standing) Add(k Fact, f event.Field, h uint64) { s.sets[k][f].add(h) }

// Visited reports whether the event's actor was seen to visit the site: three
// or more requests with assets among them. Unlike the other facts it is there
// from the first published hour on.
func (s *Standing) Visited(ev *event.Event) bool {
	if s == nil {
		return false
	}
	h, ok := s.hash(ev, event.FieldActor)
	return ok && (s.allVisited || s.visited.has(h))
}

// LeftOut names the facts that there was no room for when it was published.
func (s *Standing) LeftOut() []string { return s.left }

// Tells reports whether a fact of a field may be asked; a nil standing tells none.
func (s *Standing) Tells(k Fact, f event.Field) bool { return s != nil && s.defined && !s.untold[k][f] }

// Is reports whether a fact is so of the event's value of f; it is of none that
// the event lacks.
func (s *Standing) Is(k Fact, ev *event.Event, f event.Field) bool {
	h, ok := s.hash(ev, f)
	return ok && s.sets[k][f].has(h)
}

// bytes is what the facts take in memory.
func (s *Standing) bytes() (n int64) {
	for k := range s.sets {
		for f := range s.sets[k] {
			n += s.sets[k][f].bytes()
		}
	}
	return n + s.visited.bytes()
}

// hashSet is a set of keyed hashes: open addressing without pointers, since a
// set of all addresses of a week is rebuilt every hour; at a load of at most
// four fifths, since several of them are in memory at once.
type hashSet struct {
	slots []uint64
	n     int
	zero  bool
}

const leastSlots = 16

func (s *hashSet) bytes() int64 { return 8 * int64(cap(s.slots)) }

// home is where a hash's probe begins.
func (s *hashSet) home(h uint64) int {
	i, _ := bits.Mul64(h*0x9e3779b97f4a7c15, uint64(len(s.slots)))
	return int(i)
}

func (s *hashSet) add(h uint64) {
	if h == 0 {
		s.zero = true
		return
	}
	if 5*(s.n+1) > 4*len(s.slots) {
		s.resize(max(leastSlots, 2*len(s.slots)))
	}
	for i := s.home(h); ; {
		switch s.slots[i] {
		case h:
			return
		case 0:
			s.slots[i] = h
			s.n++
			return
		}
		if i++; i == len(s.slots) {
			i = 0
		}
	}
}

// grow makes room for n values, and not for many more.
func (s *hashSet) grow(n int) {
	if 5*n > 4*len(s.slots) {
		s.resize(max(leastSlots, n+n/4+1))
	}
}

func (s *hashSet) resize(size int) {
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
	for i := s.home(h); ; {
		switch s.slots[i] {
		case h:
			return true
		case 0:
			return false
		}
		if i++; i == len(s.slots) {
			i = 0
		}
	}
}
