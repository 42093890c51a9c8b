package rules

import (
	"fmt"
	"slices"

	"weir/event"
	"weir/state"
)

// standingVersion is the format version of an encoded Standing. The first one had
// no denied, and said that there were too many visitors only where it was so.
const (
	standingVersion = 2
	firstStanding   = 1
)

// Append appends the facts. Equal facts are equal bytes.
func (s *Standing) Append(dst []byte) []byte {
	dst, start := state.BeginRecord(dst)
	w := encoder{state.Writer{B: dst}}
	w.Bool(s.defined)
	w.Uint(uint64(event.NumFields))
	for f := range event.NumFields {
		for k := range s.sets {
			w.Bool(s.untold[k][f])
			w.hashes(&s.sets[k][f])
		}
	}
	w.hashes(&s.visited)
	w.Bool(s.allVisited)
	state.EndRecord(w.B, start, standingVersion)
	return w.B
}

// ReadStanding reads what Append wrote, for events of a plan with the same key.
func ReadStanding(b []byte, p *Plan) (*Standing, error) {
	version := byte(standingVersion)
	if len(b) > 0 && b[0] == firstStanding {
		version = firstStanding
	}
	body, rest, err := state.ReadRecord(b, version)
	if err != nil {
		return nil, fmt.Errorf("standing facts: %w", err)
	}
	r := decoder{Reader: state.Reader{B: body}}
	r.check(len(rest) == 0, "%d bytes behind it", len(rest))
	s := NewStanding(r.Bool(), p.standingHash)
	n := r.Uint()
	r.check(n == uint64(event.NumFields), "%d fields, must be %d", n, event.NumFields)
	for f := range event.NumFields {
		for k := range s.sets {
			if s.untold[k][f] = version == firstStanding && Fact(k) == Denied; !s.untold[k][f] {
				s.untold[k][f] = r.Bool()
				r.hashes(&s.sets[k][f])
			}
		}
	}
	r.hashes(&s.visited)
	s.allVisited = (version != firstStanding || len(r.B) > 0) && r.Bool()
	if err := r.end(); err != nil {
		return nil, fmt.Errorf("standing facts: %w", err)
	}
	return s, nil
}

// hashes writes a set in ascending order.
func (w *encoder) hashes(s *hashSet) {
	hs := make([]uint64, 0, s.n+1)
	if s.zero {
		hs = append(hs, 0)
	}
	for _, h := range s.slots {
		if h != 0 {
			hs = append(hs, h)
		}
	}
	slices.Sort(hs)
	w.Uint(uint64(len(hs)))
	for _, h := range hs {
		w.Fixed(h)
	}
}

func (r *decoder) hashes(s *hashSet) {
	n := r.Uint()
	if !r.check(n <= uint64(len(r.B))/8, "%d values in %d bytes", n, len(r.B)) {
		return
	}
	s.grow(int(n))
	last := uint64(0)
	for i := range n {
		h := r.Fixed()
		r.check(i == 0 || h > last, "values out of order")
		s.add(h)
		last = h
	}
}
