package windows

import "math"

// Conversion rewrites the blobs of keys from one layout of a state to the last.
// One goroutine at a time uses it.
type Conversion struct {
	// Cut counts blobs that would have become too large, so that the oldest
	// panes of their largest counters went.
	Cut uint64

	ways  *Succession
	first int       // in ways: the layout that blobs are of
	room  [2][]byte // take turns as steps follow each other
}

// NewConversion makes the conversion from the first to the last of a state's
// layouts, each of which inherited from the one before. A blob goes through
// all of them, although none of its events came under those between: what one
// of them dropped must be gone, whether a key was in memory then or not.
func NewConversion(layouts ...*Layout) (*Conversion, error) {
	ways, err := Succeed(nil, layouts...)
	if err != nil {
		return nil, err
	}
	return &Conversion{ways: ways}, nil
}

// Table returns the number that a table of the first layout has in the last;
// ok is false where its keys go.
func (c *Conversion) Table(from int) (to int, ok bool) {
	to = from
	for i := c.first; i < len(c.ways.links) && to >= 0; i++ {
		to = c.ways.links[i][to].to
	}
	return to, to >= 0
}

// Keeps reports whether blobs of a table stay as they are.
func (c *Conversion) Keeps(table int) bool {
	for i := c.first; i < len(c.ways.links); i++ {
		l := &c.ways.links[i][table]
		if l.to < 0 || l.step != nil {
			return false
		}
		table = l.to
	}
	return true
}

// Expired reports whether a key of a table that was touched last at a tick had
// been idle for too long when one of the layouts that it went through ended.
// The last layout may keep keys longer, but that one is gone.
func (c *Conversion) Expired(table int, last int64) bool {
	for i := c.first; i < len(c.ways.links); i++ {
		l := &c.ways.links[i][table]
		if l.to < 0 {
			return false
		}
		if l.ended-last > l.retain {
			return true
		}
		table = l.to
	}
	return false
}

// Blob appends what is kept of the blob of a key of a table of the first
// layout: at least the key's values. Of a blob that no unit can have written,
// or of a table whose keys go, it appends nothing.
func (c *Conversion) Blob(dst []byte, table int, blob []byte) []byte {
	if _, ok := c.Table(table); !ok || len(blob) > maxBlob || c.ways.shapes[c.first][table].check(blob, math.MaxUint32, math.MaxUint32) != nil {
		return dst
	}
	steps := 0
	for i := c.first; i < len(c.ways.links); i++ {
		l := &c.ways.links[i][table]
		if table = l.to; l.step == nil {
			continue
		}
		out, cut := l.step.append(c.room[steps&1][:0], blob)
		if cut {
			c.Cut++
		}
		c.room[steps&1], blob = out, out
		steps++
	}
	return append(dst, blob...)
}
