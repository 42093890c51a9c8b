package emit

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"weir/event"
)

// Block puts a target into force by hand and returns the entry's id. A target
// that a person blocked already gets the new end.
func (l *Ledger) Block(target event.Target, action event.Action, to string, d time.Duration, by, reason string) (id string, err error) {
	if err := errors.Join(words("by", by), words("reason", reason), length(d, maxBlock), sized(target)); err != nil {
		return "", fmt.Errorf("block: %w", err)
	}
	switch {
	case action != event.Block && action != event.Limit && action != event.Challenge && action != event.Deceive:
		return "", fmt.Errorf("block: action %q, must be block, limit, challenge or deceive", action)
	case (to != "") != (action == event.Limit):
		return "", fmt.Errorf("block: to %q, a limit needs one such as 10/1m, and nothing else has one", to)
	}
	if action == event.Limit {
		if _, err := parseRate(to); err != nil {
			return "", fmt.Errorf("block: to %w", err)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.lever(); err != nil {
		return "", err
	}
	now := l.at.Truncate(time.Second)
	dec := event.Decision{
		Step: event.New, Time: now, Until: now.Add(d), Mode: event.Enforce, Would: action, To: to,
		Target: target, Key: target, Rule: ruleOperator, Version: 1, Severity: event.Critical,
	}
	dec.ID = event.DecisionID(dec.Step, dec.Rule, dec.Version, action, target, "", now)
	switch {
	case l.stopped != nil:
		return "", fmt.Errorf("block: all blocking was stopped by %s; resume it first", l.stopped.By)
	case len(l.entries) >= l.limits.inForce:
		return "", fmt.Errorf("block: %d entries are in force, must be fewer", len(l.entries))
	}
	if guard, why := l.cfg.Guards.Objects(&dec, l.at); guard != "" {
		return "", fmt.Errorf("block: not enforced, guard %s: %s", guard, why)
	}
	e := &entry{key: forceKey(&dec), d: dec, action: action, since: l.at, by: by, reason: reason}
	if old := l.entries[e.key]; old != nil {
		e.since = old.since
		l.remove(old)
	}
	l.seen.add(l.cfg.Key.HashString(dec.ID), l.limits.seen)
	l.enforce(e)
	l.settle()
	return dec.ID, l.unwritten()
}

// Unblock withdraws every entry that is about a target, and holds new ones for
// d: those that name who it names, and those that name nothing else.
func (l *Ledger) Unblock(target event.Target, d time.Duration, by, reason string) (n int, err error) {
	if err := errors.Join(words("by", by), words("reason", reason), length(d, maxUnblock), sized(target)); err != nil {
		return 0, fmt.Errorf("unblock: %w", err)
	}
	if len(target) == 0 {
		return 0, errors.New("unblock: no target; to end everything, stop blocking")
	}
	if _, _, fault := addresses(target); fault != "" {
		return 0, fmt.Errorf("unblock: the target %s", fault)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.lever(); err != nil {
		return 0, err
	}
	if len(l.spared) >= l.limits.unblocks {
		return 0, fmt.Errorf("unblock: %d targets are unblocked at this time, must be fewer than %d", len(l.spared), l.limits.unblocks)
	}
	u := unblock{target: target, until: l.at.Truncate(time.Second).Add(d), by: by}
	l.write(Line{Event: LineUnblocked, Target: target, Until: u.until, Reason: reason, By: by})
	l.spared = append(l.spared, u)
	for _, e := range l.order {
		if !e.over && relate(e.d.Target, target).means() {
			l.withdraw(e, reason, by)
			n++
		}
	}
	l.settle()
	return n, l.unwritten()
}

// Approve says that a tripped rule is right, so that its entries come into
// force again, or that one held decision is: what names a rule or an id.
func (l *Ledger) Approve(what, by string) error {
	if err := words("by", by); err != nil {
		return fmt.Errorf("approve: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.lever(); err != nil {
		return err
	}
	if r := l.breaker.rules[what]; r != nil && r.trip != nil {
		l.write(Line{Event: LineApproved, Rule: what, By: by})
		l.excuse(what)
	} else if d := l.held.by[what]; d != nil {
		if err := l.approve(d, by); err != nil {
			return err
		}
	} else {
		return fmt.Errorf("approve: %s is neither a rule that is tripped nor the id of a decision that is held", strconv.Quote(what))
	}
	l.settle()
	return l.unwritten()
}

// excuse starts a tripped rule's sum anew.
func (l *Ledger) excuse(rule string) {
	for _, e := range l.entries {
		if e.d.Rule == rule {
			l.breaker.leave(e)
			e.excused = true
			l.breaker.enter(e)
		}
	}
	r := l.breaker.rule(rule)
	r.trip, r.sum = nil, 0
	if r.entries == 0 {
		delete(l.breaker.rules, rule)
	}
}

// approve puts a held decision into force.
func (l *Ledger) approve(held *event.Decision, by string) error {
	d := *held
	switch {
	case !d.Until.After(l.at):
		return fmt.Errorf("approve: %s ended at %s", d.ID, d.Until.UTC().Format(time.RFC3339))
	case l.stopped != nil:
		return fmt.Errorf("approve: all blocking was stopped by %s; resume it first", l.stopped.By)
	case ahead(&d, l.at):
		return fmt.Errorf("approve: %s is decided for %s, which is ahead of the clock", d.ID, d.Time.UTC().Format(time.RFC3339))
	case l.entries[forceKey(&d)] != nil:
		return fmt.Errorf("approve: what %s asks for is in force already", d.ID)
	case len(l.entries) >= l.limits.inForce:
		return fmt.Errorf("approve: %d entries are in force, must be fewer", len(l.entries))
	}
	if by := l.unblocked(&d); by != "" {
		return fmt.Errorf("approve: not enforced, guard %s: its target was unblocked by %s", GuardUnblocked, by)
	}
	if guard, why := l.cfg.Guards.Objects(&d, l.at); guard != "" {
		return fmt.Errorf("approve: not enforced, guard %s: %s", guard, why)
	}
	l.held.forget(d.ID)
	l.queue.remove(forceKey(&d))
	l.write(Line{Event: LineApproved, ID: d.ID, Target: d.Target, By: by})
	e := &entry{key: forceKey(&d), d: d, action: d.Would, since: l.at, by: by, reason: "approved"}
	e.stands(&d)
	l.enforce(e)
	return nil
}

// lever readies the ledger for what a person does.
func (l *Ledger) lever() error {
	if l.closed || l.only {
		return errClosed
	}
	if l.cfg.Now != nil {
		l.retry()
		l.advance(l.cfg.Now())
	}
	return nil
}

// unwritten says that what a person did is not safe.
func (l *Ledger) unwritten() error {
	if l.file != nil && l.file.fault != nil {
		return fmt.Errorf("the ledger cannot be written, so nothing new is enforced: %w", l.file.fault)
	}
	return nil
}

func words(what, text string) error {
	if text == "" || len(text) > maxWords {
		return fmt.Errorf("%s: %d bytes, must be between 1 and %d", what, len(text), maxWords)
	}
	return nil
}

// sized refuses targets that no decision could have.
func sized(t event.Target) error {
	n := 0
	for _, v := range t {
		n += len(v.Field) + len(v.Text)
	}
	if len(t) > maxDimensions || n > maxTarget {
		return fmt.Errorf("target: %d values of %d bytes, must be at most %d of %d", len(t), n, maxDimensions, maxTarget)
	}
	return nil
}

func length(d, most time.Duration) error {
	if d < time.Second || d > most {
		return fmt.Errorf("for %v, must be between 1s and %v", d, most)
	}
	return nil
}
