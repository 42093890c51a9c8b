package emit

import "time"

// Change is how two lists of one point differ.
type Change struct {
	Add    []Entry   // to be held and are not, or differently
	Remove []Entry   // held and not to be; what is held differently is only in Add
	Over   int       // of Remove: over by the point's own clock
	Oldest time.Time // the earliest end of those
}

// drift returns how many entries make a difference.
func (c *Change) drift() int { return len(c.Add) + len(c.Remove) - c.Over }

// Diff compares what a point holds with what it is to hold, as far as it can
// hold it.
func Diff(have, want []Entry, caps Capabilities, now time.Time) (c Change) {
	compare := compareKeys
	if caps.Any {
		compare = compareEntries
	}
	for len(have) > 0 || len(want) > 0 {
		order := 0
		switch {
		case len(have) == 0:
			order = 1
		case len(want) == 0:
			order = -1
		default:
			order = compare(&have[0], &want[0])
		}
		switch {
		case order < 0:
			h := have[0]
			if c.Remove = append(c.Remove, h); caps.Ends && !h.Until.IsZero() && !h.Until.After(now) {
				if c.Over++; c.Over == 1 || h.Until.Before(c.Oldest) {
					c.Oldest = h.Until
				}
			}
			have = have[1:]
		case order > 0:
			c.Add = append(c.Add, want[0])
			want = want[1:]
		default:
			if !same(&have[0], &want[0], caps) {
				c.Add = append(c.Add, want[0])
			}
			have, want = have[1:], want[1:]
		}
	}
	return c
}

// same reports whether two entries with the same key do the same. A point that
// keeps no ids keeps addresses only.
func same(have, want *Entry, caps Capabilities) bool {
	return (!caps.Ends || have.Until.Equal(want.Until)) && (have.ID == "" || have.ID == want.ID && have.To == want.To)
}
