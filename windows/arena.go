package windows

import (
	"encoding/binary"
	"math/bits"

	"weir/state"
)

// The size classes of blobs: multiples of 16 up to 128 bytes, from there on
// four to a doubling, up to 64 KiB. A class is a function of a blob's length
// alone, so that what is accounted does not depend on how it came to be.
const (
	ownerBytes = 4 // before each blob: the slot that owns it
	maxBlob    = state.ValueMax - maxHeader
	numClasses = 8 + 4*9
	pageBytes  = 16 << 10
)

// classOf returns the smallest class that holds a blob of n bytes.
func classOf(n int) int {
	n += ownerBytes
	if n <= 128 {
		return (n - 1) >> 4
	}
	k := bits.Len(uint(n-1)) - 1 // 2^k < n <= 2^(k+1)
	return 8 + (k-7)*4 + (n-1)>>(k-2) - 4
}

var classBytes = func() (size [numClasses]int) {
	for c := range size {
		if c < 8 {
			size[c] = (c + 1) * 16
			continue
		}
		k := 7 + (c-8)/4
		size[c] = 1<<k + ((c-8)%4+1)<<(k-2)
	}
	return size
}()

// arena holds the blobs of a unit. Each class is one dense array in pages: a
// freed place is filled with the last blob of its class, so that pages are
// held only for what is there, whatever came and went before.
type arena struct {
	classes [numClasses]class
	held    int64 // bytes of all pages
}

type class struct {
	pages [][]byte
	n     uint32
}

// pageShift returns how many blobs of a class share a page, as a power of two.
func pageShift(c int) int { return max(0, bits.Len(uint(pageBytes/classBytes[c]))-1) }

var pageShifts = func() (s [numClasses]uint8) {
	for c := range s {
		s[c] = uint8(pageShift(c))
	}
	return s
}()

// place returns the whole place of blob ref of class c, its owner first.
func (a *arena) place(c int, ref uint32) []byte {
	shift := pageShifts[c] & 31
	page := a.classes[c].pages[ref>>shift]
	size := classBytes[c]
	at := int(ref&(1<<shift-1)) * size
	return page[at : at+size : at+size]
}

// blob returns the room of blob ref of class c.
func (a *arena) blob(c int, ref uint32) []byte { return a.place(c, ref)[ownerBytes:] }

// alloc takes a place of class c for owner.
func (a *arena) alloc(c int, owner uint32) (ref uint32) {
	cl := &a.classes[c]
	ref = cl.n
	shift := pageShifts[c]
	if int(ref>>shift) == len(cl.pages) {
		cl.pages = append(cl.pages, make([]byte, classBytes[c]<<shift))
		a.held += int64(classBytes[c]) << shift
	}
	cl.n++
	binary.LittleEndian.PutUint32(a.place(c, ref), owner)
	return ref
}

// free gives a place back. When another blob had to move there, moved is true
// and owner the slot whose ref is now ref.
func (a *arena) free(c int, ref uint32) (owner uint32, moved bool) {
	cl := &a.classes[c]
	last := cl.n - 1
	if ref != last {
		to := a.place(c, ref)
		copy(to, a.place(c, last))
		owner, moved = binary.LittleEndian.Uint32(to), true
	}
	cl.n = last
	// One empty page is kept, so that a class does not flap at a page's border.
	if need := int((last+1<<pageShifts[c]-1)>>pageShifts[c]) + 1; need < len(cl.pages) {
		cl.pages[len(cl.pages)-1] = nil
		cl.pages = cl.pages[:len(cl.pages)-1]
		a.held -= int64(classBytes[c]) << pageShifts[c]
	}
	return owner, moved
}
