package state

import (
	"encoding/binary"
	"fmt"

	"github.com/klauspost/compress/s2"
)

// What a chunk holds is compressed with S2: it is full of small numbers and of
// hours that keys share, so that a third goes and more. Badger writes each record
// three times (its log, a table, and the table's move to the last level), so this is
// what decides how much is written. The hashes in it do not shrink; what S2's better
// mode takes off besides, a sixteenth, is not worth a checkpoint's time.

// chunkMost is how large a chunk is at most that is read: one holds an entry at
// least, and no entry is larger than a part of a page with one value.
const chunkMost = 1 << 20

// packChunk returns the record of a chunk that holds these entries. It is for
// Badger to keep; scratch is used again.
func packChunk(segment uint32, number uint16, entries []byte, scratch *[]byte) []byte {
	*scratch = s2.Encode((*scratch)[:cap(*scratch)], entries)
	record, _ := BeginRecord(make([]byte, 0, recordHead+chunkHead+len(*scratch)))
	record = append(appendChunkHead(record, segment, number), *scratch...)
	EndRecord(record, 0, recordVersion)
	return record
}

// unpack returns what was packed, in dst if there is room.
func unpack(dst, packed []byte) ([]byte, error) {
	n, err := s2.DecodedLen(packed)
	if err != nil || n > chunkMost {
		return nil, fmt.Errorf("%w: what a chunk holds is packed wrongly, or larger than %d bytes", ErrCorrupt, chunkMost)
	}
	out, err := s2.Decode(dst[:cap(dst)], packed)
	if err != nil {
		return nil, fmt.Errorf("%w: what a chunk holds cannot be unpacked: %w", ErrCorrupt, err)
	}
	return out, nil
}

// unpackedSize returns what a chunk's record and its key would take without
// compression, in bytes: the measure in which segments are weighed, since what is
// alive of a chunk is known only so. A record that is no chunk is as large as it is.
func unpackedSize(key, record []byte) int64 {
	size := int64(len(key) + len(record))
	if _, number, ok := parseChunkKey(key); !ok || number >= rootNumber || len(record) < recordHead+chunkHead {
		return size
	}
	packed := record[recordHead+chunkHead:]
	n, used := binary.Uvarint(packed)
	if used <= 0 || n > chunkMost {
		return size // it is damaged, and whoever reads it says so
	}
	return size - int64(len(packed)) + int64(n)
}
