package windows

import (
	"encoding/binary"
	"math/bits"
)

// doorkeeper remembers new keys that were turned away once. Its bits come out
// of the key, which is a keyed hash, so nobody can choose keys that pass for
// others. Two bitmaps take turns: the older is cleared when the newer is half
// full, so what was turned away is remembered for at least half of what fits.
//
// Of a flood all that passes for others is admitted, and written: of a hundred
// keys less than one does. With half of the bits it would be eight, and these
// were most of what a store had to take.
type doorkeeper struct {
	newer, older []uint64
	set          int // bits of newer
}

const (
	leastDoor = 1 << 10 // bytes of a bitmap
	mostDoor  = 256 << 10
	doorBits  = 8 // of each key, all in one line
	lineWords = 8 // of a cache line, so that a key is one miss in each bitmap
)

// newDoorkeeper makes one for a unit with this limit: two bits for each key of
// 128 bytes that fits, rounded up.
func newDoorkeeper(limit int64) doorkeeper {
	size := leastDoor
	for int64(size) < limit/(4*128) && size < mostDoor {
		size *= 2
	}
	return doorkeeper{newer: make([]uint64, size/8), older: make([]uint64, size/8)}
}

// admits reports whether the key was turned away before; if not, it is now.
func (d *doorkeeper) admits(k Key) bool {
	line, at := d.bits(k)
	newer, older := d.newer[line:line+lineWords], d.older[line:line+lineWords]
	if has(newer, &at) || has(older, &at) {
		return true
	}
	for _, n := range at {
		if bit := uint64(1) << (n & 63); newer[n>>6]&bit == 0 {
			newer[n>>6] |= bit
			d.set++
		}
	}
	if d.set >= 32*len(d.newer) {
		d.newer, d.older, d.set = d.older, d.newer, 0
		clear(d.newer)
	}
	return false
}

// bits returns where the line of a key begins, and which bits of it are the
// key's.
func (d *doorkeeper) bits(k Key) (line int, at [doorBits]uint16) {
	hi, lo := bits.Mul64(k.Hi|1, k.Lo*0x9e3779b97f4a7c15)
	for i := range at {
		v := hi
		if i >= doorBits/2 {
			v = lo // the upper half of it: the lower one hardly depends on all of the key
		}
		at[i] = uint16(v >> (55 - i%(doorBits/2)*9) & (64*lineWords - 1))
	}
	return int(k.Lo&uint64(len(d.newer)/lineWords-1)) * lineWords, at
}

// has reports whether all of these bits of a line are set.
func has(line []uint64, at *[doorBits]uint16) bool {
	for _, n := range at {
		if line[n>>6]&(1<<(n&63)) == 0 {
			return false
		}
	}
	return true
}

// bytes returns how large one bitmap is.
func (d *doorkeeper) bytes() int { return 8 * len(d.newer) }

func (d *doorkeeper) append(dst []byte) []byte {
	for _, bitmap := range [][]uint64{d.newer, d.older} {
		for _, word := range bitmap {
			dst = binary.LittleEndian.AppendUint64(dst, word)
		}
	}
	return dst
}

// readDoorkeeper makes one of two bitmaps that append wrote.
func readDoorkeeper(b []byte) (d doorkeeper) {
	words := make([]uint64, len(b)/8)
	for i := range words {
		words[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	half := len(words) / 2
	d.newer, d.older = words[:half:half], words[half:]
	for _, word := range d.newer {
		d.set += bits.OnesCount64(word)
	}
	return d
}
