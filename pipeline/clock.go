package pipeline

import (
	"context"
	"math"
	"sync"
	"sync/atomic"

	"weir/rules"
)

// clock knows how far the mapper is and what was published to it: the one
// place where mappers and the coordinator meet.
type clock struct {
	mu         sync.Mutex
	changed    *sync.Cond
	partitions []*partition
	stopped    bool
	limit      int        // chunks that may be under way at once
	underWay   int        // chunks that are
	low        int64      // the smallest watermark over the partitions that hold the clock
	lowest     *partition // the first that has it; nil when none holds it
	open       bool       // there is input still to come
	granted    int64      // the highest tick that was handed out
	gaps       []Mark     // that no tick has passed yet
	attention  bool       // there is something to do besides ticks

	needsStanding bool
	published     map[int64]*rules.Standing // by the hour as of which they hold
	lists         int64                     // the latest minute whose list of what is refused was published
}

func newClock(needsStanding bool, limit int) *clock {
	c := &clock{needsStanding: needsStanding, limit: limit, granted: -1 << 62, lists: -1 << 62, published: map[int64]*rules.Standing{}}
	c.changed = sync.NewCond(&c.mu)
	return c
}

// wake makes everybody look again; after a cancellation they give up.
func (c *clock) wake() {
	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	c.changed.Broadcast()
}

// admit gives a partition a chunk once it may be read on: it has few chunks
// under way, is not too far ahead of the slowest, and the units are not behind
// with more than they may be. It returns nil after a cancellation.
func (c *clock) admit(p *partition, backlog func() bool) *chunk {
	c.mu.Lock()
	defer c.mu.Unlock()
	// A partition that waits for records takes its place when it has some: else
	// those that wait would leave none for the others.
	full := func() bool { return p.tail == nil && c.full(p) }
	for !c.stopped && (len(p.queue) >= max(2, inFlight/len(c.partitions)) || full() || p.w > c.low+maxSkew || backlog()) {
		c.changed.Wait()
	}
	if c.stopped {
		return nil
	}
	ch := p.run.pool.chunk()
	ch.part = p
	p.queue = append(p.queue, ch)
	if p.tail == nil {
		c.underWay++
	}
	return ch
}

// full reports whether as many chunks are under way as may be, unless
// everybody waits for the next one of this partition.
func (c *clock) full(p *partition) bool {
	if c.underWay < c.limit {
		return false
	}
	busy := len(p.queue) > 0 && (p.tail == nil || len(p.queue) > 1) // the last one of a tail's is being read
	return p != c.lowest || busy
}

// look finds the slowest partition anew.
func (c *clock) look() {
	c.low, c.lowest, c.open = math.MaxInt64-maxSkew, nil, false
	for _, p := range c.partitions {
		c.open = c.open || !p.closed
		if p.holding() && (c.lowest == nil || p.w < c.low) {
			c.low, c.lowest = p.w, p
		}
	}
	if c.lowest == nil && c.open {
		c.low = c.silence()
	}
}

// reach says that what is still to come of a chunk counts at w or later.
func (c *clock) reach(ch *chunk, w int64) {
	c.mu.Lock()
	ch.reached = max(ch.reached, w)
	ch.part.advance()
	c.look()
	c.mu.Unlock()
	c.changed.Broadcast()
}

// finish says that all of a chunk has been delivered.
func (c *clock) finish(ch *chunk) {
	c.mu.Lock()
	ch.reached = max(ch.reached, ch.w)
	ch.done = true
	ch.part.advance()
	c.look()
	c.mu.Unlock()
	c.changed.Broadcast()
}

// advance moves the partition's watermark over the chunks that are done, in order.
func (p *partition) advance() {
	for len(p.queue) > 0 {
		ch := p.queue[0]
		p.w = max(p.w, ch.reached)
		if !ch.done {
			return
		}
		p.closed = ch.last
		p.end, p.tally = ch.end, ch.tally
		if ch.holds {
			p.holds--
		}
		p.queue = append(p.queue[:0], p.queue[1:]...)
		p.run.clock.underWay--
		p.run.pool.chunks.Put(ch)
	}
}

// await grants a tick beyond `after` up to which no event is still to come, or
// says that input has ended. Where there is something else to do it returns
// without either, at once if busy. ok is false after a cancellation.
func (c *clock) await(after int64, busy bool) (tick int64, final, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case c.stopped:
			return 0, false, false
		case !c.open:
			return 0, true, true
		case c.low > after:
			c.granted = max(c.granted, c.low)
			return c.low, false, true
		case busy || c.attention:
			c.attention = false
			return after, false, true
		}
		c.changed.Wait()
	}
}

// caughtUp says that no tick waits. Under the mutex: a reader looks and goes to
// sleep in one step.
func (c *clock) caughtUp(behind *atomic.Bool) {
	c.mu.Lock()
	behind.Store(false)
	c.mu.Unlock()
	c.changed.Broadcast()
}

// publish makes standing facts known; old ones are forgotten.
func (c *clock) publish(hour int64, st *rules.Standing) {
	c.mu.Lock()
	c.published[hour] = st
	for h := range c.published {
		if h < hour-3*3600 {
			delete(c.published, h)
		}
	}
	c.mu.Unlock()
	c.changed.Broadcast()
}

// standing returns the facts as of an hour, if they were published or nobody
// needs them.
func (c *clock) standing(hour int64) (*rules.Standing, bool) {
	if !c.needsStanding {
		return nil, true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	st, ok := c.published[hour]
	return st, ok
}

// awaitStanding waits until the facts as of an hour are published.
func (c *clock) awaitStanding(ctx context.Context, hour int64) (*rules.Standing, bool) {
	if !c.needsStanding {
		return nil, true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if st, ok := c.published[hour]; ok {
			return st, true
		}
		if c.stopped || ctx.Err() != nil {
			return nil, false
		}
		c.changed.Wait()
	}
}

// listed says that the list of a minute was published.
func (c *clock) listed(minute int64) {
	c.mu.Lock()
	c.lists = minute
	c.mu.Unlock()
	c.changed.Broadcast()
}

// hasList reports whether the list of a minute was published.
func (c *clock) hasList(minute int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lists >= minute
}

// awaitList waits until the list of a minute is published; it returns false
// after a cancellation.
func (c *clock) awaitList(ctx context.Context, minute int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.lists < minute {
		if c.stopped || ctx.Err() != nil {
			return false
		}
		c.changed.Wait()
	}
	return true
}
