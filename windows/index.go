package windows

// slot is the fixed part of a key. It has no pointers, so that the collector
// never looks at it.
type slot struct {
	key   Key
	ref   uint32 // its blob's place in the class of size
	last  uint32 // the tick of its last touch; while marked, the number of that touch
	size  uint16 // bytes of its blob; 0: none yet
	table uint16
	ticks uint16 // in how many ticks it was touched, saturating
	flags uint8
	class uint8 // the size class that is accounted: its blob's as of its last touch
}

// The flags of a slot. A key is clean, so that it may leave memory, if none of
// encoded, dirtyEven and dirtyOdd is set and it is not to be gathered; see changes.go.
const (
	used      = 1 << iota
	marked    // touched by the Fold that is going on
	near      // see Unit.Near
	outlives  // what the store has of it may pass for alive when it is not any more
	encoded   // in the checkpoint that is going on, and unchanged since
	dirtyEven // in the list of changed keys of an even or an odd cut; this
	dirtyOdd  // bit stays when the key goes, so that no slot is in a list twice
)

func (s *slot) used() bool { return s.flags&used != 0 }

// cost returns what is accounted for the key.
func (s *slot) cost() int64 { return int64(keyBytes + classBytes[s.class]) }

const (
	slotShift  = 9 // slots to a page
	maxKeys    = 1<<24 - 2
	firstIndex = 64
)

// index finds slots by key: open addressing with linear probing at a load of
// at most 0.75. An entry is the slot's number plus one and 8 bits of the key,
// so that a probe seldom loads the slot of another key.
type index struct {
	entries []uint32
	shift   uint8
	keys    int
	pages   [][]slot
	slots   uint32 // how many were ever taken
	free    []uint32
	listed  uint8 // the flag of keys that changed since the last cut
}

func newIndex() index {
	return index{entries: make([]uint32, firstIndex), shift: 64 - 6, listed: dirtyEven}
}

func (x *index) slot(i uint32) *slot { return &x.pages[i>>slotShift][i&(1<<slotShift-1)] }

// home is where a key's probe begins. The high half of a key chose the unit
// and gives the tag, so the low half chooses the place.
func (x *index) home(k Key) uint32 { return uint32(k.Lo * 0x9e3779b97f4a7c15 >> (x.shift & 63)) }

func tag(k Key) uint32 { return uint32(k.Hi & 0xff) }

// find returns the slot of k.
func (x *index) find(k Key) (i uint32, ok bool) {
	mask := uint32(len(x.entries) - 1)
	for h := x.home(k); ; h++ {
		e := x.entries[h&mask]
		if e == 0 {
			return 0, false
		}
		if e&0xff == tag(k) && x.slot(e>>8-1).key == k {
			return e>>8 - 1, true
		}
	}
}

// insert takes a slot for k, which must not be there.
func (x *index) insert(k Key, table uint16) (i uint32, ok bool) {
	if x.keys == maxKeys {
		return 0, false
	}
	if x.keys+1 > len(x.entries)/4*3 {
		x.grow(len(x.entries) * 2)
	}
	if n := len(x.free); n > 0 {
		i = x.free[n-1]
		x.free = x.free[:n-1]
	} else {
		i = x.slots
		if int(i>>slotShift) == len(x.pages) {
			x.pages = append(x.pages, make([]slot, 1<<slotShift))
		}
		x.slots++
	}
	s := x.slot(i)
	*s = slot{key: k, table: table, flags: used | s.flags&x.listed}
	x.keys++
	x.put(k, i)
	return i, true
}

func (x *index) put(k Key, i uint32) {
	mask := uint32(len(x.entries) - 1)
	h := x.home(k) & mask
	for x.entries[h] != 0 {
		h = (h + 1) & mask
	}
	x.entries[h] = (i+1)<<8 | tag(k)
}

func (x *index) grow(n int) {
	x.entries = make([]uint32, n)
	x.shift = 64
	for ; n > 1; n >>= 1 {
		x.shift--
	}
	for i := range x.slots {
		if s := x.slot(i); s.used() {
			x.put(s.key, i)
		}
	}
}

// remove gives back slot i and closes the gap that its entry leaves, so that
// no probe ends too early and no dead entries pile up.
func (x *index) remove(i uint32) {
	s := x.slot(i)
	mask := uint32(len(x.entries) - 1)
	h := x.home(s.key) & mask
	for x.entries[h]>>8 != i+1 {
		h = (h + 1) & mask
	}
	for j := h; ; {
		j = (j + 1) & mask
		e := x.entries[j]
		if e == 0 {
			break
		}
		home := x.home(x.slot(e>>8-1).key) & mask
		if (j-home)&mask >= (j-h)&mask {
			x.entries[h] = e
			h = j
		}
	}
	x.entries[h] = 0
	*s = slot{flags: s.flags & x.listed}
	x.keys--
	x.free = append(x.free, i)
}

// eachKey calls fn with every key in memory.
func (u *Unit) eachKey(fn func(i uint32, s *slot)) {
	for i := range u.index.slots {
		if s := u.index.slot(i); s.used() {
			fn(i, s)
		}
	}
}
