package pipeline

import (
	"math"
	"slices"

	"weir/event"
	"weir/rules"
)

// maxPending is how many rows may wait for a tick that could run already
// before nothing more is read.
const maxPending = 1 << 20

// backlog reports whether the units are behind with more than they may be.
func (r *run) backlog() bool {
	return r.count.pending.Load() > maxPending && r.count.behind.Load()
}

// coordinate runs the units' ticks as the clock allows, all units up to the
// same boundary, and exchanges there what they know.
func (r *run) coordinate() error {
	for {
		r.clock.caughtUp(&r.count.behind)
		tick, final, ok := r.clock.await(r.current)
		if !ok {
			r.interrupted = true
			return nil
		}
		r.count.behind.Store(true)
		r.drain()
		if final {
			tick = r.endOfInput()
		}
		for r.current < tick {
			if r.ctx.Err() != nil {
				r.interrupted = true
				return nil
			}
			if err := r.step(tick); err != nil {
				return err
			}
		}
		if final {
			if r.cfg.Inspect != nil {
				r.cfg.Inspect(r.state, r.current)
			}
			return nil
		}
	}
}

// endOfInput returns the tick to which the clock runs on when nothing is left:
// the whole ten seconds behind everything.
func (r *run) endOfInput() int64 {
	end := r.current
	for _, p := range r.partitions {
		end = max(end, p.clock.end())
	}
	if end < math.MinInt64/4 {
		return r.current // there never was an event
	}
	return ceil(end, rules.Boundary)
}

func (r *run) drain() {
	for _, rd := range r.reducers {
		rd.drain()
	}
	if s, ok := r.earliest(); ok {
		r.state.Begin(s)
	}
}

func (r *run) earliest() (second int64, ok bool) {
	second = math.MaxInt64
	for _, rd := range r.reducers {
		if s, some := rd.next(); some {
			second, ok = min(second, s), true
		}
	}
	return second, ok
}

// step runs the units to the next tick at which something may have to be
// exchanged, at most to target.
func (r *run) step(target int64) error {
	next := target
	if s, ok := r.earliest(); ok && s < target {
		next = min(next, ceil(s+1, rules.Boundary))
	}
	if r.state.Pending() {
		next = min(next, ceil(r.current+1, rules.Boundary))
	}
	if h := r.nextHour(target); h > r.current {
		next = min(next, h)
	}
	for _, rd := range r.reducers {
		rd.orders <- next
	}
	for _, rd := range r.reducers {
		<-rd.done
	}
	if next%rules.Boundary == 0 {
		r.state.Boundary(next)
	}
	r.current = next
	if next%3600 == 0 && r.clock.needsStanding {
		r.clock.publish(next, r.state.Publish(next))
	}
	r.decisions = slices.DeleteFunc(r.state.Drain(r.decisions[:0]), func(d event.Decision) bool {
		return d.Time.Unix() < r.cfg.Since
	})
	if len(r.decisions) > 0 {
		r.count.decided(r.decisions)
		if r.cfg.Emit != nil {
			return r.cfg.Emit(r.decisions)
		}
	}
	return nil
}

// nextHour returns the next whole hour whose standing facts some event may
// need: the clock may jump over weeks, but needs those of its last two hours.
func (r *run) nextHour(target int64) int64 {
	if !r.clock.needsStanding {
		return math.MinInt64
	}
	h := max(hourOf(target)-3600, hourOf(r.current)+3600)
	if h > target {
		return math.MinInt64
	}
	return h
}

func (r *run) stopReducers() {
	for _, rd := range r.reducers {
		close(rd.orders)
	}
}

func ceil(t, step int64) int64 { return -floorDiv(-t, step) * step }
