package archive

import (
	"encoding/binary"
	"errors"
)

// What arrow reads of a file it believes: counts and sizes become memory before
// anything is read into it. So they are looked at here first.

var errThrift = errors.New("metadata cannot be read")

// compact walks over values in Thrift's compact protocol.
type compact struct {
	b     []byte
	bad   bool
	items int // structs and elements so far
}

// The types of the compact protocol.
const (
	thriftTrue   = 1
	thriftFalse  = 2
	thriftByte   = 3
	thriftI64    = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftMap    = 11
	thriftStruct = 12
)

// maxThriftDepth is how deep values may lie in one another.
const maxThriftDepth = 16

func (t *compact) take(n uint64) {
	if n > uint64(len(t.b)) {
		t.bad, t.b = true, nil
		return
	}
	t.b = t.b[n:]
}

func (t *compact) byte() byte {
	if len(t.b) == 0 {
		t.bad = true
		return 0
	}
	c := t.b[0]
	t.b = t.b[1:]
	return c
}

func (t *compact) uint() uint64 {
	v, n := binary.Uvarint(t.b)
	if n <= 0 {
		t.bad, t.b = true, nil
		return 0
	}
	t.b = t.b[n:]
	return v
}

func (t *compact) int() int64 {
	v := t.uint()
	return int64(v>>1) ^ -int64(v&1)
}

// fields calls fn for each field of a struct; fn takes its value off.
func (t *compact) fields(fn func(id int64, kind byte)) {
	id := int64(0)
	for !t.bad {
		c := t.byte()
		if c == 0 {
			return
		}
		if d := c >> 4; d != 0 {
			id += int64(d)
		} else {
			id = t.int()
		}
		fn(id, c&15)
	}
}

// skip takes a value off.
func (t *compact) skip(kind byte, depth int) {
	if depth > maxThriftDepth {
		t.bad, t.b = true, nil
	}
	if t.items++; t.bad {
		return
	}
	switch kind {
	case thriftTrue, thriftFalse:
	case thriftByte:
		t.take(1)
	case 4, 5, thriftI64:
		t.uint()
	case thriftDouble:
		t.take(8)
	case thriftBinary:
		t.take(t.uint())
	case thriftList, thriftSet:
		t.list(depth)
	case thriftMap:
		n := t.uint()
		if n == 0 || t.bad {
			return
		}
		kinds := t.byte()
		for i := uint64(0); i < n && !t.bad; i++ {
			t.element(kinds>>4, depth)
			t.element(kinds&15, depth)
		}
	case thriftStruct:
		t.fields(func(_ int64, kind byte) { t.skip(kind, depth+1) })
	default:
		t.bad, t.b = true, nil
	}
}

// list takes a list's elements off; each takes at least a byte.
func (t *compact) list(depth int) {
	c := t.byte()
	n := uint64(c >> 4)
	if n == 15 {
		n = t.uint()
	}
	for i := uint64(0); i < n && !t.bad; i++ {
		t.element(c&15, depth)
	}
}

// element takes an element of a list or a map off; there a truth value is a byte.
func (t *compact) element(kind byte, depth int) {
	if kind == thriftTrue || kind == thriftFalse {
		t.items++
		t.take(1)
		return
	}
	t.skip(kind, depth+1)
}

// checkFooter sees to it that a file's metadata do not claim more than they
// hold: of one byte arrow makes up to some hundred.
func checkFooter(b []byte) error {
	t := compact{b: b}
	t.skip(thriftStruct, 0)
	if t.bad || t.items > 4096+len(b)/2 {
		return errThrift
	}
	return nil
}

// pageHead is what a page's header says.
type pageHead struct {
	kind, raw, stored, values int64
}

// readPageHead reads a page's header.
func readPageHead(b []byte) (h pageHead, err error) {
	t := compact{b: b}
	t.fields(func(id int64, kind byte) {
		switch {
		case kind == 5 && id == 1:
			h.kind = t.int()
		case kind == 5 && id == 2:
			h.raw = t.int()
		case kind == 5 && id == 3:
			h.stored = t.int()
		case kind == thriftStruct && (id == 5 || id == 7 || id == 8):
			t.fields(func(id int64, kind byte) {
				if id == 1 && kind == 5 {
					h.values = t.int()
				} else {
					t.skip(kind, 2)
				}
			})
		default:
			t.skip(kind, 1)
		}
	})
	if t.bad {
		return h, errThrift
	}
	return h, nil
}
