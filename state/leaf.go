package state

import (
	"encoding/binary"
	"slices"
	"sort"
)

// leafPages is how many pages share a leaf. A leaf is written anew when one of its
// pages changes: with more of them that is more to write, with fewer there are more
// pieces of memory.
const leafPages = 16

// leaf is what is known of leafPages pages that follow each other, in one piece of
// memory without a pointer: a store of ten million keys has a quarter of a million
// pages, and the collector would look at what each of them has, again and again. A
// leaf never changes. Nil: there is nothing of its pages.
//
// It begins with where each page ends in it, in 4 bytes, little-endian. Of a page
// there are, in this order, how many fingerprints it has and these, ascending, in 2
// bytes each; its sum in 8 bytes; base, live, deltas, keys and how many spots it has;
// and of each spot its segment, less that of the spot before, its number, among in 2
// bytes, and its bytes. What has no length stated is an unsigned varint. Of a page of
// which there is nothing there is nothing.
type leaf []byte

const leafHead = 4 * leafPages

// leafOf returns in which leaf a page is, and as which one of it.
func leafOf(page uint32) (leaf int, at int) { return int(page / leafPages), int(page % leafPages) }

// page returns what there is of a page.
func (l leaf) page(at int) []byte {
	if l == nil {
		return nil
	}
	from := uint32(leafHead)
	if at > 0 {
		from = binary.LittleEndian.Uint32(l[4*(at-1):])
	}
	return l[from:binary.LittleEndian.Uint32(l[4*at:])]
}

// mayHave reports whether a key of this fingerprint may be in a page.
func (l leaf) mayHave(at int, print uint16) bool {
	b := l.page(at)
	if len(b) == 0 {
		return false
	}
	n, used := binary.Uvarint(b)
	b = b[used:]
	i := sort.Search(int(n), func(i int) bool { return binary.LittleEndian.Uint16(b[2*i:]) >= print })
	return i < int(n) && binary.LittleEndian.Uint16(b[2*i:]) == print
}

// read makes p what a page is.
func (l leaf) read(at int, p *page) {
	p.reset()
	b := l.page(at)
	if len(b) == 0 {
		return
	}
	number := func() uint64 {
		n, used := binary.Uvarint(b)
		b = b[used:]
		return n
	}
	prints := int(number())
	p.prints = slices.Grow(p.prints, prints)
	for range prints {
		p.prints = append(p.prints, binary.LittleEndian.Uint16(b))
		b = b[2:]
	}
	p.sum, b = binary.LittleEndian.Uint64(b), b[8:]
	p.base, p.live = int64(number()), int64(number())
	p.deltas, p.keys = int32(number()), int32(number())
	p.records = number()
	p.spots = slices.Grow(p.spots, int(p.records))
	var s spot
	for range p.records {
		s.segment += uint32(number())
		s.number = uint16(number())
		s.among, b = binary.LittleEndian.Uint16(b), b[2:]
		s.bytes = uint32(number())
		p.bytes += int64(s.bytes)
		p.spots = append(p.spots, s)
	}
}

// appendPage appends what is known of a page.
func appendPage(b []byte, p *page) []byte {
	if !p.there() {
		return b
	}
	b = binary.AppendUvarint(b, uint64(len(p.prints)))
	for _, print := range p.prints {
		b = binary.LittleEndian.AppendUint16(b, print)
	}
	b = binary.LittleEndian.AppendUint64(b, p.sum)
	b = binary.AppendUvarint(b, uint64(p.base))
	b = binary.AppendUvarint(b, uint64(p.live))
	b = binary.AppendUvarint(b, uint64(p.deltas))
	b = binary.AppendUvarint(b, uint64(p.keys))
	b = binary.AppendUvarint(b, uint64(len(p.spots)))
	segment := uint32(0)
	for _, s := range p.spots {
		b = binary.AppendUvarint(b, uint64(s.segment-segment))
		b = binary.AppendUvarint(b, uint64(s.number))
		b = binary.LittleEndian.AppendUint16(b, s.among)
		b = binary.AppendUvarint(b, uint64(s.bytes))
		segment = s.segment
	}
	return b
}

// makeLeaf returns the leaf of pages, which are leafPages at most. tmp is room.
func makeLeaf(pages []page, tmp *[]byte) leaf {
	b := append((*tmp)[:0], make([]byte, leafHead)...)
	for at := range leafPages {
		if at < len(pages) {
			b = appendPage(b, &pages[at])
		}
		binary.LittleEndian.PutUint32(b[4*at:], uint32(len(b)))
	}
	*tmp = b
	if len(b) == leafHead {
		return nil
	}
	return slices.Clone(b)
}
