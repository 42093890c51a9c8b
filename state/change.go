package state

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
)

// ValueMax is how long a value may be.
const ValueMax = 64 << 10

// keyLen is what a key takes in a record.
const keyLen = 16

// change is what a record says of a key: a value, or that it has none any more.
type change struct {
	key   Key
	value []byte
	gone  bool
	raw   []byte // as AppendChange made it
}

// size is what the change takes in a record, about.
func (c *change) size() int64 { return ChangeBytes(len(c.value)) }

// AppendChange appends a change for Checkpoint.Put: the key has this value, or,
// where it is nil, none any more.
func AppendChange(dst []byte, k Key, value []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, k.Hi)
	dst = binary.LittleEndian.AppendUint64(dst, k.Lo)
	if value == nil {
		return append(dst, 0)
	}
	dst = binary.AppendUvarint(dst, uint64(len(value))+1)
	return append(dst, value...)
}

// nextChange takes the first change off b.
func nextChange(b []byte) (c change, rest []byte, err error) {
	all := b
	if len(b) < keyLen+1 {
		return c, nil, fmt.Errorf("%w: a change of %d bytes, must be at least %d", ErrCorrupt, len(b), keyLen+1)
	}
	c.key = Key{Hi: binary.LittleEndian.Uint64(b), Lo: binary.LittleEndian.Uint64(b[8:])}
	n, used := binary.Uvarint(b[keyLen:])
	if used <= 0 || n > ValueMax+1 {
		return c, nil, fmt.Errorf("%w: a value whose length is unreadable or over %d", ErrCorrupt, ValueMax)
	}
	b = b[keyLen+used:]
	if n == 0 {
		c.gone, c.raw = true, all[:keyLen+used]
		return c, b, nil
	}
	n--
	if n > uint64(len(b)) {
		return c, nil, fmt.Errorf("%w: a value of %d bytes, of which %d are there", ErrCorrupt, n, len(b))
	}
	c.value, c.raw = b[:n:n], all[:keyLen+used+int(n)]
	return c, b[n:], nil
}

// find looks for a key among the changes of a record; of several the last one
// counts.
func find(body []byte, k Key) (c change, found bool, err error) {
	var want [keyLen]byte
	binary.LittleEndian.PutUint64(want[:], k.Hi)
	binary.LittleEndian.PutUint64(want[8:], k.Lo)
	for len(body) > 0 {
		hit := len(body) >= keyLen && bytes.Equal(body[:keyLen], want[:])
		next, rest, err := nextChange(body)
		if err != nil {
			return c, false, err
		}
		if hit {
			c, found = next, true
		}
		body = rest
	}
	return c, found, nil
}

// rank says where a change stands: by its key, and of a key's the older first.
type rank struct {
	key Key
	at  int
}

// resolve makes live of what bodies, oldest first, say together: the keys that
// have a value, in their order. The values are views of the bodies.
func (r *reader) resolve() error {
	all, ranks, sorted := r.all[:0], r.ranks[:0], true
	for _, b := range r.bodies {
		for len(b) > 0 {
			c, rest, err := nextChange(b)
			if err != nil {
				return err
			}
			sorted = sorted && (len(all) == 0 || compareKeys(all[len(all)-1].key, c.key) < 0)
			ranks = append(ranks, rank{c.key, len(all)})
			all, b = append(all, c), rest
		}
	}
	r.all, r.ranks = all, ranks
	if !sorted {
		// Changes are large; what is sorted are ranks, which no two share.
		slices.SortFunc(ranks, func(a, b rank) int {
			if n := compareKeys(a.key, b.key); n != 0 {
				return n
			}
			return a.at - b.at
		})
	}
	r.live = r.live[:0]
	for i, k := range ranks {
		if i+1 < len(ranks) && ranks[i+1].key == k.key || all[k.at].gone {
			continue // a newer change of the key follows; or there is nothing to keep
		}
		r.live = append(r.live, all[k.at])
	}
	return nil
}

func compareKeys(a, b Key) int {
	if a.Hi != b.Hi {
		return cmp.Compare(a.Hi, b.Hi)
	}
	return cmp.Compare(a.Lo, b.Lo)
}
