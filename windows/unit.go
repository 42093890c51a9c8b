package windows

// Unit is the atom of state: its keys, and for each of them what its table
// keeps. All that it answers is a function of the sets of rows that were
// folded and of the ticks, never of the order of rows.
type Unit struct {
	layout *Layout
	shapes []shape
	print  uint64 // of the layout, so that a snapshot of another is refused
	limit  int64
	hard   int64 // new keys are refused beyond it

	index   index
	arena   arena
	cohorts cohorts
	lines   lines
	stores  []uint16 // under which number the store keeps each table
	bytes   int64    // accounted
	keys    int64    // accounted, in memory or not
	most    int64    // of keys

	tick     int64  // of the last Fold
	swept    uint32 // the hour of the last Expire
	counters Counters

	degraded bool
	strained int64 // the last tick at which something had to be shed, or too many keys were new
	rushes   int64 // bytes of new keys in a minute that are a flood
	minute   int64 // the one of which fresh counts
	fresh    int64 // bytes that its new keys take at least
	door     doorkeeper

	changes changes
	outside outside
	noting  noting

	// What was read and has not changed since.
	folds     uint64 // how many there were, and one
	totals    [numbers]totals
	earlier   totals // of TotalBefore, which asks for one window
	estimates estimates

	// What the last Fold touched.
	touches []Touch
	next    []uint32 // of each row the next one of the same key, or noRow
	faint   []uint32 // rows that wait for another one to begin their keys

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
	was   uint8 // its class before
}

const noRow = ^uint32(0)

// NewUnit makes an empty unit whose accounted bytes shall stay within limit
// (0: without one). The layout must be valid and stay as it is.
func NewUnit(l *Layout, limit int64) *Unit {
	shapes, err := l.shapes()
	if err != nil {
		panic(err) // the planner made the layout
	}
	u := &Unit{
		layout: l, shapes: shapes, print: l.fingerprint(), index: newIndex(), most: mostKeys,
		cohorts: newCohorts(len(l.Tables)), lines: lines{idle: make([]uint32, len(l.Tables))}, stores: l.stores(), folds: 1,
	}
	u.SetLimit(limit)
	most := 0
	for i := range l.Tables {
		most = max(most, len(l.Tables[i].Series))
	}
	u.scratch = scratch{blobRoom: make([]byte, maxBlob), tmp: make([]byte, 0, 4096), inc: make([]uint64, most)}
	return u
}

// SetLimit changes the limit of the accounted bytes (0: none).
func (u *Unit) SetLimit(limit int64) {
	u.limit, u.hard, u.rushes = limit, limit+limit/20, max(leastRush, limit/rushShare)
}

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

// Len returns how many keys there are, in memory or not.
func (u *Unit) Len() int { return int(u.keys) }

// Bytes returns the accounted bytes: for each key, wherever it is, its slot,
// its share of the index and the room that its blob takes up, as of its last
// touch.
func (u *Unit) Bytes() int64 { return u.bytes }

// Find returns the slot of a key, whatever table it is of. FindIn is faster for
// keys that are not in memory.
func (u *Unit) Find(k Key) (slot uint32, ok bool) {
	if slot, ok = u.index.find(k); ok {
		return slot, ok
	}
	for table := 0; table < len(u.shapes) && !ok && u.apart(); table++ {
		slot, ok = u.fetch(table, k)
	}
	return slot, ok
}

// FindIn returns the slot of a key of a table. A slot keeps its key until the
// next Fold, Expire, Shed or Evict. It must not be called from within Scan.
func (u *Unit) FindIn(table int, k Key) (slot uint32, ok bool) {
	if slot, ok = u.index.find(k); ok || !u.apart() {
		return slot, ok
	}
	return u.fetch(table, k)
}

// FindAt is FindIn that looks first at a slot where the key was once.
func (u *Unit) FindAt(was uint32, table int, k Key) (slot uint32, ok bool) {
	if was < u.index.slots {
		if s := u.index.slot(was); s.used() && s.key == k {
			return was, true
		}
	}
	return u.FindIn(table, k)
}

// apart reports whether there are keys that only the store has.
func (u *Unit) apart() bool {
	if u.outside.scanning {
		panic("windows: a key was looked up from within a scan")
	}
	return u.outside.keys > 0
}

// LastTouch returns the tick of the last Fold that touched the key in a slot.
func (u *Unit) LastTouch(slot uint32) int64 { return int64(u.index.slot(slot).last) }

// KeyOf returns the key in a slot.
func (u *Unit) KeyOf(slot uint32) Key { return u.index.slot(slot).key }

// TableOf returns the table of the key in a slot.
func (u *Unit) TableOf(slot uint32) uint16 { return u.index.slot(slot).table }

// BytesOf returns what is accounted for the key in a slot.
func (u *Unit) BytesOf(slot uint32) int64 { return u.index.slot(slot).cost() }

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
