package windows

import "encoding/binary"

// Unit is the atom of state: its keys, and for each of them what its table
// keeps. All that it answers is a function of the sets of rows that were
// folded and of the ticks, never of the order of rows.
type Unit struct {
	layout *Layout
	shapes []shape
	print  uint64 // of the layout, so that a snapshot of another is refused
	limit  int64
	hard   int64 // new keys are refused beyond it

	index index
	arena arena
	bytes int64 // accounted

	tick     int64  // of the last Fold
	swept    uint32 // the hour of the last sweep for idle keys
	deadline int64  // no key is idle too long before it
	counters Counters

	// What the last Fold touched.
	touches []Touch
	next    []uint32 // of each row the next one of the same key, or noRow

	// During a Fold.
	rows  []Row
	from  []*Deltas
	now   uint32 // the second being folded
	cells cells
	scratch
}

// scratch is memory used again by every touch.
type scratch struct {
	blobRoom []byte
	tmp      []byte
	inc      []uint64
	hashes   []uint64
	old      []pair
	merged   []pair
	buckets  [numBuckets]uint64

	ends          []uint32 // of buckets, for order
	sortedTouches []Touch  // takes turns with touches
	sink          uint64   // keeps loads that only warm the cache
}

// Touch is a key that a Fold touched.
type Touch struct {
	Key   Key
	Mask  uint64 // the masks of its rows together
	Slot  uint32
	head  uint32 // its first row
	last  uint32 // the tick of the touch before
	Table uint16
	fresh bool
}

const noRow = ^uint32(0)

// NewUnit makes an empty unit whose accounted bytes shall stay within limit
// (0: without one). The layout must be valid and stay as it is.
func NewUnit(l *Layout, limit int64) *Unit {
	shapes, err := l.shapes()
	if err != nil {
		panic(err) // the planner made the layout
	}
	u := &Unit{layout: l, shapes: shapes, print: l.fingerprint(), index: newIndex()}
	u.SetLimit(limit)
	most := 0
	for i := range l.Tables {
		most = max(most, len(l.Tables[i].Series))
	}
	u.scratch = scratch{blobRoom: make([]byte, maxBlob), tmp: make([]byte, 0, 4096), inc: make([]uint64, most)}
	return u
}

// SetLimit changes the limit of the accounted bytes (0: none).
func (u *Unit) SetLimit(limit int64) { u.limit, u.hard = limit, limit+limit/20 }

// obs returns an observation of a row's event.
func (u *Unit) obs(r *Row, i int) uint64 {
	return u.from[r.From].Obs[int(r.Event)*u.layout.Obs+i]
}

// blob returns a key's blob; it must have one.
func (u *Unit) blob(s *slot) []byte {
	return u.arena.blob(classOf(int(s.size)), s.ref)[:s.size]
}

// Tick returns the tick of the last Fold.
func (u *Unit) Tick() int64 { return u.tick }

// Len returns how many keys there are.
func (u *Unit) Len() int { return u.index.keys }

// Bytes returns the accounted bytes: for each key its slot, its share of the
// index at the lowest load, and the room that its blob takes up. Really held
// are besides at most two pages of each size class of blobs that was used, and
// the slots and index of the most keys that there were at once.
func (u *Unit) Bytes() int64 { return u.bytes }

// Find returns the slot of a key. A slot keeps its key until the next Fold,
// Expire or Shed.
func (u *Unit) Find(k Key) (slot uint32, ok bool) { return u.index.find(k) }

// KeyOf returns the key in a slot.
func (u *Unit) KeyOf(slot uint32) Key { return u.index.slot(slot).key }

// TableOf returns the table of the key in a slot.
func (u *Unit) TableOf(slot uint32) uint16 { return u.index.slot(slot).table }

// AppendValues appends the values of a key, one for each of its table's
// fields. They are views, valid until the next Fold, Expire or Shed.
func (u *Unit) AppendValues(slot uint32, dst [][]byte) [][]byte {
	s := u.index.slot(slot)
	sh := &u.shapes[s.table]
	b := u.blob(s)
	at := sh.values()
	for range sh.fields {
		n, i := uvarint(b, at)
		at = i + int(n)
		dst = append(dst, b[i:at:at])
	}
	return dst
}

// Scan calls fn with every key of a table in the order of slots, which is not
// the same in a restored unit, and with the parent that its rows carried.
func (u *Unit) Scan(table int, fn func(slot uint32, parent uint64)) {
	parents := u.shapes[table].parent
	for i := range u.index.slots {
		s := u.index.slot(i)
		if !s.used || int(s.table) != table {
			continue
		}
		var parent uint64
		if parents {
			parent = binary.LittleEndian.Uint64(u.blob(s)[4:])
		}
		fn(i, parent)
	}
}
