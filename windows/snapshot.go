package windows

import (
	"encoding/binary"
	"fmt"
	"slices"

	"weir/state"
)

// A snapshot is a head and, behind the head of another state record, how many
// keys there are (uint64, little-endian) and of each, ascending: Hi, Lo
// (uint64), as uvarints the table and the value's length, and the value. Units
// of equal state give equal bytes, whatever is in memory.
const snapshotVersion = 2

type keyedValue struct {
	key      Key
	table    int
	from, to int
}

// AppendSnapshot appends all that the unit holds but what its last Fold touched.
func (u *Unit) AppendSnapshot(dst []byte) []byte {
	keys := make([]keyedValue, 0, u.keys)
	var values []byte
	for t := range u.shapes {
		u.Scan(t, nil, func(slot uint32, _ uint64) bool {
			from := len(values)
			values = u.appendValue(values, u.index.slot(slot))
			keys = append(keys, keyedValue{u.index.slot(slot).key, t, from, len(values)})
			return false
		})
	}
	slices.SortFunc(keys, func(a, b keyedValue) int { return compareKeys(a.key, b.key) })

	dst = u.AppendHead(slices.Grow(dst, 1024+len(values)+20*len(keys)))
	dst, start := state.BeginRecord(dst)
	le := binary.LittleEndian
	dst = le.AppendUint64(dst, uint64(len(keys)))
	for _, k := range keys {
		dst = le.AppendUint64(dst, k.key.Hi)
		dst = le.AppendUint64(dst, k.key.Lo)
		dst = binary.AppendUvarint(dst, uint64(k.table))
		dst = binary.AppendUvarint(dst, uint64(k.to-k.from))
		dst = append(dst, values[k.from:k.to]...)
	}
	state.EndRecord(dst, start, snapshotVersion)
	return dst
}

// RestoreUnit makes a unit of a snapshot that AppendSnapshot made with the
// same layout. It behaves as the one it was taken of for ever.
func RestoreUnit(l *Layout, limit int64, b []byte) (*Unit, error) {
	u, rest, err := openUnit(l, limit, b)
	if err != nil {
		return nil, err
	}
	if err := u.restore(rest); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	return u, nil
}

func (u *Unit) restore(b []byte) error {
	b, rest, err := state.ReadRecord(b, snapshotVersion)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return fmt.Errorf("%d bytes behind it", len(rest))
	}
	if len(b) < 8 {
		return errShort
	}
	keys := binary.LittleEndian.Uint64(b)
	if keys != uint64(u.keys) {
		return fmt.Errorf("%d keys, must be %d", keys, u.keys)
	}
	b = b[8:]
	counted := newCohorts(len(u.shapes))
	counted.advance(u.cohorts.hour)
	var previous Key
	for i := range keys {
		rest, s, err := u.restoreKey(b)
		if err != nil {
			return fmt.Errorf("key %d: %w", i, err)
		}
		if i > 0 && compareKeys(previous, s.key) >= 0 {
			return fmt.Errorf("key %d: out of order", i)
		}
		counted.add(s.table, s.risk(), counted.start(s.last), s.cost())
		b, previous = rest, s.key
	}
	if len(b) > 0 {
		return fmt.Errorf("%d bytes too many", len(b))
	}
	if !counted.equal(&u.cohorts) {
		return errCohorts
	}
	return nil
}

func (u *Unit) restoreKey(b []byte) (rest []byte, s *slot, err error) {
	c := cursor{b: b}
	head := c.take(16)
	table, size := c.uvarint(), c.uvarint()
	value := c.take(size)
	if c.bad {
		return nil, nil, errShort
	}
	if table >= uint64(len(u.shapes)) {
		return nil, nil, fmt.Errorf("table %d, must be less than %d", table, len(u.shapes))
	}
	k := Key{Hi: binary.LittleEndian.Uint64(head), Lo: binary.LittleEndian.Uint64(head[8:])}
	h, blob, err := readValue(value)
	if err != nil {
		return nil, nil, err
	}
	if u.lines.dead(int(table), riskOf(h.ticks, h.near), h.last) {
		return nil, nil, fmt.Errorf("last touched at %d, dead before", h.last)
	}
	i, err := u.place(int(table), k, h, blob)
	if err != nil {
		return nil, nil, err
	}
	u.outside.keys--
	s = u.index.slot(i)
	u.begin(i, s)
	return c.b, s, nil
}
