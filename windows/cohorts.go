package windows

import (
	"math/bits"
	"slices"
)

// The classes of keys, by how much would be lost with one: touched in 1, 2,
// 3-4, 5-8, 9-16, 17-64 and more ticks; and those that are near a decision.
const (
	nearClass   = 7
	riskClasses = 8
)

// classOfTicks has the class by the number of bits of ticks - 1.
var classOfTicks = [17]uint8{0, 1, 2, 3, 4, 5, 5, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6}

// riskOf returns the class of a key that was touched in so many ticks.
func riskOf(ticks uint16, isNear bool) uint8 {
	if isNear {
		return nearClass
	}
	return classOfTicks[bits.Len16(max(ticks, 1)-1)]
}

func (s *slot) risk() uint8 { return riskOf(s.ticks, s.flags&near != 0) }

const (
	secondsOfHour = 3600
	minutesOfHour = 60
)

// bin is how many keys of a row were last touched in one minute or one hour,
// and what is accounted for them.
type bin struct {
	start uint32 // in minutes since the epoch
	keys  uint32
	cost  int64
}

// row is the bins of one table and class that have keys, ascending; some may
// be empty.
type row []bin

// cohorts says when the keys of a unit were last touched, by table and class,
// wherever they are: by minute in the hour of the unit and the one before, by
// hour before that. So what is over can be computed instead of looked for.
type cohorts struct {
	hour uint32 // of the unit
	rows []row  // [table * riskClasses + class]
	held int64  // bytes of all rows
}

func newCohorts(tables int) cohorts { return cohorts{rows: make([]row, tables*riskClasses)} }

// start returns the bin of a tick.
func (c *cohorts) start(tick uint32) uint32 {
	if hour := tick / secondsOfHour; hour+1 < c.hour {
		return hour * minutesOfHour
	}
	return tick / 60
}

// end returns the tick at which a bin ends.
func (c *cohorts) end(start uint32) int64 {
	if start/minutesOfHour+1 < c.hour {
		return (int64(start) + minutesOfHour) * 60
	}
	return (int64(start) + 1) * 60
}

// add counts a key of a class as last touched in the bin.
func (c *cohorts) add(table uint16, class uint8, start uint32, cost int64) {
	r := &c.rows[int(table)*riskClasses+int(class)]
	if n := len(*r); n > 0 && (*r)[n-1].start == start {
		b := &(*r)[n-1]
		b.keys++
		b.cost += cost
		return
	}
	i, ok := r.find(start)
	if !ok {
		before := cap(*r)
		*r = slices.Insert(*r, i, bin{start: start})
		c.held += int64(cap(*r)-before) * binBytes
	}
	(*r)[i].keys++
	(*r)[i].cost += cost
}

const binBytes = 16

// sub takes a key out of its bin; false if it cannot have been there.
func (c *cohorts) sub(table uint16, class uint8, start uint32, cost int64) bool {
	r := c.rows[int(table)*riskClasses+int(class)]
	i := len(r) - 1
	if i < 0 || r[i].start != start {
		var ok bool
		if i, ok = r.find(start); !ok {
			return false
		}
	}
	if r[i].keys == 0 || r[i].cost < cost {
		return false
	}
	r[i].keys--
	r[i].cost -= cost
	return true
}

// find returns where the bin is, or would be.
func (r row) find(start uint32) (i int, ok bool) {
	i, end := 0, len(r)
	// Where every minute has a bin it is as many places as minutes before the
	// last one, and elsewhere behind that.
	if back := int64(end-1) - (int64(r.last()) - int64(start)); back >= 0 && back < int64(end) {
		if i = int(back); r[i].start == start {
			return i, true
		}
	}
	for i < end {
		if m := int(uint(i+end) >> 1); r[m].start < start {
			i = m + 1
		} else {
			end = m
		}
	}
	return i, i < len(r) && r[i].start == start
}

// last returns the last bin of a row; 0 of an empty one.
func (r row) last() uint32 {
	if len(r) == 0 {
		return 0
	}
	return r[len(r)-1].start
}

// advance makes hours of the minutes of hours that are long enough ago.
func (c *cohorts) advance(hour uint32) {
	if hour <= c.hour {
		return
	}
	c.hour = hour
	for i, r := range c.rows {
		kept := r[:0]
		for _, b := range r {
			if b.keys == 0 {
				continue
			}
			b.start = c.start(b.start * 60)
			if n := len(kept); n > 0 && kept[n-1].start == b.start {
				kept[n-1].keys += b.keys
				kept[n-1].cost += b.cost
			} else {
				kept = append(kept, b)
			}
		}
		if cap(kept) > 32 && len(kept) < cap(kept)/4 {
			c.held -= int64(cap(kept)) * binBytes
			kept = slices.Clone(kept)
			c.held += int64(cap(kept)) * binBytes
		}
		c.rows[i] = kept
	}
}

// drop forgets what a table's class has in bins that began before a tick, and
// returns what that was.
func (c *cohorts) drop(table int, class uint8, before uint32) (keys, cost int64) {
	r := c.rows[table*riskClasses+int(class)]
	n := 0
	for ; n < len(r) && int64(r[n].start)*60 < int64(before); n++ {
		keys += int64(r[n].keys)
		cost += r[n].cost
	}
	c.rows[table*riskClasses+int(class)] = slices.Delete(r, 0, n)
	return keys, cost
}

// sum returns what a table has.
func (c *cohorts) sum(table int) (keys, cost int64) {
	for _, r := range c.rows[table*riskClasses : (table+1)*riskClasses] {
		for _, b := range r {
			keys += int64(b.keys)
			cost += b.cost
		}
	}
	return keys, cost
}

// reach returns the bin of a class, over all tables, with which want bytes are
// reached, the longest idle first; false if the whole class has less.
func (c *cohorts) reach(class uint8, want int64) (start uint32, enough bool) {
	var all row
	for i := int(class); i < len(c.rows); i += riskClasses {
		all = append(all, c.rows[i]...)
	}
	slices.SortFunc(all, func(a, b bin) int { return int(int64(a.start) - int64(b.start)) })
	for _, b := range all {
		if want -= b.cost; want <= 0 {
			return b.start, true
		}
	}
	return 0, false
}

// oldest returns the first minute of which any key was last touched.
func (c *cohorts) oldest() (start uint32, ok bool) {
	start = ^uint32(0)
	for _, r := range c.rows {
		for _, b := range r {
			if b.keys > 0 {
				start, ok = min(start, b.start), true
				break
			}
		}
	}
	return start, ok
}

// equal reports whether both count the same keys.
func (c *cohorts) equal(o *cohorts) bool {
	for i := range c.rows {
		if !slices.Equal(c.rows[i].whole(), o.rows[i].whole()) {
			return false
		}
	}
	return true
}

// whole returns the bins that are not empty.
func (r row) whole() row {
	return slices.DeleteFunc(slices.Clone(r), func(b bin) bool { return b.keys == 0 })
}
