package windows

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/zeebo/xxh3"

	"weir/state"
)

// A head is all of a unit but its keys. It is, behind the head of a state
// record, numbers as uvarints unless said otherwise:
//
//	layout    its serial, and its print (uint64, little-endian)
//	clock     the tick (a varint), the hour of the cohorts, that of the last Expire
//	counters  seven of them, in the order of Counters
//	degraded  0 or 1, and the last tick at which something had to be shed (a varint)
//	rush      a minute, and how many bytes its new keys take at least (varints)
//	shed      of each class the tick before which its keys are dead
//	tables    how many, and of each, ascending by the store's number for it: that
//	          number, the tick before which its keys have expired, and of each
//	          class how many bins and of each, ascending: how many minutes after
//	          the one before, keys, and bytes / 16
//	door      bytes of a bitmap of the doorkeeper, and both bitmaps
//
// It holds nothing of where keys lie, so units of equal state give equal bytes.
// Version 1 had a doorkeeper with other bits for each key, which nobody can read
// any more.
const (
	headVersion = 2
	firstHead   = 1
)

// ErrSnapshot is what every error of OpenUnit and RestoreUnit wraps.
var ErrSnapshot = errors.New("snapshot")

var errShort = errors.New("ends too early")

// fingerprint identifies what a layout keeps.
func (l *Layout) fingerprint() uint64 {
	b := binary.AppendUvarint(nil, uint64(l.Obs))
	for i := range l.Tables {
		t := &l.Tables[i]
		b = binary.AppendUvarint(b, uint64(len(t.Fields)))
		for _, f := range t.Fields {
			b = append(b, byte(f))
		}
		b = binary.AppendUvarint(b, uint64(t.Retain))
		if t.Parent {
			b = append(b, 'p')
		}
		b = binary.AppendUvarint(b, uint64(len(t.Series)))
		for _, s := range t.Series {
			b = append(b, byte(s.Kind), s.Bit, s.Obs, byte(len(s.Windows)))
			for _, w := range s.Windows {
				b = binary.AppendUvarint(b, uint64(w))
			}
		}
	}
	return xxh3.Hash(b)
}

// AppendHead appends all that the unit holds but its keys and what its last
// Fold touched.
func (u *Unit) AppendHead(dst []byte) []byte {
	dst, start := state.BeginRecord(dst)
	w := state.Writer{B: dst}
	w.Uint(uint64(u.layout.Serial))
	w.Fixed(u.print)
	w.Int(u.tick)
	w.Uint(uint64(u.cohorts.hour))
	w.Uint(uint64(u.swept))
	for _, n := range u.counters.all() {
		w.Uint(*n)
	}
	w.Bool(u.degraded)
	w.Int(u.strained)
	w.Int(u.minute)
	w.Int(u.fresh)
	for _, line := range u.lines.shed {
		w.Uint(uint64(line))
	}
	w.Uint(uint64(len(u.shapes)))
	for _, t := range u.byStore() {
		w.Uint(uint64(u.stores[t]))
		w.Uint(uint64(u.lines.idle[t]))
		for _, r := range u.cohorts.rows[t*riskClasses : (t+1)*riskClasses] {
			w.B = r.append(w.B)
		}
	}
	w.Uint(uint64(u.door.bytes()))
	w.B = u.door.append(w.B)
	state.EndRecord(w.B, start, headVersion)
	return w.B
}

// byStore returns the tables ascending by the store's numbers.
func (u *Unit) byStore() []int {
	tables := make([]int, len(u.stores))
	for t := range tables {
		tables[t] = t
	}
	slices.SortFunc(tables, func(a, b int) int { return int(u.stores[a]) - int(u.stores[b]) })
	return tables
}

func (r row) append(dst []byte) []byte {
	bins := uint64(0)
	for i := range r {
		if r[i].keys > 0 {
			bins++
		}
	}
	dst = binary.AppendUvarint(dst, bins)
	before := uint32(0)
	for _, b := range r {
		if b.keys == 0 {
			continue
		}
		dst = binary.AppendUvarint(dst, uint64(b.start-before))
		dst = binary.AppendUvarint(dst, uint64(b.keys))
		dst = binary.AppendUvarint(dst, uint64(b.cost/costUnit))
		before = b.start
	}
	return dst
}

// OpenUnit makes a unit of what AppendHead gave, whose keys are in the store
// as of the same moment. They stay there until Load or a touch. The layout may
// be a later one of the state than the head's (see Follow): tables that it does
// not have are dropped.
func OpenUnit(l *Layout, limit int64, head []byte, cold *state.Unit) (*Unit, error) {
	u, rest, err := openUnit(l, limit, head)
	switch {
	case err != nil:
		return nil, err
	case len(rest) > 0:
		return nil, fmt.Errorf("%w: %d bytes behind it", ErrSnapshot, len(rest))
	case cold == nil && u.keys > 0:
		return nil, fmt.Errorf("%w: of %d keys, but there is no store that has them", ErrSnapshot, u.keys)
	}
	u.outside.store = cold
	return u, nil
}

