package pipeline_test

import (
	"errors"
	"math"
	"time"

	"weir/event"
	"weir/ingest"
)

// oraclePartition is one partition of a source with all it will ever hold.
type oraclePartition struct {
	source      string
	number      int32 // the source's own
	order       int   // among those of all sources
	records     []ingest.MemoryRecord
	decode      func(line []byte, ev *event.Event) error // with what enrich adds
	only        func(ev *event.Event) bool               // nil: all
	disorder    time.Duration
	maxLateness time.Duration
	marks       []oracleMark
	answer      func(ev *event.Event) event.Action // nil, or what a point answers an event that the log does not say was refused
}

// oracleMark is an entry of the journal: from this offset on, W is at least this.
type oracleMark struct{ offset, watermark int64 }

// oracleEvent is an event that counts, and where it came from.
type oracleEvent struct {
	*event.Event
	from *oraclePartition
}

// oracleTally is what became of a partition's records.
type oracleTally struct {
	Rejected, Late, Dropped, Future, Clamped, Filtered, Counted int
}

const (
	oracleDay     = int64(24 * time.Hour)
	oracleMaxOpen = 2_000_000 // events between W and max
)

// oracleClock is the clock of one partition, as ADR 1 has it.
type oracleClock struct {
	p     *oraclePartition
	any   bool           // whether max and w are set
	max   int64          // the largest time seen, ns
	w     int64          // the watermark, seconds
	held  *event.Event   // a record too far ahead to believe yet
	open  map[int64]int  // events by the second they count in, from w on
	many  int            // how many these are
	out   []*oracleEvent // in the order in which they were judged
	tally oracleTally
}

// oracleRun reads a partition to its end and returns its events with the
// second in which each counts, and the second up to which the clock went.
func oracleRun(p *oraclePartition) *oracleClock {
	c := &oracleClock{p: p, w: math.MinInt64, open: map[int64]int{}}
	for _, rec := range p.records {
		ev := &event.Event{}
		ev.Reset()
		if err := p.decode(rec.Line, ev); err != nil {
			if !errors.Is(err, ingest.ErrMalformed) {
				panic(err)
			}
			c.tally.Rejected++
			continue
		}
		ev.Offset = rec.Offset
		c.mark(rec.Offset)
		if rec.Appended != 0 {
			if most := rec.Appended + int64(time.Minute); ev.Time > most {
				ev.Time = most
				c.tally.Clamped++
			}
			c.judge(ev)
			continue
		}
		c.believe(ev)
	}
	c.mark(math.MaxInt64)
	if c.held != nil {
		if c.any {
			c.tally.Future++ // nothing came that bore it out
		} else {
			c.judge(c.held) // a partition's only record
		}
	}
	return c
}

// mark applies what the journal says about this offset.
func (c *oracleClock) mark(offset int64) {
	for _, m := range c.p.marks {
		if m.offset <= offset {
			c.raise(m.watermark)
		}
	}
}

// believe holds a record that is more than a day ahead until the next one.
func (c *oracleClock) believe(ev *event.Event) {
	if held := c.held; held != nil {
		c.held = nil
		switch {
		case c.any && abs(ev.Time-held.Time) <= oracleDay:
			c.judge(held)
			c.judge(ev)
			return
		case !c.any && held.Time-ev.Time <= oracleDay:
			c.judge(held) // the first record, and nothing speaks against it
		default:
			c.tally.Future++
		}
	}
	if !c.any || ev.Time-c.max > oracleDay {
		c.held = ev
		return
	}
	c.judge(ev)
}

// judge says in which second an event counts, then lets it move the clock.
func (c *oracleClock) judge(ev *event.Event) {
	ev.Second = floorSecond(ev.Time)
	late := ev.Second < c.w
	if late && ev.Time < c.w*int64(time.Second)-int64(c.p.maxLateness) {
		c.tally.Dropped++
		return
	}
	if late {
		c.tally.Late++
		ev.Second = c.w
	}
	if c.p.only != nil && !c.p.only(ev) {
		c.tally.Filtered++
	} else {
		c.tally.Counted++
		c.out = append(c.out, &oracleEvent{Event: ev, from: c.p})
	}
	c.open[ev.Second]++
	c.many++
	if !c.any || ev.Time > c.max {
		c.any, c.max = true, ev.Time
	}
	c.raise(floorSecond(c.max - int64(c.p.disorder)))
	for c.many > oracleMaxOpen && c.w < floorSecond(c.max) {
		c.raise(c.w + 1)
	}
}

// raise moves W forward, never back.
func (c *oracleClock) raise(w int64) {
	if w <= c.w {
		return
	}
	c.w = w
	for s, n := range c.open {
		if s < w {
			c.many -= n
			delete(c.open, s)
		}
	}
}

// end returns the tick at which nothing of this partition is left.
func (c *oracleClock) end() int64 {
	end := c.w
	if c.any {
		end = max(end, floorSecond(c.max)+1)
	}
	for _, ev := range c.out {
		end = max(end, ev.Second+1)
	}
	return end
}

func abs(v int64) int64 { return max(v, -v) }

// floorSecond returns the Unix second that holds ns.
func floorSecond(ns int64) int64 {
	s := ns / int64(time.Second)
	if s*int64(time.Second) > ns {
		s--
	}
	return s
}
