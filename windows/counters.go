package windows

// Counters says what a unit shed and refused. They are a function of the log,
// like all that a unit answers.
type Counters struct {
	Evicted   uint64 // keys dropped by Shed
	Expired   uint64 // keys dropped because they were idle for longer than any window
	Refused   uint64 // new keys not taken in because the limit was exceeded too far
	Full      uint64 // additions that found a key's 64 KiB full
	Cut       uint64 // keys of which a value was longer than 1 KiB
	OutOfTime uint64 // rows of a second before 1970 or after 2106, or shed before
	Turned    uint64 // new keys that a degraded unit turned away as never seen before
}

// Add adds c to the counters.
func (n *Counters) Add(c Counters) {
	from := c.all()
	for i, to := range n.all() {
		*to += *from[i]
	}
}

// all returns the counters in the order in which they are stored.
func (n *Counters) all() [7]*uint64 {
	return [...]*uint64{&n.Evicted, &n.Expired, &n.Refused, &n.Full, &n.Cut, &n.OutOfTime, &n.Turned}
}

// Counters returns what the unit shed and refused since it was made.
func (u *Unit) Counters() Counters { return u.counters }
