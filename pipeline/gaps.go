package pipeline

import (
	"fmt"
	"time"

	"weir/event"
	"weir/ingest"
)

// maxGaps is how many gaps that are still ahead are kept; more are taken for one.
const maxGaps = 1024

// missed notes the gaps in front of a chunk's records, once there are records
// to say when they end. It returns the second of the first.
func (p *partition) missed(c *chunk) (second int64) {
	p.missing = append(p.missing, c.recs.Gaps...)
	if n := len(p.missing); n > maxGaps {
		p.missing = append(p.missing[:0], p.missing[n-maxGaps:]...)
	}
	if p.events != nil {
		return p.behindLost(c)
	}
	if len(c.recs.Gaps) > 0 {
		p.skip = 0 // a log that was begun anew has lower offsets
	}
	if len(p.missing) == 0 || c.recs.Len() == 0 {
		return 0
	}
	var ev event.Event
	var mem event.Arena
	for i := range c.recs.Len() {
		ev.Reset()
		if p.run.cfg.Sources[p.source].Decode(c.recs.Line(i), &ev, &mem) == nil && ev.Time >= 0 && ev.Time <= LastSecond*nanos {
			return max(1, floorDiv(ev.Time, nanos))
		}
	}
	return 0 // none can be read: the next chunk's first tells
}

// gap makes the mark of what a partition misses before a chunk whose first
// event is of a second. Of events that were recorded the clock is told when they
// are judged. Under the mutex.
func (c *clock) gap(p *partition, ch *chunk, offset, second int64) (made []Mark) {
	if second == 0 {
		return nil
	}
	if p.events != nil && !p.live {
		ch.lost = append(ch.lost, p.missing...)
		p.missing = p.missing[:0]
		return nil
	}
	m := Mark{
		Event: MarkGap, Source: p.run.cfg.Sources[p.source].Name(), Partition: int32(p.local), Offset: offset,
		Watermark: second, Since: max(1, p.w),
	}
	if p.live {
		m.Since = max(m.Since, c.granted)
	}
	p.missing = p.missing[:0]
	if n := len(c.gaps); p.live && n >= maxGaps { // taken together, also in the journal
		m.Since, m.Watermark = min(c.gaps[n-1].Since, m.Since), max(c.gaps[n-1].Watermark, m.Watermark)
		c.gaps[n-1] = m
	} else {
		c.gaps = append(c.gaps, m)
	}
	return []Mark{m}
}

// miss notes a gap.
func (c *clock) miss(m Mark) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gaps = append(c.gaps, m)
}

// blind tells the state what the log misses before ticks beyond current are
// run, and returns the tick up to which nothing else is missing.
func (r *run) blind(target int64) int64 {
	c := r.clock
	c.mu.Lock()
	defer c.mu.Unlock()
	left := c.gaps[:0]
	for _, g := range c.gaps {
		if g.Since > r.current {
			target = min(target, g.Since)
			left = append(left, g)
			continue
		}
		r.state.Blind(g.Watermark)
		r.seeing.Store(max(r.seeing.Load(), g.Watermark))
	}
	c.gaps = left
	return target
}

// tellOfGaps says of what time nothing is known, and how much is missing.
func (r *run) tellOfGaps(p *partition, second int64) {
	c := r.clock
	c.mu.Lock()
	seen := p.w // all before it was read
	c.mu.Unlock()
	_, topic := r.cfg.Sources[p.source].Source.(interface{ ID() string })
	until := time.Unix(second, 0)
	for _, g := range p.missing {
		from, span := "the beginning of the log", ""
		switch {
		case !g.Since.IsZero():
			from = g.Since.UTC().Format(time.RFC3339)
			span = lasting(until.Sub(g.Since))
		case seen > 0:
			from = time.Unix(seen, 0).UTC().Format(time.RFC3339)
			span = lasting(until.Sub(time.Unix(seen, 0)))
		}
		r.cfg.Log.Error("part of the log cannot be read any more: weir has not seen what this source logged in that time, and decisions that look back into it are marked incomplete",
			"source", p.id().source, "partition", p.local, "from", from, "until", until.UTC().Format(time.RFC3339),
			"blind_for", span, "missing", amount(g, topic), "why", string(g.Why))
	}
}

// lasting returns a duration as text; what is below a second, or negative where
// times overlap, is less than one.
func lasting(d time.Duration) string {
	if d < time.Second {
		return "less than a second"
	}
	return d.Truncate(time.Second).String()
}

// amount says how much a gap has, where offsets can tell.
func amount(g ingest.Gap, topic bool) string {
	switch n := g.To - g.From; {
	case n <= 0 || g.Why == ingest.GapGone:
		return "nobody knows how much"
	case topic:
		return fmt.Sprintf("%d records", n)
	default:
		return fmt.Sprintf("%d bytes", n)
	}
}
