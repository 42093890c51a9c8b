package windows

// estimates are what was read from sketches and holds still: most of what comes
// to a large one is there already, while rules ask at each touch how much it holds.
type estimates []estimated

// estimated is what was read of one sketch for some windows.
type estimated struct {
	key     Key
	section int
	starts  [sketchWindows]uint32 // in quanta
	values  [sketchWindows]float64
	n       int // of them
}

const (
	keptEstimates = 512 // sketches of a unit
	sketchWindows = 3   // windows that are read from one, mostly
)

// of returns where what was read of a sketch is kept.
func (m estimates) of(k Key, section int) *estimated {
	return &m[(k.Lo+uint64(section))%keptEstimates]
}

// find returns what is known of a sketch from a start on.
func (m estimates) find(k Key, section int, start uint32) (v float64, ok bool) {
	if m == nil {
		return 0, false
	}
	e := m.of(k, section)
	if e.key != k || e.section != section {
		return 0, false
	}
	for i, s := range e.starts[:e.n] {
		if s == start {
			return e.values[i], true
		}
	}
	return 0, false
}

// keepEstimate remembers what the sketch in a section of a key estimates.
func (u *Unit) keepEstimate(k Key, section int, start uint32, v float64) {
	if u.estimates == nil {
		u.estimates = make(estimates, keptEstimates)
	}
	e := u.estimates.of(k, section)
	if e.key != k || e.section != section {
		*e = estimated{key: k, section: section}
	}
	at := e.n
	if at < sketchWindows {
		e.n++
	} else {
		at = e.passed(start)
	}
	e.starts[at], e.values[at] = start, v
}

// passed returns which of the starts a window has moved on from, that begins at start
// now: the latest before it, as the other windows are of other lengths.
func (e *estimated) passed(start uint32) (at int) {
	for i, s := range e.starts {
		if s < start && (e.starts[at] >= start || s > e.starts[at]) {
			at = i
		}
	}
	return at
}

// sketched notes what values did to a sketch in a section: what is known stays so where
// it does not rise, and begins no earlier than what the sketch still holds.
func (u *Unit) sketched(k *sketch, section int) {
	u.counters.Full += k.full
	if u.estimates == nil {
		return
	}
	e := u.estimates.of(k.e.key, section)
	if e.key != k.e.key || e.section != section {
		return
	}
	e.keep(k.epoch(), k.rose)
}

// keep forgets the windows that begin before from, or at to or later.
func (e *estimated) keep(from, to uint32) {
	n := 0
	for i, start := range e.starts[:e.n] {
		if from <= start && start < to {
			e.starts[n], e.values[n] = start, e.values[i]
			n++
		}
	}
	e.n = n
}
