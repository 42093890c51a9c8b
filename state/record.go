package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
)

// ErrCorrupt is what reading a record that is not whole wraps.
var ErrCorrupt = errors.New("corrupt record")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// recordHead is what stands before a record's body: a version byte, the body's
// length in 8 bytes and its CRC-32C in 4, little-endian.
const recordHead = 1 + 8 + 4

// BeginRecord makes room for the head of a record, whose body is to be
// appended behind it, and returns where it begins.
func BeginRecord(dst []byte) (grown []byte, start int) {
	return append(dst, make([]byte, recordHead)...), len(dst)
}

// EndRecord writes the head of the record that begins at start and ends with b.
func EndRecord(b []byte, start int, version byte) {
	body := b[start+recordHead:]
	b[start] = version
	binary.LittleEndian.PutUint64(b[start+1:], uint64(len(body)))
	binary.LittleEndian.PutUint32(b[start+9:], crc32.Checksum(body, castagnoli))
}

// ReadRecord takes the first record off b and returns its body, which is a
// view of b. A record of another version is an error that names both.
func ReadRecord(b []byte, version byte) (body, rest []byte, err error) {
	if len(b) < recordHead {
		return nil, nil, fmt.Errorf("%w: %d bytes, must be at least %d", ErrCorrupt, len(b), recordHead)
	}
	if b[0] != version {
		return nil, nil, fmt.Errorf("%w: format %d, must be %d", ErrCorrupt, b[0], version)
	}
	n, sum := binary.LittleEndian.Uint64(b[1:]), binary.LittleEndian.Uint32(b[9:])
	b = b[recordHead:]
	if n > uint64(len(b)) {
		return nil, nil, fmt.Errorf("%w: %d bytes, must be %d", ErrCorrupt, len(b), n)
	}
	if got := crc32.Checksum(b[:n], castagnoli); got != sum {
		return nil, nil, fmt.Errorf("%w: checksum %08x, must be %08x", ErrCorrupt, got, sum)
	}
	return b[:n], b[n:], nil
}

// Writer appends values to a body.
type Writer struct{ B []byte }

// Int appends an integer.
func (w *Writer) Int(v int64) { w.B = binary.AppendVarint(w.B, v) }

// Uint appends an unsigned integer.
func (w *Writer) Uint(v uint64) { w.B = binary.AppendUvarint(w.B, v) }

// Fixed appends 64 bits as they are.
func (w *Writer) Fixed(v uint64) { w.B = binary.LittleEndian.AppendUint64(w.B, v) }

// Float appends a number, bit by bit.
func (w *Writer) Float(v float64) { w.Fixed(math.Float64bits(v)) }

// Bool appends a truth value.
func (w *Writer) Bool(v bool) {
	n := uint64(0)
	if v {
		n = 1
	}
	w.Uint(n)
}

// String appends a string.
func (w *Writer) String(s string) {
	w.Uint(uint64(len(s)))
	w.B = append(w.B, s...)
}

// Reader takes values off a body. It keeps the first error; after one all
// values are zero.
type Reader struct {
	B   []byte
	Err error
}

func (r *Reader) fail() { r.Err, r.B = fmt.Errorf("%w: cut short", ErrCorrupt), nil }

// Int takes off an integer.
func (r *Reader) Int() int64 {
	v, n := binary.Varint(r.B)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.B = r.B[n:]
	return v
}

// Uint takes off an unsigned integer.
func (r *Reader) Uint() uint64 {
	v, n := binary.Uvarint(r.B)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.B = r.B[n:]
	return v
}

// Len takes off a count of things that take at least one byte each.
func (r *Reader) Len() int {
	n := r.Uint()
	if n > uint64(len(r.B)) {
		r.fail()
		return 0
	}
	return int(n)
}

// Fixed takes off 64 bits.
func (r *Reader) Fixed() uint64 {
	if len(r.B) < 8 {
		r.fail()
		return 0
	}
	v := binary.LittleEndian.Uint64(r.B)
	r.B = r.B[8:]
	return v
}

// Float takes off a number.
func (r *Reader) Float() float64 { return math.Float64frombits(r.Fixed()) }

// Bool takes off a truth value.
func (r *Reader) Bool() bool { return r.Uint() != 0 }

// String takes off a string.
func (r *Reader) String() string {
	n := r.Len()
	if r.Err != nil {
		return ""
	}
	s := string(r.B[:n])
	r.B = r.B[n:]
	return s
}
