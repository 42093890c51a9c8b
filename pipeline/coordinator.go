package pipeline

import (
	"math"
	"slices"
	"strings"
	"time"

	"weir/event"
	"weir/internal/failpoint"
	"weir/rules"
)

// backlog reports whether the units are behind with more than they may be, or
// have no room.
func (r *run) backlog() bool {
	return r.keeping.held.Load() || r.count.pending.Load() > r.cfg.pending() && r.count.behind.Load()
}

// coordinate runs the units' ticks as the clock allows, all units up to the
// same boundary, and exchanges there what they know. In between it has the
// state written.
func (r *run) coordinate() error {
	for busy := false; ; {
		r.clock.caughtUp(&r.count.behind)
		r.takeFigures()
		tick, final, ok := r.clock.await(r.current, busy)
		if !ok {
			r.interrupted = true
			return nil
		}
		if final || tick > r.current {
			r.count.behind.Store(true)
			r.drain()
		}
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
			if r.stops() {
				return nil
			}
			if _, err := r.keep(); err != nil {
				return err
			}
		}
		if final {
			if r.cfg.Inspect != nil {
				r.cfg.Inspect(r.state, r.current)
			}
			return nil
		}
		var err error
		if busy, err = r.keep(); err != nil {
			return err
		}
		if r.stops() {
			return nil
		}
	}
}

// stops reports whether the run has come to where it shall stop.
func (r *run) stops() bool {
	if r.cfg.Until != 0 && r.current >= r.cfg.Until {
		return true
	}
	return r.cfg.Break != nil && r.current > 0 && r.current%rules.Boundary == 0 && r.cfg.Break()
}

// endOfInput returns the tick to which the clock runs on when nothing is left:
// the whole ten seconds behind everything.
func (r *run) endOfInput() int64 {
	r.clock.mu.Lock()
	defer r.clock.mu.Unlock()
	return max(r.current, r.clock.silence())
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
	s, some := r.earliest()
	if some && s < target {
		next = min(next, boundary(s+1))
	}
	if r.state.Pending() || r.unreviewed {
		next = min(next, boundary(r.current+1))
	}
	if h := r.nextHour(target); h > r.current {
		next = min(next, h)
	}
	if u := r.cfg.Until; u > r.current {
		next = min(next, u)
	}
	if m, ok := r.nextMinute(target); ok {
		next = min(next, m)
	}
	// Before the first tick there is no boundary near: it is where the log begins.
	if r.current > 0 && r.cfg.Break != nil && r.cfg.Break() {
		next = min(next, boundary(r.current+1))
	}
	next = r.blind(next)
	r.unreviewed = r.cfg.Review != nil && (r.unreviewed || some && s < next)
	r.each(func(rd *reducer) { rd.runTo(next) })
	if next%rules.Boundary == 0 {
		r.state.Boundary(next)
	}
	r.current = next
	r.ran.Store(next)
	if next%3600 == 0 && r.clock.needsStanding {
		facts := r.state.Publish(next, r.eachUnit)
		if left := facts.LeftOut(); len(left) > 0 {
			r.cfg.Log.Warn("there are too many values to tell who is known, was denied or seen: for an hour nothing is said of them, and rules that ask for it do not fire; raise state: memory:",
				"facts", strings.Join(left, ", "), "hour", time.Unix(next, 0).UTC().Format(time.RFC3339))
		}
		r.clock.publish(next, facts)
	}
	if err := r.sound(); err != nil {
		return err // what was decided without some of its keys must not leave
	}
	r.decisions = slices.DeleteFunc(r.state.Drain(r.decisions[:0]), func(d event.Decision) bool {
		return d.Time.Unix() < r.cfg.Since
	})
	if len(r.decisions) > 0 {
		r.count.decided(r.decisions)
		if err := r.emit(); err != nil {
			return err
		}
	}
	if r.unreviewed && next%rules.Boundary == 0 {
		r.unreviewed = false
		err := r.cfg.Review(next, func(a *event.Asked) (event.Figures, bool) { return r.state.Figures(a, next) })
		if err != nil {
			return err
		}
	}
	r.list(next)
	return nil
}

// nextMinute returns the next whole minute up to target of which some event may
// need the list of what is refused.
func (r *run) nextMinute(target int64) (minute int64, ok bool) {
	if r.cfg.Enforce == nil {
		return 0, false
	}
	return r.cfg.Enforce.nextMinute(r.current, target)
}

// list publishes what is refused from a tick on, if it is a whole minute.
func (r *run) list(tick int64) {
	e := r.cfg.Enforce
	if e == nil {
		return
	}
	e.take(r.decisions)
	if tick%60 == 0 {
		e.publish(tick, r.cfg.Plan, r.state, r.clock.standing)
		r.clock.listed(tick)
	}
}

// emit hands out decisions, behind the marks of what they were made without.
func (r *run) emit() error {
	if err := r.record(r.clock.absent(r.current)); err != nil {
		return err
	}
	if r.cfg.Emit == nil {
		return nil
	}
	failpoint.Hit("pipeline.emit.before")
	err := r.cfg.Emit(r.decisions)
	failpoint.Hit("pipeline.emit.after")
	return err
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

// boundary returns the first whole ten seconds at or behind a tick.
func boundary(t int64) int64 { return -floorDiv(-t, rules.Boundary) * rules.Boundary }
