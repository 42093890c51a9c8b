package pipeline

import (
	"math"
	"slices"
	"time"

	"weir/event"
	"weir/ingest"
)

const (
	// futureLead is how far ahead of the largest time seen a line of a file may
	// be before it needs a second one to be believed.
	futureLead = int64(24 * time.Hour)
	// appendLead is how far ahead of its append time a record may claim to be.
	appendLead = int64(time.Minute)
	// maxAhead is how many events all partitions together may have between
	// their watermarks and their largest times; more raise a watermark.
	maxAhead = 2_000_000

	nanos = int64(time.Second)
)

// partitionClock judges the times of one partition's events in their order:
// the only sequential part of the pipeline. It is a pure function of the
// records and the journal. See docs/adr/0001.
type partitionClock struct {
	disorder int64 // ns
	lateness int64 // s
	marks    []Mark
	paces    []Pace // by which it still goes
	final    Pace   // and behind them

	next    int64 // the offset of the record that comes next, or less
	started bool
	max     int64 // the largest time seen, ns
	w       int64 // the watermark, s
	last    int64 // the last second in which an event counts

	held      event.Event // a copy, once its batch is gone
	carried   bool        // held is such a copy, and stands first in the next batch
	holding   bool
	heldFirst bool

	ahead  int     // events in [w, max]
	counts []int32 // of them, per second, by second modulo the length
	limit  int

	tally Tally
}

// Tally counts what became of the events of a partition.
type Tally struct {
	Events  int64 // counted, with those that the source's `only` passes by
	Late    int64 // of them, in a later second than their own
	Dropped int64 // too late to count
	Future  int64 // of files, too far ahead to be believed
	Clamped int64 // of topics, set back to their append time and a minute
}

// newPartitionClock makes the clock of one of a number of partitions, which
// share out how many events may wait for a watermark.
func newPartitionClock(disorder, lateness time.Duration, marks []Mark, partitions int) *partitionClock {
	return &partitionClock{
		disorder: int64(disorder), lateness: int64(lateness / time.Second), marks: marks,
		w: -1 << 62, max: -1 << 62, last: -1 << 62,
		counts: make([]int32, int64(disorder)/nanos+3), limit: max(1000, maxAhead/partitions),
	}
}

// pass judges the events of a batch: it sets their seconds, takes out those
// that do not count, and appends to after, for each event that stays, the
// watermark once it was judged. appended are their append times, or nil; those
// of the events that stay are left in its place. What was carried over from an
// earlier batch must stand first in events.
func (c *partitionClock) pass(events []event.Event, appended []int64, after []int64) ([]event.Event, []int64, []int64) {
	p := judging{c: c, events: events[:0], after: after, stamped: appended != nil, stamps: appended[:0]}
	for i := range events {
		ev := &events[i]
		if i == 0 && c.carried {
			c.held, c.carried = *ev, false
			continue
		}
		c.journal(ev.Offset)
		stamp := int64(ingest.NoAppend)
		if appended != nil {
			stamp = appended[i]
		}
		if stamp != ingest.NoAppend {
			if lead := stamp + appendLead; ev.Time > lead {
				ev.Time = lead
				c.tally.Clamped++
			}
		}
		p.judge(ev, stamp)
	}
	return p.events, p.after, p.stamps
}

// finish judges what is held at the end of input.
func (c *partitionClock) finish(events []event.Event, appended, after []int64) ([]event.Event, []int64, []int64) {
	p := judging{c: c, events: events, after: after, stamped: appended != nil, stamps: appended}
	c.journal(math.MaxInt64)
	if c.holding {
		c.holding = false
		if c.heldFirst {
			held := c.held
			p.count(&held, ingest.NoAppend)
		} else {
			c.tally.Future++
		}
	}
	return p.events, p.after, p.stamps
}

// end returns the tick at which everything of the partition has been closed.
func (c *partitionClock) end() int64 {
	if !c.started {
		return c.w
	}
	return max(c.w, floorDiv(c.max, nanos)+1, c.last+1)
}

// judging is one pass over a batch.
type judging struct {
	c       *partitionClock
	events  []event.Event
	after   []int64
	stamped bool
	stamps  []int64 // append times, where the source has them
}

// judge counts an event or holds it. One with an append time cannot be far ahead.
func (p *judging) judge(ev *event.Event, stamp int64) {
	c := p.c
	if c.holding {
		c.holding = false
		held := c.held
		if lead := held.Time - ev.Time; lead <= futureLead && lead >= -futureLead {
			next := *ev // the held one is written where ev may stand
			p.count(&held, ingest.NoAppend)
			p.count(&next, stamp)
			return
		} else if c.heldFirst && lead < 0 {
			next := *ev
			p.count(&held, ingest.NoAppend)
			ev = &next
		} else {
			c.tally.Future++
		}
	}
	if stamp == ingest.NoAppend && (!c.started || ev.Time > c.max+futureLead) {
		c.holding, c.heldFirst, c.held = true, !c.started, *ev
		return
	}
	p.count(ev, stamp)
}

// count gives an event its second and moves the clock.
func (p *judging) count(ev *event.Event, stamp int64) {
	c := p.c
	second := floorDiv(ev.Time, nanos)
	ev.Second = second
	if second < c.w {
		if c.w-second > c.lateness {
			c.tally.Dropped++
			return
		}
		ev.Second = c.w
		c.tally.Late++
	}
	c.tally.Events++
	c.started = true
	c.last = max(c.last, ev.Second)
	if ev.Time > c.max {
		c.max = ev.Time
		c.raise(floorDiv(c.max-c.disorder, nanos))
	}
	if ev.Second >= c.w {
		c.counts[floorMod(ev.Second, int64(len(c.counts)))]++
		c.ahead++
		for c.ahead > c.limit && c.w < floorDiv(c.max, nanos) {
			c.raise(c.w + 1)
		}
	}
	// Mostly the event stands where it belongs already, and is not copied.
	n := len(p.events)
	if n < cap(p.events) {
		p.events = p.events[:n+1]
		if at := &p.events[n]; at != ev {
			*at = *ev
		}
	} else {
		p.events = append(p.events, *ev)
	}
	p.after = append(p.after, c.w)
	if p.stamped {
		p.stamps = append(p.stamps, stamp)
	}
}

// raise moves the watermark up to w and forgets the seconds before it.
func (c *partitionClock) raise(w int64) {
	if w <= c.w {
		return
	}
	n := int64(len(c.counts))
	if w-c.w >= n {
		clear(c.counts)
		c.ahead = 0
	} else {
		for s := c.w; s < w; s++ {
			at := floorMod(s, n)
			c.ahead -= int(c.counts[at])
			c.counts[at] = 0
		}
	}
	c.w = w
	c.keepPace()
}

// journal applies the marks up to an offset.
func (c *partitionClock) journal(offset int64) {
	for len(c.marks) > 0 && c.marks[0].Offset <= offset {
		if w := c.marks[0].Watermark; w != 0 && c.marks[0].Event != MarkGap {
			c.raise(w)
		}
		c.marks = c.marks[1:]
	}
}

// add adds marks to those that are still to be applied.
func (c *partitionClock) add(marks []Mark) {
	if len(marks) > 0 {
		c.marks = append(slices.Clone(c.marks), marks...)
		slices.SortStableFunc(c.marks, byOffset)
	}
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func floorMod(a, b int64) int64 {
	r := a % b
	if r < 0 {
		r += b
	}
	return r
}
