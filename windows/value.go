package windows

import (
	"encoding/binary"
	"fmt"

	"weir/state"
)

// A stored value is all there is of a key but the key itself:
//
//	version  1 byte
//	near     1 byte, 0 or 1
//	class    1 byte, the size class that is accounted
//	last     uint32, little-endian, the tick of its last touch
//	ticks    uvarint, in how many it was touched
//	serial   uvarint, of the layout that the blob was written under
//	blob     to the end
//
// Of a layout that it does not know, a unit can still tell whether the value is
// alive and what it is accounted with.
const valueVersion = 1

const (
	fixedValue = 7                  // bytes before ticks
	maxHeader  = fixedValue + 3 + 5 // bytes before the blob
)

// header is what stands before a stored blob.
type header struct {
	serial uint32
	last   uint32
	ticks  uint16
	class  uint8
	near   bool
}

func (h header) append(dst []byte) []byte {
	isNear := byte(0)
	if h.near {
		isNear = 1
	}
	dst = append(dst, valueVersion, isNear, h.class)
	dst = binary.LittleEndian.AppendUint32(dst, h.last)
	dst = binary.AppendUvarint(dst, uint64(h.ticks))
	return binary.AppendUvarint(dst, uint64(h.serial))
}

// readValue takes a stored value apart; blob is a view of it.
func readValue(v []byte) (h header, blob []byte, err error) {
	if len(v) < fixedValue {
		return h, nil, fmt.Errorf("%w: a value of %d bytes, must be at least %d", state.ErrCorrupt, len(v), fixedValue)
	}
	if v[0] != valueVersion {
		return h, nil, fmt.Errorf("%w: a value of format %d, must be %d", state.ErrCorrupt, v[0], valueVersion)
	}
	h.near, h.class, h.last = v[1] == 1, v[2], binary.LittleEndian.Uint32(v[3:])
	ticks, n := binary.Uvarint(v[fixedValue:])
	if n <= 0 {
		return h, nil, fmt.Errorf("%w: a value without ticks", state.ErrCorrupt)
	}
	serial, m := binary.Uvarint(v[fixedValue+n:])
	if m <= 0 || v[1] > 1 || h.class >= numClasses || ticks == 0 || ticks >= 1<<16 || serial >= 1<<32 || h.last == 0 {
		return h, nil, fmt.Errorf("%w: a value with near %d, class %d, ticks %d, last %d, layout %d",
			state.ErrCorrupt, v[1], h.class, ticks, h.last, serial)
	}
	h.ticks, h.serial = uint16(ticks), uint32(serial)
	return h, v[fixedValue+n+m:], nil
}

// appendValue appends the stored form of the key in a slot.
func (u *Unit) appendValue(dst []byte, s *slot) []byte {
	h := header{serial: u.layout.Serial, last: s.last, ticks: s.ticks, class: s.class, near: s.flags&near != 0}
	return append(h.append(dst), u.blob(s)...)
}
