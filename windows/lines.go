package windows

// lines say which keys are dead, wherever they are, by nothing but what the
// keys themselves say. They only ever rise.
type lines struct {
	shed [riskClasses]uint32 // keys of the class last touched before this tick were shed
	idle []uint32            // keys of the table last touched before this tick have expired
}

// dead reports whether a key is.
func (x *lines) dead(table int, class uint8, last uint32) bool {
	return last < x.shed[class] || last < x.idle[table]
}

// highest returns the tick before which nothing can be touched any more.
func (x *lines) highest() (tick uint32) {
	for _, t := range x.shed {
		tick = max(tick, t)
	}
	return tick
}

// Alive returns whether a stored value is alive: a function of its arguments
// that other goroutines may use for ever. Once it says false of a value, so
// does every later one. What it cannot read passes for alive, and so does what is
// of a table that nobody keeps, as long as it was not shed.
//
// It is as of the last Cut until that is settled, else as of now: what a
// checkpoint does without must have been dead when it was cut.
func (u *Unit) Alive() func(table uint16, value []byte) bool {
	as := &u.lines
	if u.changes.cut {
		as = &u.changes.lines
	}
	shed := as.shed
	idle := make(map[uint16]uint32, len(u.stores))
	for i, number := range u.stores {
		idle[number] = as.idle[i]
	}
	return func(table uint16, value []byte) bool {
		h, _, err := readValue(value)
		return err != nil || h.last >= shed[riskOf(h.ticks, h.near)] && h.last >= idle[table]
	}
}
