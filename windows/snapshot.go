package windows

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/zeebo/xxh3"

	"weir/state"
)

// A snapshot is, numbers little-endian:
//
//	head         of a state record
//	body         print (uint64), tick (int64), swept (uint32), six counters
//	             (uint64), keys (uint64), and of each key, ascending: Hi, Lo,
//	             table, ticks and size as uvarints, last as uint32, the blob
//
// It holds nothing of where keys lie in memory, so units of equal state give
// equal bytes.
const snapshotVersion = 1

// ErrSnapshot is what every error of RestoreUnit wraps.
var ErrSnapshot = errors.New("snapshot")

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

// AppendSnapshot appends all that the unit holds but what its last Fold touched.
func (u *Unit) AppendSnapshot(dst []byte) []byte {
	dst = slices.Grow(dst, 128+int(u.bytes))
	dst, start := state.BeginRecord(dst)
	le := binary.LittleEndian
	dst = le.AppendUint64(dst, u.print)
	dst = le.AppendUint64(dst, uint64(u.tick))
	dst = le.AppendUint32(dst, u.swept)
	for _, n := range u.counters.all() {
		dst = le.AppendUint64(dst, *n)
	}
	dst = le.AppendUint64(dst, uint64(u.index.keys))
	for _, k := range u.sorted() {
		s := u.index.slot(k.slot)
		dst = le.AppendUint64(dst, s.key.Hi)
		dst = le.AppendUint64(dst, s.key.Lo)
		dst = binary.AppendUvarint(dst, uint64(s.table))
		dst = binary.AppendUvarint(dst, uint64(s.ticks))
		dst = binary.AppendUvarint(dst, uint64(s.size))
		dst = le.AppendUint32(dst, s.last)
		dst = append(dst, u.blob(s)...)
	}
	state.EndRecord(dst, start, snapshotVersion)
	return dst
}

// all returns the counters in the order of snapshots.
func (n *Counters) all() [6]*uint64 {
	return [...]*uint64{&n.Evicted, &n.Expired, &n.Refused, &n.Full, &n.Cut, &n.OutOfTime}
}

type keyedSlot struct {
	key  Key
	slot uint32
}

func (u *Unit) sorted() []keyedSlot {
	ks := make([]keyedSlot, 0, u.index.keys)
	u.eachKey(func(i uint32, s *slot) { ks = append(ks, keyedSlot{s.key, i}) })
	slices.SortFunc(ks, func(a, b keyedSlot) int { return compareKeys(a.key, b.key) })
	return ks
}

// RestoreUnit makes a unit of a snapshot that AppendSnapshot made with the
// same layout. It behaves as the one it was taken of for ever.
func RestoreUnit(l *Layout, limit int64, b []byte) (*Unit, error) {
	if err := l.Validate(); err != nil {
		return nil, err
	}
	u := NewUnit(l, limit)
	if err := u.restore(b); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	return u, nil
}

var errShort = errors.New("ends too early")

func (u *Unit) restore(b []byte) error {
	le := binary.LittleEndian
	b, rest, err := state.ReadRecord(b, snapshotVersion)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return fmt.Errorf("%d bytes behind it", len(rest))
	}
	const fixed = 8 + 8 + 4 + 6*8 + 8
	if len(b) < fixed {
		return errShort
	}
	if p := le.Uint64(b); p != u.print {
		return fmt.Errorf("of layout %016x, must be %016x", p, u.print)
	}
	u.tick, u.swept = int64(le.Uint64(b[8:])), le.Uint32(b[16:])
	for i, c := range u.counters.all() {
		*c = le.Uint64(b[20+8*i:])
	}
	keys := le.Uint64(b[fixed-8:])
	b = b[fixed:]
	var previous Key
	for i := range keys {
		rest, k, err := u.restoreKey(b)
		if err != nil {
			return fmt.Errorf("key %d: %w", i, err)
		}
		if i > 0 && compareKeys(previous, k) >= 0 {
			return fmt.Errorf("key %d: out of order", i)
		}
		b, previous = rest, k
	}
	if len(b) > 0 {
		return fmt.Errorf("%d bytes too many", len(b))
	}
	return nil
}

func (u *Unit) restoreKey(b []byte) (rest []byte, k Key, err error) {
	le := binary.LittleEndian
	if len(b) < 16 {
		return nil, k, errShort
	}
	k = Key{Hi: le.Uint64(b), Lo: le.Uint64(b[8:])}
	b = b[16:]
	var v [3]uint64 // table, ticks, size
	for i, limit := range [...]uint64{uint64(len(u.shapes)) - 1, 1<<16 - 1, maxBlob} {
		n := 0
		v[i], n = binary.Uvarint(b)
		if n <= 0 || v[i] > limit {
			return nil, k, fmt.Errorf("table, ticks or size %d, must be at most %d", v[i], limit)
		}
		b = b[n:]
	}
	size := int(v[2])
	if len(b) < 4+size || len(u.shapes) == 0 {
		return nil, k, errShort
	}
	last, blob := le.Uint32(b), b[4:4+size]
	sh := &u.shapes[v[0]]
	if err := sh.check(blob, last, u.tick); err != nil {
		return nil, k, err
	}
	i, ok := u.index.insert(k, uint16(v[0]))
	if !ok {
		return nil, k, fmt.Errorf("more than %d keys", maxKeys)
	}
	c := classOf(size)
	s := u.index.slot(i)
	s.ref, s.size, s.last, s.ticks = u.arena.alloc(c, i), uint16(size), last, uint16(v[1])
	copy(u.arena.blob(c, s.ref), blob)
	u.bytes += int64(keyBytes + classBytes[c])
	return b[4+size:], k, nil
}
