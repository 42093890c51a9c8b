package windows

import "math/bits"

// note says of a key that is not in memory in which hours some facts are so of
// it. While nothing touches it, they change only as panes leave the week; a key
// has a note for each span between two changes, mostly a single one.
type note struct {
	key  uint64 // Key.Lo, which tells the keys of a table apart
	last uint32 // the tick of its last touch; 0: this place is free
	what uint32 // from bit 0 on facts (4), class (3), the hours from (8) and until (8)
}

const (
	noteBytes  = 16
	noteFrom   = MaxFacts + 3
	noteUntil  = noteFrom + 8
	leastNotes = 16
)

func newNote(key uint64, last uint32, class, facts uint8, from, until uint32) note {
	n := note{key: key, last: last, what: uint32(facts) | uint32(class)<<MaxFacts}
	n.what |= (from-n.base())<<noteFrom | (until-n.base())<<noteUntil
	return n
}

func (n *note) facts() uint8 { return uint8(n.what & (1<<MaxFacts - 1)) }
func (n *note) class() uint8 { return uint8(n.what >> MaxFacts & (riskClasses - 1)) }

// base is what the hours of a note count from: none of what a note is asked for
// lies further back than the hour before that of its key's last second.
func (n *note) base() uint32 { return (n.last-1)/secondsOfHour - 1 }

func (n *note) from() uint32  { return n.base() + n.what>>noteFrom&0xff }
func (n *note) until() uint32 { return n.base() + n.what>>noteUntil&0xff }

// notes are those of a table: open addressing with linear probing, so that what
// a key has stands together. Keys are keyed hashes.
type notes struct {
	places []note
	n      int
}

func (x *notes) home(key uint64) int {
	i, _ := bits.Mul64(key*0x9e3779b97f4a7c15, uint64(len(x.places)))
	return int(i)
}

// add adds a note, whatever others the key has.
func (x *notes) add(n note) {
	if 5*(x.n+1) > 4*len(x.places) {
		x.resize(max(leastNotes, len(x.places)+len(x.places)/3))
	}
	x.put(n)
	x.n++
}

func (x *notes) put(n note) {
	i := x.home(n.key)
	for x.places[i].last != 0 {
		if i++; i == len(x.places) {
			i = 0
		}
	}
	x.places[i] = n
}

// resize makes so many places of what there are.
func (x *notes) resize(places int) {
	old := x.places
	x.places = make([]note, places)
	for _, n := range old {
		if n.last != 0 {
			x.put(n)
		}
	}
}

// drop forgets all notes of a key.
func (x *notes) drop(key uint64) {
	if x.n == 0 {
		return
	}
	for i := x.home(key); x.places[i].last != 0; {
		if x.places[i].key == key {
			x.remove(i) // what stood behind it may stand here now
			continue
		}
		if i++; i == len(x.places) {
			i = 0
		}
	}
	x.shrink()
}

// remove frees a place and closes the gap, so that no probe ends too early.
func (x *notes) remove(i int) {
	size := len(x.places)
	for at := i; ; {
		if at++; at == size {
			at = 0
		}
		if x.places[at].last == 0 {
			break
		}
		// What stands at may move to i unless its home lies between them.
		if from := x.home(x.places[at].key); (at-from+size)%size >= (at-i+size)%size {
			x.places[i] = x.places[at]
			i = at
		}
	}
	x.places[i] = note{}
	x.n--
}

// sweep looks at all of them, and forgets those for which gone holds when they
// are many. It must hold for ever once it does.
func (x *notes) sweep(gone func(*note) bool) {
	left := 0
	for i := range x.places {
		if n := &x.places[i]; n.last != 0 && gone(n) {
			n.what = 0
		} else if n.last != 0 {
			left++
		}
	}
	if x.n-left <= x.n/4 {
		return
	}
	old := x.places
	x.n, x.places = left, make([]note, roomFor(left))
	for _, n := range old {
		if n.last != 0 && n.what != 0 {
			x.put(n)
		}
	}
}

// roomFor returns how many places so many notes have at a load of two thirds.
func roomFor(n int) int {
	if n == 0 {
		return 0
	}
	return max(leastNotes, n+n/2)
}

// shrink gives back places when hardly any is taken.
func (x *notes) shrink() {
	if len(x.places) > leastNotes && 8*x.n < len(x.places) {
		x.resize(roomFor(x.n))
	}
}

func (x *notes) held() int64 { return int64(cap(x.places)) * noteBytes }
