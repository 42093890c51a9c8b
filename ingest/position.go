package ingest

import (
	"fmt"

	"weir/event"
)

// Position is a place in a log that stays the same when its files are renamed
// or compressed.
type Position struct {
	First  uint64 // keyed hash of the file's first line that is neither empty nor a comment; 0 before it was read
	Offset int64  // in the file, in bytes after decompression
	Base   int64  // where the file begins among the offsets of its partition
}

// Position returns the place of a record's offset in partition p; ok is false
// in a stream, which cannot be read again, and for what was not read yet. It
// may be called while others read.
func (f *Files) Position(p int, offset int64, key *event.Key) (pos Position, ok bool) {
	l := f.logs[p]
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := len(l.starts) - 1; i >= 0; i-- {
		s := &l.starts[i]
		if s.base > offset {
			continue
		}
		pos = Position{Offset: offset - s.base, Base: s.base}
		if s.known {
			pos.First = key.Hash(s.first[:])
		}
		return pos, l.parts[0].stream == nil
	}
	return pos, false
}

// String returns the position as messages show it.
func (p Position) String() string { return fmt.Sprintf("%016x+%d", p.First, p.Offset) }
