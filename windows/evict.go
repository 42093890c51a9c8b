package windows

import "slices"

const (
	// keyBytes is accounted for a key besides its blob: its slot and two
	// and two thirds entries of the index, its share at the lowest load.
	keyBytes    = 32 + 11
	minKeyBytes = keyBytes + 16

	sweepEvery = 3600 // seconds of event time between sweeps for idle keys
	shedTo     = 80   // percent of the limit
	idleBins   = 4096
)

// Counters says what a unit shed and refused.
type Counters struct {
	Evicted   uint64 // keys dropped by Shed
	Expired   uint64 // keys dropped because they were idle for longer than any window
	Refused   uint64 // new keys not taken in because the limit was exceeded too far
	Full      uint64 // additions that found a key's 64 KiB full
	Cut       uint64 // keys of which a value was longer than 1 KiB
	OutOfTime uint64 // rows of a second before 1970 or after 2106
}

// Add adds c to the counters.
func (n *Counters) Add(c Counters) {
	n.Evicted += c.Evicted
	n.Expired += c.Expired
	n.Refused += c.Refused
	n.Full += c.Full
	n.Cut += c.Cut
	n.OutOfTime += c.OutOfTime
}

// Counters returns what the unit shed and refused since it was made.
func (u *Unit) Counters() Counters { return u.counters }

// delete drops the key in a slot.
func (u *Unit) delete(i uint32) {
	s := u.index.slot(i)
	c := classOf(int(s.size))
	u.bytes -= int64(keyBytes + classBytes[c])
	if owner, moved := u.arena.free(c, s.ref); moved {
		u.index.slot(owner).ref = s.ref
	}
	u.index.remove(i)
}

// Expire drops the keys that have been idle for longer than their table's
// Retain. No window sees them any more. It looks for them once an hour of
// event time, so it may be called at every tick; to keep what is accounted the
// same everywhere it must be called at ticks that the log determines.
func (u *Unit) Expire(tick int64) {
	hour := uint32(max(0, min(tick, 1<<32-1)) / sweepEvery)
	if hour <= u.swept {
		return
	}
	u.swept = hour
	if tick <= u.deadline {
		return
	}
	u.deadline = tick + u.shortestRetain()
	for i := range u.index.slots {
		s := u.index.slot(i)
		if !s.used {
			continue
		}
		if end := int64(s.last) + u.shapes[s.table].retain; end < tick {
			u.delete(i)
			u.counters.Expired++
		} else {
			u.deadline = min(u.deadline, end)
		}
	}
}

func (u *Unit) shortestRetain() int64 {
	shortest := int64(1 << 32)
	for i := range u.shapes {
		shortest = min(shortest, u.shapes[i].retain)
	}
	return shortest
}

// Shed is what one shedding dropped.
type Shed struct {
	Keys  int
	Bytes int64
}

// Shed drops keys while more than the limit is accounted, until 80 % of it are
// left: those touched in the fewest ticks first, of these the longest idle, of
// these the smallest keys. It is to be called at the end of ticks. A flood of
// new keys thus drives itself out, not what was there before it. What is
// accounted never exceeds 105 % of the limit and what one tick adds to the
// keys that are there: beyond that new keys are refused.
func (u *Unit) Shed(tick int64) (shed Shed) {
	if u.limit == 0 || u.bytes <= u.limit {
		return shed
	}
	excess := u.bytes - u.limit/100*shedTo
	before := u.bytes

	// First the number of ticks up to which keys go, then how idle those must
	// be that were touched in exactly so many.
	byTicks := make([]int64, 1<<16)
	u.eachKey(func(_ uint32, s *slot) { byTicks[s.ticks] += u.cost(s) })
	ticks, rest := reach(byTicks, excess)
	oldest, newest := ^uint32(0), uint32(0)
	u.eachKey(func(_ uint32, s *slot) {
		if int(s.ticks) == ticks {
			oldest, newest = min(oldest, s.last), max(newest, s.last)
		}
	})
	width := (newest-oldest)/idleBins + 1
	byIdle := make([]int64, idleBins)
	u.eachKey(func(_ uint32, s *slot) {
		if int(s.ticks) == ticks {
			byIdle[(s.last-oldest)/width] += u.cost(s)
		}
	})
	bin, rest := reach(byIdle, rest)

	var last []uint32 // those of which only some go
	u.eachKey(func(i uint32, s *slot) {
		switch n := int(s.ticks); {
		case n > ticks:
		case n < ticks || int((s.last-oldest)/width) < bin:
			u.delete(i)
			shed.Keys++
		case int((s.last-oldest)/width) == bin:
			last = append(last, i)
		}
	})
	slices.SortFunc(last, func(a, b uint32) int {
		x, y := u.index.slot(a), u.index.slot(b)
		if x.last != y.last {
			return int(int64(x.last) - int64(y.last))
		}
		return compareKeys(x.key, y.key)
	})
	for _, i := range last {
		if rest <= 0 {
			break
		}
		rest -= u.cost(u.index.slot(i))
		u.delete(i)
		shed.Keys++
	}
	shed.Bytes = before - u.bytes
	u.counters.Evicted += uint64(shed.Keys)
	return shed
}

// reach returns the first index at which the sum of counts reaches want, and
// what of want is left for it.
func reach(counts []int64, want int64) (at int, rest int64) {
	for i, n := range counts {
		if n >= want {
			return i, want
		}
		want -= n
	}
	return len(counts) - 1, want
}

func (u *Unit) cost(s *slot) int64 { return int64(keyBytes + classBytes[classOf(int(s.size))]) }

func (u *Unit) eachKey(fn func(i uint32, s *slot)) {
	for i := range u.index.slots {
		if s := u.index.slot(i); s.used {
			fn(i, s)
		}
	}
}
