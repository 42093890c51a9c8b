package state

import (
	"encoding/binary"
	"math/bits"

	"github.com/zeebo/xxh3"
)

// The keys of Badger. All numbers are big-endian, so that the records of a page
// stand behind each other, oldest first.
//
//	p unit:2 table:2 page:4 generation:8 part:2   changes of a page's keys
//	b generation:8 number:4 part:4                a piece of a blob
//	r                                             the root: what is in force
//	u unit:2                                      what is in force of a unit
const (
	prefixPage = 'p'
	prefixBlob = 'b'
	prefixRoot = 'r'
	prefixUnit = 'u'

	pageKeyLen  = 1 + 2 + 2 + 4 + 8 + 2
	blobKeyLen  = 1 + 8 + 4 + 4
	pagePartMax = 1<<16 - 1
)

// Format is the version of what a store's records mean.
const Format = 1

// recordVersion is the version byte of every record of a store.
const recordVersion = 1

// place is a page's.
type place struct {
	unit  int
	table uint16
	page  uint32
}

// prefix appends what the keys of all records of the page begin with.
func (at place) prefix(dst []byte) []byte {
	dst = tablePrefix(dst, at.unit, at.table)
	return binary.BigEndian.AppendUint32(dst, at.page)
}

// record appends the key of one of the page's records.
func (at place) record(dst []byte, generation uint64, part int) []byte {
	dst = binary.BigEndian.AppendUint64(at.prefix(dst), generation)
	return binary.BigEndian.AppendUint16(dst, uint16(part))
}

// tablePrefix appends what the keys of all records of a unit's table begin with.
func tablePrefix(dst []byte, unit int, table uint16) []byte {
	dst = binary.BigEndian.AppendUint16(append(dst, prefixPage), uint16(unit))
	return binary.BigEndian.AppendUint16(dst, table)
}

// parsePageKey takes a page record's key apart.
func parsePageKey(k []byte) (at place, generation uint64, part int, ok bool) {
	if len(k) != pageKeyLen || k[0] != prefixPage {
		return place{}, 0, 0, false
	}
	return place{
		unit:  int(binary.BigEndian.Uint16(k[1:])),
		table: binary.BigEndian.Uint16(k[3:]),
		page:  binary.BigEndian.Uint32(k[5:]),
	}, binary.BigEndian.Uint64(k[9:]), int(binary.BigEndian.Uint16(k[17:])), true
}

func blobKey(dst []byte, generation uint64, number, part uint32) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, prefixBlob), generation)
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(dst, number), part)
}

// parseBlobKey takes the key of a piece of a blob apart.
func parseBlobKey(k []byte) (generation uint64, number, part uint32, ok bool) {
	if len(k) != blobKeyLen || k[0] != prefixBlob {
		return 0, 0, 0, false
	}
	return binary.BigEndian.Uint64(k[1:]), binary.BigEndian.Uint32(k[9:]), binary.BigEndian.Uint32(k[13:]), true
}

func rootKey() []byte { return []byte{prefixRoot} }

func unitKey(unit int) []byte { return binary.BigEndian.AppendUint16([]byte{prefixUnit}, uint16(unit)) }

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

// tally counts records; its sum does not depend on their order, and takes each
// record's name and checksum in, so no two sets of records have the same one.
type tally struct {
	records uint64
	sum     uint64
	bytes   int64
}

// add counts a record.
func (t *tally) add(key, record []byte) {
	t.records++
	t.sum += identity(key, record)
	t.bytes += int64(len(key) + len(record))
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

// identity is a number made of a record's key and of its checksum.
func identity(key, record []byte) uint64 {
	return xxh3.HashSeed(key, uint64(recordSum(record)))
}
