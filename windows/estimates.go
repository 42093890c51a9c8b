package windows

// estimates are what was read from sketches that have not changed since: most
// of what comes to a large one is there already, while rules ask at each touch
// how much it holds.
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
	keptEstimates = 128 // sketches of a unit
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
	if e.key != k || e.section != section || e.n == sketchWindows {
		*e = estimated{key: k, section: section}
	}
	e.starts[e.n], e.values[e.n] = start, v
	e.n++
}

// sketched notes what values did to a sketch in a section.
func (u *Unit) sketched(k *sketch, section int) {
	u.counters.Full += k.full
	if !k.changed || u.estimates == nil {
		return
	}
	if e := u.estimates.of(k.e.key, section); e.key == k.e.key && e.section == section {
		e.n = 0
	}
}
