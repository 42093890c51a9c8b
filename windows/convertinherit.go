package windows

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// maxStores is how many numbers for tables a state has in all its life.
const maxStores = math.MaxUint16 - 2 // the last two are of what rules keep

// Inherit makes l, fresh from the planner, the layout that follows old in a
// state at tick. Tables keep the store numbers that old gave to their names;
// others get numbers never used before. Each window learns since when its data
// are collected: one that old kept goes on, one longer than old kept (in the
// same panes) begins as far back as old reached, and the rest begin at tick.
func (l *Layout) Inherit(old *Layout, tick int64) error {
	if err := errors.Join(l.checkNames(), old.checkNames()); err != nil {
		return fmt.Errorf("inherit: %w", err)
	}
	if tick < old.Began {
		return fmt.Errorf("inherit: at tick %d, must be at least %d, when the layout before began", tick, old.Began)
	}
	next := old.NextStore
	stores := make([]uint16, len(l.Tables))
	for i := range l.Tables {
		if o := old.named(l.Tables[i].Name); o != nil {
			stores[i] = o.Store
			continue
		}
		if next > maxStores {
			return fmt.Errorf("inherit: table %s: all %d numbers for tables were used, begin a new state", l.Tables[i].Name, maxStores+1)
		}
		stores[i] = uint16(next)
		next++
	}
	l.Serial, l.Began, l.NextStore = old.Serial+1, tick, next
	for i := range l.Tables {
		t := &l.Tables[i]
		t.Store = stores[i]
		o := old.named(t.Name)
		for k := range t.Series {
			var before *Series
			if o != nil {
				before = o.named(t.Series[k].Name)
			}
			t.Series[k].inherit(before, tick)
		}
	}
	// A state that goes on by the same rules goes on with the same layout.
	same := *l
	same.Serial, same.Began = old.Serial, old.Began
	if bytes.Equal(same.Append(nil), old.Append(nil)) {
		*l = same
	}
	return nil
}

// named returns the table of that name, nil where there is none.
func (l *Layout) named(name string) *Table {
	for i := range l.Tables {
		if l.Tables[i].Name == name {
			return &l.Tables[i]
		}
	}
	return nil
}

// named returns the series of that name, nil where there is none.
func (t *Table) named(name string) *Series {
	for i := range t.Series {
		if t.Series[i].Name == name {
			return &t.Series[i]
		}
	}
	return nil
}

// checkNames reports what keeps tables and series from being told by name.
func (l *Layout) checkNames() (err error) {
	tables := map[string]bool{}
	stores := map[uint16]bool{}
	for i := range l.Tables {
		t := &l.Tables[i]
		switch {
		case t.Name == "" && len(t.Fields) > 0:
			err = errors.Join(err, fmt.Errorf("table %d has no name", i))
		case tables[t.Name]:
			err = errors.Join(err, fmt.Errorf("two tables are named %q", t.Name))
		case stores[t.Store]:
			err = errors.Join(err, fmt.Errorf("two tables have number %d", t.Store))
		case uint32(t.Store) >= l.NextStore:
			err = errors.Join(err, fmt.Errorf("table %q: number %d, must be less than %d", t.Name, t.Store, l.NextStore))
		}
		tables[t.Name], stores[t.Store] = true, true
		series := map[string]bool{}
		for k := range t.Series {
			name := t.Series[k].Name
			if name == "" || series[name] {
				err = errors.Join(err, fmt.Errorf("table %q: series %d: name %q, must be one of its own", t.Name, k, name))
			}
			series[name] = true
			if len(t.Series[k].Joined) > 32 {
				err = errors.Join(err, fmt.Errorf("table %q: series %q: %d kinds, must be at most 32", t.Name, name, len(t.Series[k].Joined)))
			}
			if s := &t.Series[k]; s.Since != nil && len(s.Since) != len(s.Windows) {
				err = errors.Join(err, fmt.Errorf("table %q: series %q: %d beginnings of %d windows", t.Name, name, len(s.Since), len(s.Windows)))
			}
		}
	}
	return err
}

// since returns the tick since which the data of window i are collected.
func (s *Series) since(i int) int64 {
	if s.Since == nil {
		return 0
	}
	return s.Since[i]
}

// inherit sets since when each window's data are collected, where old (nil:
// none) is the same series in the layout before tick.
func (s *Series) inherit(old *Series, tick int64) {
	s.Since, s.Joined = make([]int64, len(s.Windows)), nil
	if old != nil && (old.Kind != s.Kind || s.Kinds == 0 && old.Kinds != 0) {
		old = nil
	}
	for i, w := range s.Windows {
		s.Since[i] = tick
		if old == nil {
			continue
		}
		for k, o := range old.Windows {
			if !old.tells(w, o) {
				continue
			}
			from := old.since(k)
			if o < w {
				from = max(from, tick-int64(o))
			}
			s.Since[i] = min(s.Since[i], from)
		}
	}
	if old == nil || old.Kinds == 0 {
		return
	}
	joined := make([]int64, bits.Len32(s.Kinds))
	for kind := range joined {
		switch bit := uint32(1) << kind; {
		case s.Kinds&bit == 0:
		case old.Kinds&bit != 0:
			joined[kind] = old.KindsSince(bit)
		default:
			joined[kind] = tick
		}
	}
	if slices.Max(joined) > 0 {
		s.Joined = joined
	}
}

// KindsSince returns the tick at which the last of some kinds joined the
// series, 0 where they were there from its beginning.
func (s *Series) KindsSince(kinds uint32) (tick int64) {
	for kind, at := range s.Joined {
		if kinds>>kind&1 != 0 {
			tick = max(tick, at)
		}
	}
	return tick
}

// tells reports whether what the series keeps for its window o is what window
// w reads: the panes of a ring or, of Distinct, seconds told apart as finely.
func (s *Series) tells(w, o Window) bool {
	if s.Kind == Distinct {
		return w.Ring() >= finest(s.Windows)
	}
	return w.Ring() == o.Ring()
}

// finest returns the finest ring that any of the windows reads.
func finest(ws []Window) Ring {
	ring := Ring(NumRings - 1)
	for _, w := range ws {
		ring = min(ring, w.Ring())
	}
	return ring
}
