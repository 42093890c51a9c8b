package windows

import "encoding/binary"

// ValueTimes returns the seconds of the first and the last event that a stored
// value was made of; ok is false of bytes that are none.
func ValueTimes(value []byte) (first, last int64, ok bool) {
	h, blob, err := readValue(value)
	if err != nil || len(blob) < 4 {
		return 0, 0, false
	}
	return int64(binary.LittleEndian.Uint32(blob)), int64(h.last) - 1, true
}
