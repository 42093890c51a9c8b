package emit

import "weir/event"

// review looks at the next entries and trips the rules that hurt: first at those
// that came or were renewed since the last time, of which a decision may not have
// told who is behind them (of a sign-up it cannot), then at all in turn. However
// many come, half of those it looks at are looked at in turn; and a turn is of
// what was there when it began, else it could follow for ever those that come.
func (l *Ledger) review(figures func(*event.Asked) (f event.Figures, ok bool)) {
	l.compact()
	first := min(maxReview/2, len(l.unseen))
	for i, e := range l.unseen[:first] {
		l.unseen[i], e.unseen = nil, false
		l.look(e, figures)
		l.takeTurn(e)
	}
	l.unseen = l.unseen[first:]
	for range min(maxReview-first, len(l.order)) {
		if l.next >= l.last {
			l.next, l.last = 0, len(l.order)
		}
		e := l.order[l.next]
		l.next++
		if e.by == "" && !e.over { // one that waits for its turn now is over
			l.look(e, figures)
		}
	}
	for _, rule := range sortedKeys(l.breaker.rules) {
		l.restrain(rule)
	}
}

// note has the next review look at an entry before others.
func (l *Ledger) note(e *entry) {
	if e.unseen || e.by != "" {
		return
	}
	e.unseen = true
	l.unseen = append(l.unseen, e)
}

// look asks how an entry's target stands now.
func (l *Ledger) look(e *entry, figures func(*event.Asked) (f event.Figures, ok bool)) {
	e.asked.Decision = &e.d
	f, ok := figures(&e.asked)
	if !ok || number(f.Good) == e.good && number(f.Regulars) == e.hits && !shared(f.Good, f.Tried) {
		return // nothing is known of it, or all is as it was
	}
	d := e.d
	d.Good, d.Tried, d.Regulars = f.Good, f.Tried, f.Regulars
	l.breaker.leave(e)
	e.stands(&d)
	softened := e.soften(&d)
	l.breaker.enter(e)
	if e.public != nil && e.public.Good != e.good {
		e.public = nil // seen with the next change; not a change by itself
	}
	if softened {
		l.softened(e, d)
	}
}

// softened shows that an entry became milder, with what is known of it by now.
func (l *Ledger) softened(e *entry, d event.Decision) {
	e.public, l.dirty = nil, true
	l.write(Line{Event: LineMilder, Decision: d, Mode: event.Enforce.String(), Action: e.action.String(), Reason: e.reason})
}

// takeTurn has an entry of which only its first review could tell that it hurts
// somebody take its turn among those that do, as others take theirs before they
// come into force.
func (l *Ledger) takeTurn(e *entry) {
	if e.turned {
		return
	}
	e.turned = true
	if !e.touches() {
		return
	}
	reason := l.mustWait()
	if reason == "" && len(l.queue.all) == 0 {
		l.breaker.pace.take(l.at)
		return
	}
	l.withdraw(e, "a review found whom it hurts: it takes its turn", "")
	e.d.Good, e.d.Regulars = e.good, e.hits
	l.wait(e)
}
