package windows

import (
	"encoding/binary"
	"math/bits"
)

// doorkeeper remembers new keys that were turned away once. Its bits come out
// of the key, which is a keyed hash, so nobody can choose keys that pass for
// others. Two bitmaps take turns: the older is cleared when the newer is half
// full, so what was turned away is remembered for at least half of what fits.
type doorkeeper struct {
	newer, older []uint64
	set          int // bits of newer
}

const (
	leastDoor = 1 << 10 // bytes of a bitmap
	mostDoor  = 256 << 10
	doorBits  = 4 // of each key
)

// newDoorkeeper makes one for a unit with this limit: a bit for each key of
// 128 bytes that fits, rounded up.
func newDoorkeeper(limit int64) doorkeeper {
	size := leastDoor
	for int64(size) < limit/(8*128) && size < mostDoor {
		size *= 2
	}
	return doorkeeper{newer: make([]uint64, size/8), older: make([]uint64, size/8)}
}

// admits reports whether the key was turned away before; if not, it is now.
func (d *doorkeeper) admits(k Key) bool {
	if d.has(d.newer, k) || d.has(d.older, k) {
		return true
	}
	for i := range uint(doorBits) {
		word, bit := d.bit(k, i)
		if d.newer[word]&bit == 0 {
			d.newer[word] |= bit
			d.set++
		}
	}
	if d.set >= 32*len(d.newer) {
		d.newer, d.older, d.set = d.older, d.newer, 0
		clear(d.newer)
	}
	return false
}

// bit returns the word and bit number i of a key.
func (d *doorkeeper) bit(k Key, i uint) (word int, bit uint64) {
	v := k.Lo
	if i >= doorBits/2 {
		v, _ = bits.Mul64(k.Hi|1, k.Lo*0x9e3779b97f4a7c15)
	}
	n := v >> (i % (doorBits / 2) * 32) & uint64(64*len(d.newer)-1)
	return int(n >> 6), 1 << (n & 63)
}

func (d *doorkeeper) has(bitmap []uint64, k Key) bool {
	for i := range uint(doorBits) {
		if word, bit := d.bit(k, i); bitmap[word]&bit == 0 {
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
