package windows

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"weir/state"
)

// errBlob is a blob that no unit can have written.
var errBlob = fmt.Errorf("%w: malformed blob", state.ErrCorrupt)

// cursor reads bytes that may be malformed; bad stays true after a fault.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n uint64) []byte {
	if c.bad || n > uint64(len(c.b)) {
		c.bad = true
		return nil
	}
	p := c.b[:n]
	c.b = c.b[n:]
	return p
}

func (c *cursor) byte() byte {
	if p := c.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (c *cursor) uvarint() uint64 {
	v, n := binary.Uvarint(c.b)
	if n <= 0 {
		c.bad = true
		return 0
	}
	c.take(uint64(n))
	return v
}

// check reports whether a restored blob can be worked on: everything that
// reading and folding take for granted.
func (sh *shape) check(blob []byte, last uint32, tick int64) error {
	c := cursor{b: blob}
	head := c.take(uint64(sh.values()))
	for range sh.fields {
		c.take(c.uvarint())
	}
	if c.bad {
		return errBlob
	}
	base := binary.LittleEndian.Uint32(head)
	if last == 0 || base >= last || int64(last) > tick {
		return errBlob
	}
	next := 0
	for len(c.b) > 0 {
		id := int(c.byte())
		size := c.take(2)
		if c.bad || id < next || id >= len(sh.sections) {
			return errBlob
		}
		next = id + 1
		p := cursor{b: c.take(uint64(binary.LittleEndian.Uint16(size)))}
		if c.bad {
			return errBlob
		}
		s := &sh.sections[id]
		if s.kind == Distinct {
			s.checkDistinct(&p, base, last)
		} else {
			s.checkPanes(&p, s.relative(last-1, base))
		}
		if p.bad || len(p.b) > 0 {
			return errBlob
		}
	}
	return nil
}

func (s *section) checkPanes(p *cursor, newest uint64) {
	rel := p.uvarint()
	if rel > newest {
		p.bad = true
	}
	for s.checkEntry(p); !p.bad && len(p.b) > 0; s.checkEntry(p) {
		gap := p.uvarint()
		if gap == 0 || gap > rel {
			p.bad = true
		}
		rel -= gap
	}
}

func (s *section) checkEntry(p *cursor) {
	n := 0
	switch s.kind {
	case Count:
		for i, b := range p.take(uint64(s.width)) {
			if over := len(s.columns) - 8*i; over < 8 && b>>over != 0 {
				p.bad = true
			}
			n += bits.OnesCount8(b)
		}
	case Buckets:
		n = int(p.byte())
		if n > numBuckets {
			p.bad = true
			return
		}
		if n <= fewBuckets {
			p.take(uint64(n))
			break
		}
		if set := p.take(bitmapBytes); set != nil && bits.OnesCount64(binary.LittleEndian.Uint64(set)) != n {
			p.bad = true
		}
	case Active:
		k, first, span := p.uvarint(), p.uvarint(), p.uvarint()
		if k == 0 || k > uint64(s.pane) || first >= uint64(s.pane) || span >= uint64(s.pane)-first {
			p.bad = true
		}
		n = 1
	case Span:
		first, span := p.uvarint(), p.uvarint()
		if first >= uint64(s.pane) || span >= uint64(s.pane)-first {
			p.bad = true
		}
	default:
		n = 2
	}
	for ; n > 0 && !p.bad; n-- {
		p.uvarint()
	}
}

func (s *section) checkDistinct(p *cursor, base, last uint32) {
	n := int(p.byte())
	newest := p.uvarint()
	if n == 0 || n > maxPairs || newest >= uint64(last-base) {
		p.bad = true
		return
	}
	p.take(hashBytes)
	for range n - 1 {
		gap := p.uvarint()
		if gap > newest {
			p.bad = true
			return
		}
		newest -= gap
		p.take(hashBytes)
	}
	if n < maxPairs {
		return
	}
	epoch, lengths := p.take(4), p.take(registers)
	if p.bad || binary.LittleEndian.Uint32(epoch) > (last-1)/s.pane {
		p.bad = true
		return
	}
	now := (last-1)/s.pane - binary.LittleEndian.Uint32(epoch)
	for _, k := range lengths {
		before, rank := now+1, uint32(0)
		for e := p.take(entryBytes * uint64(k)); len(e) > 0; e = e[entryBytes:] {
			v := binary.LittleEndian.Uint32(e)
			if v>>6 >= before || v&rankMask <= rank || v&rankMask > maxSkyline {
				p.bad = true
				return
			}
			before, rank = v>>6, v&rankMask
		}
	}
}