// openUnit makes a unit of the head that b begins with.
func openUnit(l *Layout, limit int64, b []byte) (u *Unit, rest []byte, err error) {
	if err := l.Validate(); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	version := byte(headVersion)
	if len(b) > 0 && b[0] == firstHead {
		version = firstHead
	}
	body, rest, err := state.ReadRecord(b, version)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	u = NewUnit(l, limit)
	r := state.Reader{B: body}
	if err := u.readHead(&r); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	switch {
	case r.Err != nil:
		return nil, nil, fmt.Errorf("%w: %w", ErrSnapshot, r.Err)
	case len(r.B) > 0:
		return nil, nil, fmt.Errorf("%w: %d bytes too many", ErrSnapshot, len(r.B))
	}
	if version == firstHead && u.degraded {
		u.door = newDoorkeeper(limit) // whom it turned away comes once more
	}
	u.outside.keys = u.keys
	return u, rest, nil
}

const mostTick = 1<<32 - 1

func (u *Unit) readHead(r *state.Reader) error {
	serial, print := r.Uint(), r.Fixed()
	switch own := uint64(u.layout.Serial); {
	case r.Err != nil:
		return r.Err
	case serial == own && print != u.print:
		return fmt.Errorf("of layout %016x, must be %016x", print, u.print)
	case serial > own:
		return fmt.Errorf("of layout %d, must be at most %d", serial, own)
	}
	u.tick = r.Int()
	hour, swept := r.Uint(), r.Uint()
	for _, n := range u.counters.all() {
		*n = r.Uint()
	}
	u.degraded, u.strained = r.Bool(), r.Int()
	if u.minute, u.fresh = r.Int(), r.Int(); u.minute < 0 || u.minute > mostTick/60 || u.fresh < 0 || u.fresh > mostKeys*minKeyBytes {
		return fmt.Errorf("%d bytes of new keys in minute %d", u.fresh, u.minute)
	}
	if u.tick < 0 || u.tick > mostTick || u.strained < 0 || u.strained > mostTick || max(hour, swept) > mostTick/secondsOfHour {
		return fmt.Errorf("tick %d, hour %d, expired in %d, shed at %d", u.tick, hour, swept, u.strained)
	}
	u.cohorts.hour, u.swept = uint32(hour), uint32(swept)
	for class := range u.lines.shed {
		line := r.Uint()
		if line > mostTick {
			return fmt.Errorf("class %d shed before %d, must be at most %d", class, line, mostTick)
		}
		u.lines.shed[class] = uint32(line)
	}
	if err := u.readTables(r); err != nil {
		return err
	}
	return u.readDoor(r)
}

func (u *Unit) readTables(r *state.Reader) error {
	own := map[uint64]int{}
	for t, number := range u.stores {
		own[uint64(number)] = t
	}
	before := int64(-1)
	for range r.Len() {
		number, line := r.Uint(), r.Uint()
		if int64(number) <= before || number >= 1<<16 || line > mostTick {
			return fmt.Errorf("table %d behind table %d, expired before %d", number, before, line)
		}
		before = int64(number)
		t, kept := own[number]
		if kept {
			u.lines.idle[t] = uint32(line)
		}
		for class := range riskClasses {
			bins, err := u.cohorts.read(r)
			if err != nil {
				return fmt.Errorf("table %d: class %d: %w", number, class, err)
			}
			if !kept {
				continue
			}
			u.cohorts.rows[t*riskClasses+class] = bins
			u.cohorts.held += int64(cap(bins)) * binBytes
			for _, b := range bins {
				u.keys += int64(b.keys)
				u.bytes += b.cost
			}
		}
	}
	return nil
}

// read reads a row.
func (c *cohorts) read(r *state.Reader) (bins row, err error) {
	n := r.Len()
	bins = make(row, 0, n)
	start := uint64(0)
	for i := range n {
		gap, keys, units := r.Uint(), r.Uint(), r.Uint()
		if r.Err != nil {
			return nil, r.Err
		}
		start += gap
		if gap == 0 && i > 0 || gap > mostTick || start > mostTick/60 || keys == 0 || keys >= 1<<32 || units > 1<<40 ||
			uint64(c.start(uint32(start)*60)) != start {
			return nil, fmt.Errorf("bin %d has %d keys of %d bytes", start, keys, units)
		}
		bins = append(bins, bin{uint32(start), uint32(keys), int64(units) * costUnit})
	}
	return bins, nil
}

func (u *Unit) readDoor(r *state.Reader) error {
	size := r.Uint()
	if r.Err != nil {
		return r.Err
	}
	if size == 0 && !u.degraded {
		return nil
	}
	if size < leastDoor || size > mostDoor || size&(size-1) != 0 || !u.degraded {
		return fmt.Errorf("a doorkeeper of %d bytes, degraded %v", size, u.degraded)
	}
	if uint64(len(r.B)) < 2*size {
		return errShort
	}
	u.door = readDoorkeeper(r.B[:2*size])
	r.B = r.B[2*size:]
	return nil
}
