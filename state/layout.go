package state

import (
	"encoding/binary"
	"math/bits"

	"github.com/zeebo/xxh3"
)

// The keys of Badger. All numbers are big-endian, and segments are numbered in
// the order in which they are written: what a checkpoint writes is one run of
// keys behind all others, and what is given up is a run, too.
//
//	s segment:4 number:2    a chunk, below rootNumber
//	s segment:4 number:2    a piece of the root that was written behind the segment's chunks, from there on
const (
	prefixSegment = 's'
	segmentKeyLen = 1 + 4
	chunkKeyLen   = segmentKeyLen + 2
	rootNumber    = 0xff00
)

// Format is the version of what a store's records mean. Format 1 had its keys by
// page, and Badger wrote it again and again; format 2 was not compressed.
const Format = 3

// recordVersion is the version byte of every record of a store.
const recordVersion = 3

// place is a page's.
type place struct {
	unit  int
	table uint16
	page  uint32
}

// appendSegmentKey appends what the keys of all records of a segment begin with.
func appendSegmentKey(dst []byte, segment uint32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, prefixSegment), segment)
}

func appendChunkKey(dst []byte, segment uint32, number uint16) []byte {
	return binary.BigEndian.AppendUint16(appendSegmentKey(dst, segment), number)
}

// parseChunkKey takes a record's key apart.
func parseChunkKey(k []byte) (segment uint32, number uint16, ok bool) {
	if len(k) != chunkKeyLen || k[0] != prefixSegment {
		return 0, 0, false
	}
	return binary.BigEndian.Uint32(k[1:]), binary.BigEndian.Uint16(k[segmentKeyLen:]), true
}

// hash mixes a key, whose bits decide on its unit, so that a page and a
// fingerprint can be told from it.
func hash(k Key) uint64 {
	hi, lo := bits.Mul64(k.Hi^0xa0761d6478bd642f, k.Lo^0xe7037ed1a0b428db)
	return hi ^ lo
}

// printOf is a key's fingerprint in the directory.
func printOf(h uint64) uint16 { return uint16(h >> 48) }

// pageOf is the page of n that a key is in, by linear hashing: as many low bits
// of its hash as name a page, and one less where that page does not exist yet.
func pageOf(h uint64, n int) uint32 {
	mask := uint32(1)<<bits.Len32(uint32(n-1)) - 1
	if p := uint32(h) & mask; p < uint32(n) {
		return p
	}
	return uint32(h) & (mask >> 1)
}

// parentOf is the page of n that holds what page p would.
func parentOf(p uint32, n int) uint32 {
	for p >= uint32(n) {
		p &^= 1 << (bits.Len32(p) - 1)
	}
	return p
}

// tally counts entries; its sum does not depend on their order, and takes in what
// each holds and where it is, so no two sets of entries have the same one.
type tally struct {
	records uint64
	sum     uint64
	bytes   int64
}

// add counts an entry.
func (t *tally) add(s spot, entry []byte) {
	t.records++
	t.sum += identity(s, entry)
	t.bytes += int64(len(entry))
}

func (t *tally) plus(o tally) {
	t.records += o.records
	t.sum += o.sum
	t.bytes += o.bytes
}

func (t *tally) minus(o tally) {
	t.records -= o.records
	t.sum -= o.sum
	t.bytes -= o.bytes
}

// identity is a number made of an entry and of where it is.
func identity(s spot, entry []byte) uint64 {
	return xxh3.HashSeed(entry, uint64(s.segment)<<16|uint64(s.number))
}
