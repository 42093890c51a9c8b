package state

import (
	"encoding/binary"
	"fmt"
)

// chunkBytes is how full a chunk is before the next one begins. What a checkpoint
// changes in a page is mostly some hundred bytes, and Badger's price is per record;
// but a page is read with all of each chunk that it has an entry in, and Badger
// copies that and the chunk behind it. With half of 4 KiB a read costs a quarter
// less; a quarter of it would compress worse.
const chunkBytes = 2 << 10

// wholeChunkBytes is the same of a table that is written whole: its pages are read
// seldom, since all that they hold is in memory, and four pages in a chunk compress
// to seven eighths of what they are one by one (s2, 106,852 pages of browsers and
// addresses: 46 % of their size instead of 53 %), in a quarter of the records.
const wholeChunkBytes = 16 << 10

// What an entry of a chunk is.
const (
	kindBase  = 1 // all that a page holds
	kindDelta = 2 // what changed in it since the entry before
	kindBlob  = 3 // a piece of a blob
)

// entryHead is what an entry's head takes, about.
const entryHead = 16

// spot is where an entry is: in which chunk, of which a page has at most one entry;
// how large it is; and which keys it may be about, as a set of sixteenths of all.
type spot struct {
	segment uint32
	number  uint16
	among   uint16
	bytes   uint32
}

// sixteenth is which one of all keys a key is of.
func sixteenth(h uint64) uint16 { return 1 << (h >> 44 & 15) }

// entry is a part of a chunk.
type entry struct {
	kind byte
	at   place
	part int    // of a base or delta that is parted, from 0
	body []byte // changes, or a piece of a blob
	all  []byte // the whole entry
}

// chunkHead is what stands before the entries in a chunk's record: its segment and
// number, so that a chunk in the place of another one is seen.
const chunkHead = 4 + 2

func appendChunkHead(dst []byte, segment uint32, number uint16) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, segment)
	return binary.LittleEndian.AppendUint16(dst, number)
}

// openChunk checks a chunk's record and returns its entries, in dst if there is room.
func openChunk(record []byte, segment uint32, number uint16, dst []byte) ([]byte, error) {
	body, rest, err := ReadRecord(record, recordVersion)
	if err != nil {
		return nil, err
	}
	if len(rest) > 0 || len(body) < chunkHead {
		return nil, fmt.Errorf("%w: a chunk of %d bytes with %d behind it", ErrCorrupt, len(body), len(rest))
	}
	s, n := binary.LittleEndian.Uint32(body), binary.LittleEndian.Uint16(body[4:])
	if s != segment || n != number {
		return nil, fmt.Errorf("%w: it is chunk %d of segment %d", ErrCorrupt, n, s)
	}
	return unpack(dst, body[chunkHead:])
}

// appendPageEntry appends the head of an entry of a page, whose body of size bytes
// is to be appended behind it.
func appendPageEntry(dst []byte, kind byte, at place, part, size int) []byte {
	dst = binary.AppendUvarint(append(dst, kind), uint64(at.unit))
	dst = binary.AppendUvarint(dst, uint64(at.table))
	dst = binary.AppendUvarint(dst, uint64(at.page))
	dst = binary.AppendUvarint(dst, uint64(part))
	return binary.AppendUvarint(dst, uint64(size))
}

// appendBlobEntry appends an entry with a piece of a blob.
func appendBlobEntry(dst, piece []byte) []byte {
	dst = binary.AppendUvarint(append(dst, kindBlob), uint64(len(piece)))
	return append(dst, piece...)
}

// nextEntry takes the first entry off what a chunk holds.
func nextEntry(b []byte) (e entry, rest []byte, err error) {
	whole := b
	if len(b) == 0 {
		return e, nil, fmt.Errorf("%w: an entry of no bytes", ErrCorrupt)
	}
	e.kind, b = b[0], b[1:]
	number := func(most uint64) uint64 {
		n, used := binary.Uvarint(b)
		if used <= 0 || n > most {
			err = fmt.Errorf("%w: an entry of a chunk is unreadable", ErrCorrupt)
			return 0
		}
		b = b[used:]
		return n
	}
	switch e.kind {
	case kindBase, kindDelta:
		e.at.unit = int(number(maxUnits - 1))
		e.at.table = uint16(number(1<<16 - 1))
		e.at.page = uint32(number(1<<32 - 1))
		e.part = int(number(1<<31 - 1))
	case kindBlob:
	default:
		return e, nil, fmt.Errorf("%w: an entry of the unknown kind %d", ErrCorrupt, e.kind)
	}
	n := number(uint64(len(b)))
	if err != nil || n > uint64(len(b)) {
		return entry{}, nil, fmt.Errorf("%w: an entry of a chunk is cut short or unreadable", ErrCorrupt)
	}
	e.body, rest = b[:n:n], b[n:]
	e.all = whole[:len(whole)-len(rest)]
	return e, rest, nil
}

// ofPage returns the entry of a page among those of a chunk.
func ofPage(entries []byte, at place) (e entry, err error) {
	for len(entries) > 0 {
		if e, entries, err = nextEntry(entries); err != nil {
			return e, err
		}
		if e.kind != kindBlob && e.at == at {
			return e, nil
		}
	}
	return e, fmt.Errorf("%w: an entry of the page is missing", ErrCorrupt)
}
