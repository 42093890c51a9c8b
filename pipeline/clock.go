package pipeline

import (
	"context"
	"math"
	"sync"

	"weir/rules"
)

// clock knows how far the mapper is and what was published to it: the one
// place where mappers and the coordinator meet.
type clock struct {
	mu         sync.Mutex
	changed    *sync.Cond
	partitions []*partition
	stopped    bool

	needsStanding bool
	published     map[int64]*rules.Standing // by the hour as of which they hold
}

func newClock(needsStanding bool) *clock {
	c := &clock{needsStanding: needsStanding, published: map[int64]*rules.Standing{}}
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

// admit queues a chunk once its partition may be read on: it has few chunks
// under way, is not too far ahead of the slowest, and the units are not behind
// with more than they may be. It returns false after a cancellation.
func (c *clock) admit(p *partition, ch *chunk, limit int, backlog func() bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.stopped && (len(p.queue) >= limit || p.w > c.slowest()+maxSkew || backlog()) {
		c.changed.Wait()
	}
	if c.stopped {
		return false
	}
	p.queue = append(p.queue, ch)
	return true
}

// slowest returns the smallest watermark over the partitions that have input.
func (c *clock) slowest() int64 {
	w := int64(math.MaxInt64)
	for _, p := range c.partitions {
		if !p.closed {
			w = min(w, p.w)
		}
	}
	if w == math.MaxInt64 {
		return w - maxSkew
	}
	return w
}

// reach says that what is still to come of a chunk counts at w or later.
func (c *clock) reach(ch *chunk, w int64) {
	c.mu.Lock()
	ch.reached = max(ch.reached, w)
	ch.part.advance()
	c.mu.Unlock()
	c.changed.Broadcast()
}

// finish says that all of a chunk has been delivered.
func (c *clock) finish(ch *chunk) {
	w := int64(-1 << 62)
	if n := len(ch.after); n > 0 {
		w = ch.after[n-1]
	}
	c.mu.Lock()
	ch.reached = max(ch.reached, w)
	ch.done = true
	ch.part.advance()
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
		p.queue = append(p.queue[:0], p.queue[1:]...)
		p.run.pool.chunks.Put(ch)
	}
}

// await returns a tick beyond `after` up to which no event is still to come,
// or final at the end of input. ok is false after a cancellation.
func (c *clock) await(after int64) (tick int64, final, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if c.stopped {
			return 0, false, false
		}
		open := false
		for _, p := range c.partitions {
			open = open || !p.closed
		}
		if !open {
			return 0, true, true
		}
		if w := c.slowest(); w > after {
			return w, false, true
		}
		c.changed.Wait()
	}
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
