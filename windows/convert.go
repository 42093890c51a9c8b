package windows

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Conversion rewrites the blobs of keys from one layout of a state to a later
// one. One goroutine at a time uses it.
type Conversion struct {
	// Cut counts blobs that would have become too large, so that the oldest
	// panes of their largest counters went.
	Cut uint64

	tables []path
	room   [2][]byte // take turns as steps follow each other
}

// path is how the keys of a table of the first layout come to the last.
type path struct {
	shape shape // in the first
	to    int   // in the last; -1: nobody keeps it
	steps []*step
	ends  []end
}

// end is when a layout ended, and how long it kept idle keys of a table.
type end struct{ tick, retain int64 }

// NewConversion makes the conversion from the first to the last of a state's
// layouts, each of which inherited from the one before. A blob goes through
// all of them, although none of its events came under those between: what one
// of them dropped must be gone, whether a key was in memory then or not.
func NewConversion(layouts ...*Layout) (*Conversion, error) {
	if len(layouts) == 0 {
		return nil, errors.New("conversion: there are 0 layouts, must be at least 1")
	}
	// One that went on as it was is not another one.
	layouts = slices.CompactFunc(slices.Clone(layouts), func(a, b *Layout) bool {
		return a == b || a.Serial == b.Serial && bytes.Equal(a.Append(nil), b.Append(nil))
	})
	shapes := make([][]shape, len(layouts))
	for i, l := range layouts {
		var err error
		if shapes[i], err = l.shapes(); err == nil {
			err = l.checkNames()
		}
		if err != nil {
			return nil, fmt.Errorf("conversion: layout %d: %w", l.Serial, err)
		}
		if i > 0 && l.Serial != layouts[i-1].Serial+1 {
			return nil, fmt.Errorf("conversion: layout %d behind layout %d, must be the one that inherited from it", l.Serial, layouts[i-1].Serial)
		}
	}
	c := &Conversion{tables: make([]path, len(layouts[0].Tables))}
	for t := range c.tables {
		p := &c.tables[t]
		*p = path{shape: shapes[0][t], to: t}
		for i := 1; i < len(layouts) && p.to >= 0; i++ {
			from, to := layouts[i-1], layouts[i]
			at := p.to
			if p.to = to.same(&from.Tables[at]); p.to < 0 {
				break
			}
			p.ends = append(p.ends, end{to.Began, from.Tables[at].Retain})
			s := newStep(&from.Tables[at], &shapes[i-1][at], &to.Tables[p.to], &shapes[i][p.to], to.Began)
			if s != nil {
				p.steps = append(p.steps, s)
			}
		}
	}
	return c, nil
}

// same returns the number of the table that goes on with t's keys, or -1.
func (l *Layout) same(t *Table) int {
	for i := range l.Tables {
		o := &l.Tables[i]
		if o.Store == t.Store && o.Name == t.Name && o.Parent == t.Parent && len(o.Fields) == len(t.Fields) {
			return i
		}
	}
	return -1
}

// Table returns the number that a table of the first layout has in the last;
// ok is false where its keys go.
func (c *Conversion) Table(from int) (to int, ok bool) {
	to = c.tables[from].to
	return to, to >= 0
}

// Keeps reports whether blobs of a table stay as they are.
func (c *Conversion) Keeps(table int) bool {
	return c.tables[table].to >= 0 && len(c.tables[table].steps) == 0
}

// Expired reports whether a key of a table that was touched last at a tick had
// been idle for too long when one of the layouts that it went through ended.
// The last layout may keep keys longer, but that one is gone.
func (c *Conversion) Expired(table int, last int64) bool {
	for _, e := range c.tables[table].ends {
		if e.tick-last > e.retain {
			return true
		}
	}
	return false
}

// Blob appends what is kept of the blob of a key of a table of the first
// layout: at least the key's values. Of a blob that no unit can have written,
// or of a table whose keys go, it appends nothing.
func (c *Conversion) Blob(dst []byte, table int, blob []byte) []byte {
	p := &c.tables[table]
	if p.to < 0 || len(blob) > maxBlob || p.shape.check(blob, math.MaxUint32, math.MaxUint32) != nil {
		return dst
	}
	for i, s := range p.steps {
		out, cut := s.append(c.room[i&1][:0], blob)
		if cut {
			c.Cut++
		}
		c.room[i&1], blob = out, out
	}
	return append(dst, blob...)
}
