package simulate

import "math/bits"

// adaptation is what an attacker has changed since he saw that he is stopped.
type adaptation struct {
	latest      [4]uint64 // a bit for each of the latest answers: 1 is stopped
	seen        int
	changes     int
	fingerprint uint64
	addresses   uint64
	network     string
	slower      int64
}

// learn takes an answer, and changes something after a share of refusals.
func (c *adaptation) learn(s *Stream, a *attack, refused bool) {
	how := a.phase.Adapt
	if !s.options.Adaptive || how == nil {
		return
	}
	at := c.seen % how.Over
	word, bit := &c.latest[at/64], uint64(1)<<(at%64)
	*word &^= bit
	if refused {
		*word |= bit
	}
	if c.seen++; c.seen < how.Over {
		return
	}
	stops := 0
	for _, w := range c.latest {
		stops += bits.OnesCount64(w)
	}
	if float64(stops) < how.Share*float64(how.Over) {
		return
	}
	what := how.Change[c.changes%len(how.Change)]
	c.changes++
	c.seen, c.latest = 0, [4]uint64{}
	switch what {
	case "fingerprint":
		c.fingerprint++
	case "addresses":
		c.addresses++
	case "network":
		c.addresses++
		if c.network == how.Then {
			c.network = a.phase.Network
		} else {
			c.network = how.Then
		}
	case "pace":
		c.slower = min(2*c.slower+1, 63)
	}
}
