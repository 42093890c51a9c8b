package pipeline

import (
	"fmt"

	"weir/state"
)

// positionVersion is the format version of an encoded position.
const positionVersion = 1

// appendPosition appends how far the partition has been read: the next offset
// and its clock, with the events of each second that is open. That, the journal
// and the records from there on are all that its events follow from. No event
// may be held.
func (c *partitionClock) appendPosition(dst []byte) []byte {
	dst, start := state.BeginRecord(dst)
	w := state.Writer{B: dst}
	w.Int(c.next)
	w.Bool(c.started)
	w.Int(c.max)
	w.Int(c.w)
	w.Int(c.last)
	// By second, since the disorder may be another one when it is read.
	n := int64(len(c.counts))
	open := 0
	for at := range c.counts {
		if c.counts[at] != 0 {
			open++
		}
	}
	w.Uint(uint64(open))
	for second := c.w; open > 0 && second < c.w+n; second++ {
		if k := c.counts[floorMod(second, n)]; k != 0 {
			w.Uint(uint64(second - c.w))
			w.Uint(uint64(k))
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
	for range r.Len() {
		ahead, n := r.Uint(), r.Uint()
		if ahead >= uint64(len(c.counts)) {
			continue // the disorder was larger: the next event closes these seconds
		}
		c.counts[floorMod(c.w+int64(ahead), int64(len(c.counts)))] = int32(n)
		c.ahead += int(n)
	}
	c.tally = Tally{Events: r.Int(), Late: r.Int(), Dropped: r.Int(), Future: r.Int(), Clamped: r.Int()}
	if r.Err != nil {
		return fmt.Errorf("position: %w", r.Err)
	}
	if len(r.B)+len(rest) > 0 {
		return fmt.Errorf("position: %w: %d bytes too many", state.ErrCorrupt, len(r.B)+len(rest))
	}
	c.keepPace()
	// Marks may have been made at this offset since: an idle partition's stay where it is.
	c.journal(c.next)
	return nil
}
