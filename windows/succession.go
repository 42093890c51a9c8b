package windows

import (
	"bytes"
	"errors"
	"fmt"
)

// Succession is the layouts that a state has gone through, made ready to take
// blobs from any of them to the last. It does not change, so that all units of a
// state share one: what it costs rises with the layouts, whoever reads.
type Succession struct {
	layouts []*Layout
	shapes  [][]shape        // of each layout's tables
	tables  []map[uint16]int // of each layout, by the store's number
	links   [][]link         // of each layout but the last, by table
}

// link is how the keys of a table come to the next layout.
type link struct {
	to            int   // the table there; -1: nobody keeps it
	step          *step // nil: blobs stay as they are
	ended, retain int64 // when the layout ended, and how long it kept idle keys
}

// Succeed returns the succession of layouts, each of which inherited from the one
// before. What an earlier succession (nil: none) knows of the same ones is used
// again.
func Succeed(before *Succession, layouts ...*Layout) (*Succession, error) {
	if len(layouts) == 0 {
		return nil, errors.New("conversion: there are 0 layouts, must be at least 1")
	}
	s := &Succession{}
	for _, l := range layouts {
		if err := s.add(l, before); err != nil {
			return nil, fmt.Errorf("conversion: %w", err)
		}
	}
	return s, nil
}

// add takes a layout in behind those that are there.
func (s *Succession) add(l *Layout, before *Succession) (err error) {
	n := len(s.layouts)
	if n > 0 {
		switch last := s.layouts[n-1]; {
		case last == l, last.Serial == l.Serial && bytes.Equal(last.Append(nil), l.Append(nil)):
			return nil // one that went on as it was is not another one
		case l.Serial != last.Serial+1:
			return fmt.Errorf("layout %d behind layout %d, must be the one that inherited from it", l.Serial, last.Serial)
		}
	}
	at, known := before.number(l.Serial)
	if known = known && before.layouts[at] == l; known {
		s.shapes, s.tables = append(s.shapes, before.shapes[at]), append(s.tables, before.tables[at])
	} else {
		shapes, err := l.shapes()
		if err == nil {
			err = l.checkNames()
		}
		if err != nil {
			return fmt.Errorf("layout %d: %w", l.Serial, err)
		}
		tables := map[uint16]int{}
		for t, number := range l.stores() {
			tables[number] = t
		}
		s.shapes, s.tables = append(s.shapes, shapes), append(s.tables, tables)
	}
	s.layouts = append(s.layouts, l)
	switch {
	case n == 0:
	case known && at > 0 && before.layouts[at-1] == s.layouts[n-1]:
		s.links = append(s.links, before.links[at-1])
	default:
		s.links = append(s.links, s.linksTo(n))
	}
	return nil
}

// linksTo returns how the tables of the layout before come to the one with a
// number.
func (s *Succession) linksTo(n int) []link {
	from, to := s.layouts[n-1], s.layouts[n]
	links := make([]link, len(from.Tables))
	for t := range links {
		was := &from.Tables[t]
		links[t] = link{to: to.same(was), ended: to.Began, retain: was.Retain}
		if k := links[t].to; k >= 0 {
			links[t].step = newStep(was, &s.shapes[n-1][t], &to.Tables[k], &s.shapes[n][k], to.Began)
		}
	}
	return links
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

// number returns which of the layouts has a serial; of none there is none.
func (s *Succession) number(serial uint32) (n int, ok bool) {
	if s == nil || serial < s.layouts[0].Serial {
		return 0, false
	}
	n = int(serial - s.layouts[0].Serial)
	return n, n < len(s.layouts)
}
