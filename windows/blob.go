package windows

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// A blob is all that is kept of one key:
//
//	base      uint32, the second of its first row; all times count from it
//	parent    uint64, where the table has parents
//	values    of each field a uvarint length and the bytes
//	sections  of each that is not empty, ascending: number (1), length (2), payload
//
// It is edited in place. Everything in it is a function of the ticks in which
// the key was touched and of the sets of rows of each, not of their order.

const sectionHeader = 3

const (
	maxValue = 1 << 10 // bytes kept of a value of a key
	// maxWithPairs is up to where a blob may grow by what Distinct keeps, so
	// that many sketches leave room for the counters of every window.
	maxWithPairs = 40 << 10
)

// edit is a blob being changed: in its place as long as it fits there, else in
// the unit's scratch.
type edit struct {
	b       []byte // cap is what its place has room for
	scratch []byte
	limit   int // how long it may become
	moved   bool
	key     Key // whose blob it is, so that what is remembered of it can be forgotten
}

// splice replaces del bytes at by ins, which must not lie in the blob. It
// reports false, and changes nothing, where the blob would grow too large.
func (e *edit) splice(at, del int, ins []byte) bool {
	old, n := len(e.b), len(e.b)-del+len(ins)
	if n != old {
		if n > e.limit && n > old {
			return false
		}
		if n > cap(e.b) {
			copy(e.scratch[:maxBlob], e.b)
			e.b, e.moved = e.scratch[:old:maxBlob], true
		}
		b := e.b[:max(n, old)]
		copy(b[at+len(ins):], b[at+del:old])
		e.b = b[:n]
	}
	copy(e.b[at:], ins)
	return true
}

// resize notes the length of the section at.
func (e *edit) resize(at, n int) { binary.LittleEndian.PutUint16(e.b[at+1:], uint16(n)) }

// sectionLen returns the payload's length of the section at, if it is number id.
func sectionLen(b []byte, at, id int) (n int, ok bool) {
	if at >= len(b) || int(b[at]) != id {
		return 0, false
	}
	return int(binary.LittleEndian.Uint16(b[at+1:])), true
}

// payload returns the payload of section id; nil where there is none.
func (sh *shape) payload(b []byte, id int) []byte {
	for at := sh.header(b); at < len(b); {
		n := int(binary.LittleEndian.Uint16(b[at+1:]))
		if int(b[at]) >= id {
			if int(b[at]) == id {
				return b[at+sectionHeader : at+sectionHeader+n]
			}
			return nil
		}
		at += sectionHeader + n
	}
	return nil
}

// header returns where the sections begin.
func (sh *shape) header(b []byte) int {
	at := sh.values()
	for range sh.fields {
		n, i := uvarint(b, at)
		at = i + int(n)
	}
	return at
}

// values returns where the values begin.
func (sh *shape) values() int {
	if sh.parent {
		return 12
	}
	return 4
}

// appendHeader begins the blob of a key that row brought.
func (sh *shape) appendHeader(dst []byte, second uint32, r *Row, d *Deltas, fields int) (b []byte, cut bool) {
	dst = binary.LittleEndian.AppendUint32(dst, second)
	if sh.parent {
		dst = binary.LittleEndian.AppendUint64(dst, r.Parent)
	}
	var at [64]uint32
	starts := at[:0]
	for i := int(d.Events[r.Event].Values); fields > 0; fields-- {
		starts = append(starts, uint32(i))
		n, j := uvarint(d.Values, i)
		i = j + int(n)
	}
	for _, f := range sh.fields {
		n, i := uvarint(d.Values, int(starts[f]))
		v := d.Values[i : i+int(n)]
		if len(v) > maxValue {
			dst, cut = appendCut(dst, v, r.Key), true
			continue
		}
		dst = binary.AppendUvarint(dst, n)
		dst = append(dst, v...)
	}
	return dst, cut
}

// appendCut appends the beginning of a value that is too long, cut at a rune
// and marked with the key's hash, so that it still identifies the key.
func appendCut(dst, v []byte, k Key) []byte {
	const mark, digits = "…", "0123456789abcdef"
	n := maxValue - len(mark) - 16
	for n > 0 && n > maxValue-len(mark)-16-utf8.UTFMax && !utf8.RuneStart(v[n]) {
		n--
	}
	dst = binary.AppendUvarint(dst, uint64(n+len(mark)+16))
	dst = append(append(dst, v[:n]...), mark...)
	for s := 60; s >= 0; s -= 4 {
		dst = append(dst, digits[k.Lo>>s&15])
	}
	return dst
}

// uvarint reads the uvarint at i of bytes that are known to be well formed.
func uvarint(b []byte, i int) (v uint64, next int) {
	if c := b[i]; c < 0x80 {
		return uint64(c), i + 1
	}
	return longUvarint(b, i)
}

func longUvarint(b []byte, i int) (v uint64, next int) {
	for s := 0; ; s += 7 {
		c := b[i]
		i++
		v |= uint64(c&0x7f) << s
		if c < 0x80 {
			return v, i
		}
	}
}

// skip returns where n uvarints that begin at i end.
func skip(b []byte, i, n int) int {
	for n >= 8 && i+8 <= len(b) {
		ends := ^binary.LittleEndian.Uint64(b[i:]) & 0x8080808080808080
		n -= bits.OnesCount64(ends)
		i += 8
		if ends>>63 == 0 { // the last one goes on
			n--
			for b[i] >= 0x80 {
				i++
			}
			i++
		}
	}
	for ; n > 0; n-- {
		for b[i] >= 0x80 {
			i++
		}
		i++
	}
	return i
}

// addSaturating adds without wrapping around.
func addSaturating(a, b uint64) uint64 {
	if s := a + b; s >= a {
		return s
	}
	return ^uint64(0)
}
