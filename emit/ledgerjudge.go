package emit

import (
	"strconv"
	"time"

	"weir/event"
)

// take writes what comes of one decision.
func (l *Ledger) take(d *event.Decision) {
	if d.Step == event.End {
		return // it comes by the watermark; Advance ends by the clock
	}
	// The engine decides in the order of time, also what it decides again after
	// a restart: by then not all ids are remembered.
	if d.Time.Before(l.newest) || l.seen.add(l.cfg.Key.HashString(d.ID), l.limits.seen) {
		l.count.Passed++
		return
	}
	w := d.Words()
	switch {
	case d.Mode != event.Enforce || d.Would == event.Alert || d.Would == event.NoAction:
		l.write(Line{Event: w.Event, Decision: *d, Mode: w.Mode, Action: w.Action})
	case !d.Until.After(l.at):
		l.count.Late++
		l.write(Line{Event: w.Event, Decision: *d, Mode: modeLate, Action: noAction})
	default:
		l.judge(d)
	}
}

// judge puts a decision before the guards, and writes and does what they say.
func (l *Ledger) judge(d *event.Decision) {
	if ahead(d, l.at) { // asked first: what is in force would be renewed without an end
		l.hold(d, GuardClock, "decided more than "+aheadOfClock.String()+" ahead of the clock")
		return
	}
	if until := bounded(d, l.at); until.Before(d.Until) {
		sooner := *d
		sooner.Until = until
		d = &sooner
	}
	key := forceKey(d)
	if e := l.entries[key]; e != nil && l.well {
		l.renew(e, d)
		return
	}
	if w := l.queue.find(key); w != nil {
		w.renew(d)
		l.write(Line{Event: LineQueued, Decision: *d, Mode: event.Enforce.String(), Action: noAction, Reason: w.reason})
		return
	}
	if guard, reason := l.objects(d); guard != "" {
		l.hold(d, guard, reason)
		return
	}
	e := &entry{key: key, d: *d, action: d.Would, since: l.at}
	e.stands(d)
	l.crowds.recall(e, l.at)
	e.soften(d)
	if l.breaker.paced(e) && (len(l.queue.all) > 0 || l.mustWait() != "") {
		l.wait(e)
		return
	}
	l.enforce(e)
}

// ahead reports whether a decision is from the future.
func ahead(d *event.Decision, at time.Time) bool { return d.Time.After(at.Add(aheadOfClock)) }

// bounded returns the end of what is decided or renewed at a moment: no later
// than its length from then on, whatever its clock said, and no length is longer
// than what people may give.
func bounded(d *event.Decision, at time.Time) time.Time {
	length := min(d.Until.Sub(d.Time), maxBlock)
	if last := at.Add(length + aheadOfClock).Truncate(time.Second); d.Until.After(last) {
		return last
	}
	return d.Until
}

// objects asks the guards up to the breaker.
func (l *Ledger) objects(d *event.Decision) (Guard, string) {
	switch {
	case !l.well:
		return GuardUnwritten, "the ledger cannot be written"
	case ahead(d, l.at): // the clock went back while it waited
		return GuardClock, "decided more than " + aheadOfClock.String() + " ahead of the clock"
	case l.stopped != nil:
		return GuardStopped, "all blocking was stopped by " + l.stopped.By
	case len(l.entries) >= l.limits.inForce:
		return GuardFull, "as many entries in force as the ledger keeps: " + strconv.Itoa(l.limits.inForce)
	}
	if by := l.unblocked(d); by != "" {
		return GuardUnblocked, "unblocked by " + by
	}
	guard, reason, allow := l.cfg.Guards.objects(d, l.at)
	if guard != "" {
		if allow != nil {
			l.count.Allowed[allow.String()]++
		}
		return guard, reason
	}
	return l.breaker.objects(d)
}

// hold writes that a decision is not enforced.
func (l *Ledger) hold(d *event.Decision, guard Guard, reason string) {
	l.held.add(d, l.limits.held)
	l.write(Line{Event: LineHeld, Decision: *d, Mode: d.Mode.String(), Action: noAction, Guard: guard, Reason: reason})
}

// noAction is what is done about a decision that is not enforced.
const noAction = "none"

// enforce puts an entry into force, unless that trips its rule or hits a crowd.
func (l *Ledger) enforce(e *entry) {
	if e.by == "" {
		if reason := l.relieve(e.d.Rule, e); reason != "" {
			l.hold(&e.d, GuardCrowd, reason)
			return
		}
		if sum, trips := l.breaker.wouldTrip(e); trips {
			l.trip(e.d.Rule, sum)
			_, reason := l.breaker.objects(&e.d)
			l.hold(&e.d, GuardBreaker, reason)
			return
		}
		if l.breaker.paced(e) {
			l.breaker.pace.take(l.at)
			e.turned = true
		}
	}
	word := LineNew
	if e.d.Step == event.Renew {
		word = LineRenew // of what was not in force
	}
	l.write(Line{Event: word, Decision: e.d, Mode: event.Enforce.String(), Action: e.action.String(), Reason: e.reason, By: e.by})
	e.first()
	l.fresh = append(l.fresh, e)
	l.insert(e)
}

// renew moves the end of an entry in force.
func (l *Ledger) renew(e *entry, d *event.Decision) {
	if d.Step == event.New {
		// The engine's clock ended it before ours did, and it began anew.
		until := e.d.Until
		e.d = *d
		e.d.Until = later(d.Until, until)
	}
	l.breaker.leave(e)
	good, hits := e.good, e.hits
	if e.stands(d); e.good == 0 { // as at every sign-up: who is behind it a review tells
		e.good, e.hits = good, hits
	}
	e.soften(d)
	l.breaker.enter(e)
	l.note(e)
	l.until(e, later(d.Until, e.d.Until))
	l.write(Line{Event: d.Step.String(), Decision: *d, Mode: event.Enforce.String(), Action: e.action.String(), Reason: e.reason, By: e.by})
	l.restrain(d.Rule)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
