package emit

import (
	"container/heap"
	"slices"
	"time"

	"weir/event"
)

// endQueue orders the entries in force by their end.
type endQueue []*entry

func (q endQueue) Len() int           { return len(q) }
func (q endQueue) Less(i, j int) bool { return q[i].d.Until.Before(q[j].d.Until) }
func (q endQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i]; q[i].index, q[j].index = i, j }

// Push adds an entry; it is for container/heap.
func (q *endQueue) Push(x any) {
	e := x.(*entry)
	e.index = len(*q)
	*q = append(*q, e)
}

// Pop removes the last entry; it is for container/heap.
func (q *endQueue) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return e
}

// insert puts an entry into force.
func (l *Ledger) insert(e *entry) {
	l.entries[e.key] = e
	l.order = append(l.order, e)
	heap.Push(&l.ends, e)
	l.breaker.enter(e)
	l.note(e)
	l.dirty = true
}

// until moves an entry's end.
func (l *Ledger) until(e *entry, until time.Time) {
	e.d.Until, e.public = until, nil
	heap.Fix(&l.ends, e.index)
	l.dirty = true
}

// remove takes an entry out of force.
func (l *Ledger) remove(e *entry) {
	e.over = true
	l.dead++
	delete(l.entries, e.key)
	heap.Remove(&l.ends, e.index)
	l.breaker.leave(e)
	l.dirty = true
}

// withdraw ends an entry before its end.
func (l *Ledger) withdraw(e *entry, reason, by string) {
	l.remove(e)
	l.held.add(&e.d, l.limits.held)
	l.write(e.line(LineWithdrawn, reason, by))
}

// line is a line about an entry in force.
func (e *entry) line(word, reason, by string) Line {
	return Line{Event: word, Decision: e.d, Mode: event.Enforce.String(), Action: e.action.String(), Reason: reason, By: by}
}

// advance moves the ledger's clock, ends what is over and lets in what waited.
func (l *Ledger) advance(now time.Time) {
	if l.cfg.Now == nil {
		if !now.After(l.at) {
			return
		}
		l.at = now.UTC()
	} else {
		l.at = wall(now)
		if back := l.clock.back(now); back > 0 {
			l.shift(back)
			l.write(Line{Event: LineClock, Seconds: int64(back / time.Second), Reason: "the wall clock went back; what is in force ends earlier by as much"})
			l.log.Warn("the wall clock went back: what is in force ends earlier by as much", "by", back)
		}
	}
	for len(l.ends) > 0 && !l.ends[0].d.Until.After(l.at) {
		e := l.ends[0]
		l.remove(e)
		line := e.line(LineEnd, "", "")
		if l.cfg.Now == nil {
			line.At = e.d.Until
		}
		l.write(line)
	}
	l.lapse()
	l.spared = slices.DeleteFunc(l.spared, func(u unblock) bool { return !u.until.After(l.at) })
	l.letIn()
}

// wall returns what a clock shows, without the reading of the one that never
// goes back.
func wall(t time.Time) time.Time { return t.Round(0).UTC() }

// drift watches the wall clock.
type drift struct {
	last time.Time // with the reading of the monotonic clock, where there is one
	lost time.Duration
}

// smallDrift is what is not worth a line.
const smallDrift = 5 * time.Second

// back returns by how many whole seconds the wall clock is behind the time that
// has passed, and forgets them. Without a monotonic clock to compare it with
// (an injected one), only going back is noticed.
func (c *drift) back(now time.Time) time.Duration {
	if !c.last.IsZero() {
		passed := max(0, now.Sub(c.last))
		c.lost = max(0, c.lost+passed-wall(now).Sub(wall(c.last)))
	}
	c.last = now
	if c.lost < smallDrift {
		return 0
	}
	back := c.lost.Truncate(time.Second)
	c.lost -= back
	return back
}

// shift has everything that the wall clock ends end earlier, so that what
// remains of it is as long as before the clock went back.
func (l *Ledger) shift(back time.Duration) {
	for _, e := range l.ends {
		e.d.Until, e.since, e.public = e.d.Until.Add(-back), e.since.Add(-back), nil
	}
	for _, w := range l.queue.all {
		w.d.Until = w.d.Until.Add(-back)
	}
	for i := range l.spared {
		l.spared[i].until = l.spared[i].until.Add(-back)
	}
	for i := range l.breaker.pace.times {
		l.breaker.pace.times[i] = l.breaker.pace.times[i].Add(-back)
	}
	l.dirty = l.dirty || len(l.ends) > 0
}

// compact drops entries that are over from the order.
func (l *Ledger) compact() {
	if l.dead == 0 {
		return
	}
	behind := func(i int) (left int) {
		for _, e := range l.order[:i] {
			if !e.over {
				left++
			}
		}
		return left
	}
	l.next, l.last = behind(l.next), behind(l.last)
	l.order = slices.DeleteFunc(l.order, func(e *entry) bool { return e.over })
	l.unseen = slices.DeleteFunc(l.unseen, func(e *entry) bool { return e.over })
	l.dead = 0
}

// settle writes and syncs the lines that were made, takes back what could not
// be written, and publishes what is in force.
func (l *Ledger) settle() {
	if !l.flush() {
		l.withdrawUnwritten()
	}
	l.fresh = l.fresh[:0]
	l.publish()
}

// withdrawUnwritten takes out of force again what came into force with lines
// that are not safe.
func (l *Ledger) withdrawUnwritten() {
	for _, e := range l.fresh {
		if !e.over {
			l.withdraw(e, "the ledger cannot be written", "")
		}
	}
}

// publish shows what is in force.
func (l *Ledger) publish() {
	old := l.force.Load()
	if !l.dirty && old.Well == l.well && old.Stopped == (l.stopped != nil) {
		return
	}
	l.dirty = false
	l.version++
	f := &Force{Version: l.version, Meant: true, Well: l.well, Stopped: l.stopped != nil}
	if !f.Stopped {
		l.compact()
		f.Entries = make([]*InForce, len(l.order))
		for i, e := range l.order {
			f.Entries[i] = e.show()
		}
	}
	l.force.Store(f)
	next := make(chan struct{})
	close(*l.changed.Swap(&next))
}

// show returns the entry as points see it.
func (e *entry) show() *InForce {
	if e.public == nil {
		e.public = &InForce{
			Decision: e.d, Action: e.action, Since: e.since, Until: e.d.Until, Good: e.good, By: e.by, Reason: e.reason,
		}
	}
	return e.public
}
