package windows

import (
	"errors"
	"fmt"
	"slices"
)

// The limits on one table.
const (
	maxSections = 255 // stores of one key; their number is a byte
	maxColumns  = 256 // Count and Sum series that read one ring
)

// section says how one store of a key's blob is kept: the counters of a ring,
// or what one other series keeps in one ring (Distinct: in all of them).
type section struct {
	kind    Kind // Count stands for the counters of a ring, sums among them
	pane    uint32
	longest Window // the longest window read from it
	mask    uint64 // the bits of rows that feed it
	bit     uint8
	obs     int
	columns []int  // of counters: the series in each column
	width   int    // of counters: bytes of an entry's bitmap
	purge   uint32 // of Distinct: seconds between two purges of the sketch
}

// oldest returns the first second that any window of the section still reads
// as of tick, or 0.
func (s *section) oldest(tick uint32) uint32 {
	return uint32(max(0, s.longest.Start(int64(tick))))
}

// adder is a series that adds up: a Count or a Sum.
type adder struct {
	series int
	obs    int // -1: a Count
	bit    uint8
}

// place is where a series' part of one ring is kept.
type place struct {
	section int16 // -1: nowhere
	column  int16
}

// shape is a Table made ready for folding and reading.
type shape struct {
	fields   []int // where in Layout.Fields the values of the key are
	parent   bool
	retain   int64
	faint    uint64
	sections []section
	adders   []adder
	places   [][NumRings]place
}

// Validate reports every fault of a layout.
func (l *Layout) Validate() (err error) {
	_, err = l.shapes()
	return err
}

func (l *Layout) shapes() (shapes []shape, err error) {
	for i := range l.Tables {
		sh, e := l.shape(&l.Tables[i])
		if e != nil {
			err = errors.Join(err, fmt.Errorf("table %d: %w", i, e))
		}
		shapes = append(shapes, sh)
	}
	if len(l.Tables) > 1<<16 {
		return nil, errors.Join(err, fmt.Errorf("layout: %d tables, must be at most %d", len(l.Tables), 1<<16))
	}
	numbers := map[uint16]bool{}
	for i, n := range l.stores() {
		if numbers[n] {
			err = errors.Join(err, fmt.Errorf("table %d: another one is number %d in the store too", i, n))
		}
		numbers[n] = true
	}
	return shapes, err
}

func (l *Layout) shape(t *Table) (shape, error) {
	sh := shape{parent: t.Parent, retain: t.Retain, faint: t.Faint, places: make([][NumRings]place, len(t.Series))}
	var err error
	for _, f := range t.Fields {
		i := slices.Index(l.Fields, f)
		if i < 0 {
			err = errors.Join(err, fmt.Errorf("field %v is not among the layout's", f))
		}
		sh.fields = append(sh.fields, i)
	}
	for i, s := range t.Series {
		for r := range sh.places[i] {
			sh.places[i][r].section = -1
		}
		err = errors.Join(err, l.checkSeries(i, &s))
		if s.Kind == Count || s.Kind == Sum {
			a := adder{series: i, obs: -1, bit: s.Bit}
			if s.Kind == Sum {
				a.obs = int(s.Obs)
			}
			sh.adders = append(sh.adders, a)
		}
	}
	if err != nil {
		return sh, err
	}
	for r := range Ring(NumRings) {
		err = errors.Join(err, sh.addCounters(t, r))
	}
	for i := range t.Series {
		sh.addSeries(i, &t.Series[i])
	}
	if n := len(sh.sections); n > maxSections {
		err = errors.Join(err, fmt.Errorf("%d stores for a key, must be at most %d", n, maxSections))
	}
	for i := range t.Series {
		for _, w := range t.Series[i].Windows {
			if t.Retain < int64(w)+w.Ring().Pane() {
				err = errors.Join(err, fmt.Errorf("keys are kept %d s, must be at least the window of %d s and a pane", t.Retain, w))
			}
		}
	}
	return sh, err
}

func (l *Layout) checkSeries(i int, s *Series) (err error) {
	if s.Kind > Span {
		err = errors.Join(err, fmt.Errorf("series %d: kind %d, must be at most %d", i, s.Kind, Span))
	}
	if s.Bit >= MaxBits {
		err = errors.Join(err, fmt.Errorf("series %d: bit %d, must be less than %d", i, s.Bit, MaxBits))
	}
	switch s.Kind {
	case Sum, MinMax, Distinct, Buckets:
		if int(s.Obs) >= l.Obs {
			err = errors.Join(err, fmt.Errorf("series %d: observation %d, must be less than %d", i, s.Obs, l.Obs))
		}
	}
	for _, w := range s.Windows {
		if !slices.Contains(Windows, w) {
			err = errors.Join(err, fmt.Errorf("series %d: a window of %d s, must be one of %v", i, w, Windows))
		}
	}
	return err
}

// addCounters gives ring r a section, shared by all series that add up in it.
func (sh *shape) addCounters(t *Table, r Ring) error {
	s := section{kind: Count, pane: uint32(r.Pane())}
	for i := range t.Series {
		longest := longestIn(t.Series[i].Windows, r)
		if k := t.Series[i].Kind; k != Count && k != Sum || longest == 0 {
			continue
		}
		s.longest = max(s.longest, longest)
		s.mask |= 1 << t.Series[i].Bit
		sh.places[i][r] = place{int16(len(sh.sections)), int16(len(s.columns))}
		s.columns = append(s.columns, i)
	}
	if len(s.columns) > maxColumns {
		return fmt.Errorf("%d counters in one ring, must be at most %d", len(s.columns), maxColumns)
	}
	if len(s.columns) > 0 {
		s.width = (len(s.columns) + 7) / 8
		sh.sections = append(sh.sections, s)
	}
	return nil
}

// addSeries gives a series that does not add up its own sections.
func (sh *shape) addSeries(i int, t *Series) {
	if t.Kind == Count || t.Kind == Sum || len(t.Windows) == 0 {
		return
	}
	s := section{kind: t.Kind, mask: 1 << t.Bit, bit: t.Bit, obs: int(t.Obs)}
	if t.Kind == Distinct {
		// The sketch needs to tell apart only the seconds at which some window
		// may start: the multiples of the finest pane.
		s.longest = slices.Max(t.Windows)
		s.pane = uint32(slices.Min(t.Windows).Ring().Pane())
		s.purge = uint32(max(1, int64(s.longest)/16))
		for r := range sh.places[i] {
			sh.places[i][r].section = int16(len(sh.sections))
		}
		sh.sections = append(sh.sections, s)
		return
	}
	for r := range Ring(NumRings) {
		if s.longest = longestIn(t.Windows, r); s.longest == 0 {
			continue
		}
		s.pane = uint32(r.Pane())
		sh.places[i][r].section = int16(len(sh.sections))
		sh.sections = append(sh.sections, s)
	}
}

// longestIn returns the longest of the windows that read ring r, or 0.
func longestIn(ws []Window, r Ring) (longest Window) {
	for _, w := range ws {
		if w.Ring() == r {
			longest = max(longest, w)
		}
	}
	return longest
}
