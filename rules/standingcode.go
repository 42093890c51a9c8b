package rules

import (
	"fmt"
	"slices"

	"weir/event"
	"weir/state"
)

// standingVersion is the format version of an encoded Standing.
const standingVersion = 1

// Append appends the facts. Equal facts are equal bytes.
func (s *Standing) Append(dst []byte) []byte {
	dst, start := state.BeginRecord(dst)
	w := encoder{state.Writer{B: dst}}
	w.Bool(s.defined)
	w.Uint(uint64(event.NumFields))
	for f := range s.known {
		w.Bool(s.noKnown[f])
		w.hashes(&s.known[f])
		w.Bool(s.noSeen[f])
		w.hashes(&s.seen[f])
	}
	w.hashes(&s.visited)
	if s.allVisited { // a weir that does not know of it shall not read it
		w.Bool(true)
	}
	state.EndRecord(w.B, start, standingVersion)
	return w.B
}

// ReadStanding reads what Append wrote, for events of a plan with the same key.
func ReadStanding(b []byte, p *Plan) (*Standing, error) {
	body, rest, err := state.ReadRecord(b, standingVersion)
	if err != nil {
		return nil, fmt.Errorf("standing facts: %w", err)
	}
	r := decoder{Reader: state.Reader{B: body}}
	r.check(len(rest) == 0, "%d bytes behind it", len(rest))
	s := NewStanding(r.Bool(), p.standingHash)
	n := r.Uint()
	r.check(n == uint64(event.NumFields), "%d fields, must be %d", n, event.NumFields)
	for f := range s.known {
		s.noKnown[f] = r.Bool()
		r.hashes(&s.known[f])
		s.noSeen[f] = r.Bool()
		r.hashes(&s.seen[f])
	}
	r.hashes(&s.visited)
	if len(r.B) > 0 {
		s.allVisited = r.Bool()
		r.check(s.allVisited, "visitors are said not to be too many")
	}
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
