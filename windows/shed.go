package windows

const (
	// keyBytes is accounted for a key besides its blob: its slot and up to four
	// entries of the index, its share at the lowest load. What is accounted is a
	// multiple of 16.
	keyBytes    = 32 + 16
	minKeyBytes = keyBytes + 16
	costUnit    = 16

	shedTo  = 80  // percent of the limit that Shed leaves
	calmTo  = 90  // percent of the limit below which a unit is not degraded any more
	calmFor = 600 // after so many seconds in which nothing had to be shed
	// A minute of the log may bring new keys for this part of the limit, or for
	// leastRush bytes: what comes faster than that would fill the disk within
	// hours, and keeps it from anything else meanwhile.
	rushShare = 128
	leastRush = 256 << 10
	mostKeys  = 1 << 23
)

// Expire drops the keys that have been idle for longer than their table's
// Retain: those whose hour of the last touch lies before that. No window sees
// them any more. It does so once an hour of event time, so it may be called at
// every tick, and must be called at least every few hours; to keep what is
// accounted the same everywhere it must be called at ticks that the log
// determines.
func (u *Unit) Expire(tick int64) {
	tick = max(0, min(tick, 1<<32-1))
	hour := uint32(tick / secondsOfHour)
	if hour <= u.swept {
		return
	}
	u.swept = hour
	u.cohorts.advance(hour)
	before := u.keys
	for t := range u.shapes {
		line := max(0, tick-u.shapes[t].retain) / secondsOfHour * secondsOfHour
		if line <= int64(u.lines.idle[t]) {
			continue
		}
		u.lines.idle[t] = uint32(line)
		for class := range uint8(riskClasses) {
			u.drop(t, class, uint32(line))
		}
	}
	if gone := before - u.keys; gone > 0 {
		u.counters.Expired += uint64(gone)
		u.sweep(gone, false)
	}
}

// drop takes what is before a tick out of what is accounted.
func (u *Unit) drop(table int, class uint8, before uint32) {
	keys, cost := u.cohorts.drop(table, class, before)
	u.keys -= keys
	u.bytes -= cost
}

// sweep deletes the keys in memory that are dead by now, when so many died.
func (u *Unit) sweep(died int64, shed bool) {
	for i := range u.index.slots {
		if s := u.index.slot(i); s.used() && u.lines.dead(int(s.table), s.risk(), s.last) {
			u.delete(i, s, shed)
			died--
		}
	}
	u.outside.keys -= died
	if died < 0 || u.outside.keys < 0 {
		u.fail(errCohorts)
		u.outside.keys = max(0, u.outside.keys)
	}
}

// delete drops a key in memory that is dead.
func (u *Unit) delete(i uint32, s *slot, shed bool) {
	u.forget(i, s)
	if shed && s.flags&outlives != 0 {
		u.bury(s)
	}
	u.remove(i, s)
}

// remove takes a key out of memory.
func (u *Unit) remove(i uint32, s *slot) {
	if owner, moved := u.arena.free(classOf(int(s.size)), s.ref); moved {
		u.index.slot(owner).ref = s.ref
	}
	u.index.remove(i)
}

// Shed is what one shedding dropped.
type Shed struct {
	Keys  int
	Bytes int64
}

// Shed drops keys while more than the limit is accounted, until at most 80 % of
// it are left: those of a class that were last touched in the same minute (in
// the last hour or two; before that, the same hour) all together, the class
// touched in the fewest ticks first, in a class the longest idle first, those
// that are near last of all. It is to be called at the end of ticks. A flood of
// new keys thus drives itself out, not what was there before it. What is
// accounted never exceeds 105 % of the limit and what one tick adds to the keys
// that are there: beyond that new keys are refused.
func (u *Unit) Shed(tick int64) (shed Shed) {
	if u.limit == 0 || u.bytes <= u.limit {
		return shed
	}
	tick = max(u.tick, min(tick, 1<<32-2))
	u.cohorts.advance(uint32(tick) / secondsOfHour)
	u.strain(tick)
	target := u.limit / 100 * shedTo
	keys, bytes := u.keys, u.bytes
	for class := uint8(0); class < riskClasses && u.bytes > target; class++ {
		// What is touched from the next tick on in the same bin is another matter.
		// A class that does not suffice goes as a whole, also if it has no keys:
		// what the store has of a key of a higher class may still be of this one.
		line := tick + 1
		if start, enough := u.cohorts.reach(class, u.bytes-target); enough {
			line = min(line, u.cohorts.end(start))
		}
		u.lines.shed[class] = max(u.lines.shed[class], uint32(line))
		for t := range u.shapes {
			u.drop(t, class, uint32(line))
		}
	}
	shed = Shed{Keys: int(keys - u.keys), Bytes: bytes - u.bytes}
	u.counters.Evicted += uint64(shed.Keys)
	u.sweep(int64(shed.Keys), true)
	return shed
}

// strain notes that something had to be shed at a tick.
func (u *Unit) strain(tick int64) {
	u.strained = tick
	if !u.degraded {
		u.degraded, u.door = true, newDoorkeeper(u.limit)
	}
}

// rush takes a new key into account, whether it is admitted or not, and notes a
// flood where too many come within a minute.
func (u *Unit) rush() {
	if u.limit == 0 {
		return
	}
	if minute := int64(u.now) / 60; minute != u.minute {
		u.minute, u.fresh = minute, 0
	}
	if u.fresh += minKeyBytes; u.fresh > u.rushes {
		u.fresh = u.rushes // it counts no further
		u.strain(int64(u.now) + 1)
	}
}

// relax ends being degraded when that has not been so for long enough.
func (u *Unit) relax(tick int64) {
	if u.degraded && tick-u.strained >= calmFor && (u.limit == 0 || u.bytes < u.limit/100*calmTo) {
		u.degraded, u.door = false, doorkeeper{}
	}
}

// Degraded reports whether the unit had to shed lately: new keys are then
// admitted only when they come again.
func (u *Unit) Degraded() bool { return u.degraded }

// Pressed reports whether more than half of the limit is accounted, so that
// Near is worth asking.
func (u *Unit) Pressed() bool { return u.limit > 0 && u.bytes > u.limit/2 }

// Near says that the key in a slot is near a decision, as of its last touch:
// until its next one it is shed only when all others are gone.
func (u *Unit) Near(slot uint32) {
	s := u.index.slot(slot)
	if s.flags&near != 0 {
		return
	}
	if s.flags&u.index.listed == 0 {
		u.change(slot, s)
	}
	start := u.cohorts.start(s.last)
	if !u.cohorts.sub(s.table, s.risk(), start, s.cost()) {
		u.fail(errCohorts)
	}
	u.cohorts.add(s.table, nearClass, start, s.cost())
	s.flags |= near
}
