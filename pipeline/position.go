package pipeline

import (
	"fmt"

	"weir/state"
)

// positionVersion is the format version of an encoded position.
const positionVersion = 1

// appendPosition appends how far the partition has been read: the next offset
// and its clock, with a line that is still in doubt and the seconds that are
// not closed. That, the journal and the records from there on are all that its
// events follow from.
func (c *partitionClock) appendPosition(dst []byte) []byte {
	dst, start := state.BeginRecord(dst)
	w := state.Writer{B: dst}
	w.Int(c.next)
	w.Bool(c.started)
	w.Int(c.max)
	w.Int(c.w)
	w.Int(c.last)
	w.Bool(c.holding)
	if c.holding {
		w.Bool(c.heldFirst)
		w.Int(c.held.Time)
		w.Int(c.held.Offset)
		w.String(string(c.heldLine))
	}
	open := 0
	for _, n := range c.counts {
		if n != 0 {
			open++
		}
	}
	w.Uint(uint64(open))
	for i, n := range c.counts {
		if n != 0 {
			w.Uint(uint64(i))
			w.Uint(uint64(n))
		}
	}
	for _, n := range []int64{c.tally.Events, c.tally.Late, c.tally.Dropped, c.tally.Future, c.tally.Clamped} {
		w.Int(n)
	}
	state.EndRecord(w.B, start, positionVersion)
	return w.B
}

// restorePosition makes c, a new clock of the same source, the one that the
// position was taken of.
func (c *partitionClock) restorePosition(b []byte) error {
	body, rest, err := state.ReadRecord(b, positionVersion)
	if err != nil {
		return fmt.Errorf("position: %w", err)
	}
	r := state.Reader{B: body}
	c.next, c.started, c.max, c.w, c.last = r.Int(), r.Bool(), r.Int(), r.Int(), r.Int()
	if c.holding = r.Bool(); c.holding {
		c.heldFirst, c.held.Time, c.held.Offset = r.Bool(), r.Int(), r.Int()
		c.heldLine = []byte(r.String())
	}
	for range r.Len() {
		i, n := r.Uint(), r.Uint()
		if i >= uint64(len(c.counts)) {
			return fmt.Errorf("position: %w: second %d of %d", state.ErrCorrupt, i, len(c.counts))
		}
		c.counts[i] = int32(n)
		c.ahead += int(n)
	}
	c.tally = Tally{Events: r.Int(), Late: r.Int(), Dropped: r.Int(), Future: r.Int(), Clamped: r.Int()}
	for len(c.marks) > 0 && c.marks[0].Offset <= c.next {
		c.marks = c.marks[1:]
	}
	if r.Err != nil {
		return fmt.Errorf("position: %w", r.Err)
	}
	if len(r.B)+len(rest) > 0 {
		return fmt.Errorf("position: %w: %d bytes too many", state.ErrCorrupt, len(r.B)+len(rest))
	}
	return nil
}
