package emit

import (
	"bytes"
	"slices"
	"time"

	"weir/event"
)

// apply does what a line says once more.
func (l *Ledger) apply(raw []byte, line *Line) {
	if line.Event != LineOpened {
		l.recent.add(bytes.Clone(raw))
	}
	if !line.At.IsZero() {
		l.at = line.At
	}
	d := &line.Decision
	if is, evidence := aboutDecision(line.Event); is && evidence {
		l.seen.add(l.cfg.Key.HashString(d.ID), l.limits.seen)
		if d.Rule != ruleOperator && d.Time.After(l.newest) && !ahead(d, l.at) { // one from the future says nothing about the others
			l.newest = d.Time
		}
	}
	switch line.Event {
	case LineNew, LineRenew, LineStanding:
		l.applyForce(line)
	case LineHeld:
		l.queue.remove(forceKey(d))
		l.held.add(d, l.limits.held)
	case LineQueued:
		key := forceKey(d)
		if w := l.queue.find(key); w != nil {
			w.renew(d)
		} else if l.entries[key] == nil {
			l.queue.add(&waiter{key: key, d: *d, reason: line.Reason})
		}
	case LineEnd, LineWithdrawn:
		if e := l.entries[forceKey(d)]; e != nil {
			l.remove(e)
			if line.Event == LineWithdrawn {
				l.held.add(d, l.limits.held)
			}
		}
	case LineMilder:
		if e := l.entries[forceKey(d)]; e != nil {
			l.breaker.leave(e)
			e.action, e.reason, e.public = actionOf(line), line.Reason, nil
			e.stands(d)
			l.breaker.enter(e)
		}
	case LineTripped:
		l.breaker.rule(line.Rule).trip = line.first()
	case LineApproved:
		if line.Rule != "" {
			l.excuse(line.Rule)
		} else {
			l.held.forget(line.ID)
		}
	case LineUnblocked:
		if u := (unblock{target: line.Target, until: line.Until, by: line.By}); !line.Again || !slices.ContainsFunc(l.spared, u.equal) {
			l.spared = append(l.spared, u)
		}
	case LineStopped:
		l.stopped, l.byFile = line.first(), line.Filed
	case LineResumed:
		l.stopped, l.byFile = nil, false
	case LineClock:
		l.shift(time.Duration(line.Seconds) * time.Second)
	}
}

func actionOf(line *Line) event.Action {
	if a, ok := event.ActionByName(line.Action); ok {
		return a
	}
	return event.NoAction // none: nothing is enforced
}

// applyForce puts what a line says is in force into force.
func (l *Ledger) applyForce(line *Line) {
	d := &line.Decision
	if line.Mode != event.Enforce.String() || actionOf(line) == event.NoAction || actionOf(line) == event.Alert {
		return
	}
	if line.Event != LineStanding { // whose figures the clock may have moved
		d.Until = bounded(d, line.At)
	}
	key := forceKey(d)
	l.queue.remove(key)
	if e := l.entries[key]; e != nil {
		if line.Event == LineStanding {
			return // the lines before say the same
		}
		l.breaker.leave(e)
		if line.Event == LineNew {
			until := e.d.Until
			if d.Rule == ruleOperator {
				until = d.Until // the newest word counts
			}
			e.d = *d
			e.d.Until = later(until, d.Until)
			e.by = line.By
		}
		e.action, e.reason = actionOf(line), line.Reason
		e.stands(d)
		l.breaker.enter(e)
		l.until(e, later(e.d.Until, d.Until))
		return
	}
	e := &entry{key: key, d: *d, action: actionOf(line), since: line.At, by: line.By, reason: line.Reason}
	e.stands(d)
	if !line.Since.IsZero() {
		e.since = line.Since
	}
	e.excused, e.turned = line.Excused, true
	e.first()
	if l.breaker.paced(e) {
		l.breaker.pace.take(e.since)
	}
	l.insert(e)
}

// head returns the first lines of a file: what was before it, and how things
// stand.
func (l *Ledger) head(before []byte, number int) [][]byte {
	lines := []Line{{Event: LineOpened, File: number, Before: string(before)}}
	for _, e := range l.order {
		if !e.over {
			line := e.line(LineStanding, e.reason, e.by)
			line.Since, line.Excused, line.Again = e.since, e.excused, true
			lines = append(lines, line)
		}
	}
	for _, w := range l.queue.all {
		lines = append(lines, Line{Event: LineQueued, Decision: w.d, Mode: event.Enforce.String(), Action: noAction, Reason: w.reason, Again: true})
	}
	for _, rule := range sortedKeys(l.breaker.rules) {
		if t := l.breaker.rules[rule].trip; t != nil {
			lines = append(lines, t.again())
		}
	}
	for _, u := range l.spared {
		lines = append(lines, Line{Event: LineUnblocked, Target: u.target, Until: u.until, By: u.by, Again: true})
	}
	if l.stopped != nil {
		lines = append(lines, l.stopped.again())
	}
	out := make([][]byte, len(lines))
	for i := range lines {
		lines[i].At = l.at
		out[i] = lines[i].open()
	}
	return out
}

// first returns the line as it was said at first.
func (l *Line) first() *Line {
	line := *l
	if line.Again {
		line.Again, line.At, line.Since = false, l.Since, time.Time{}
	}
	return &line
}

// again returns a line that says once more what this one says.
func (l *Line) again() Line {
	line := *l
	line.Again, line.Since = true, l.At
	return line
}
