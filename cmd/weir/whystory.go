package main

import (
	"slices"
	"time"

	"weir/emit"
	"weir/event"
)

// story is one decision and what came of it: its lines of the ledger, brought
// together.
type story struct {
	line      *emit.Line // the first that has the decision's evidence
	id        string
	made      time.Time // by the log
	since     time.Time // in force since, by the ledger's clock; zero: never
	until     time.Time // the latest end, of renewals too
	renewals  int
	renewed   time.Time
	action    string
	lacks     []string
	held      *emit.Line // why it is not, or not yet, in force
	queued    bool
	milder    *emit.Line
	approved  *emit.Line
	ended     *emit.Line
	withdrawn *emit.Line
}

// stories puts the lines of a ledger together, in the order of the decisions.
func stories(lines []emit.Line) []*story {
	var all []*story
	byID := map[string]*story{}
	for i := range lines {
		l := &lines[i]
		id := l.Decision.ID
		switch l.Event {
		case emit.LineRenew:
			if s := byID[l.Decision.Renews]; s != nil {
				s.renew(l)
				byID[id] = s
				continue
			}
			id = l.Decision.Renews // what it renews is no longer kept
		case emit.LineNew, emit.LineHeld, emit.LineQueued, emit.LineStanding:
		case emit.LineEnd, emit.LineWithdrawn, emit.LineMilder:
			if s := byID[id]; s != nil {
				s.note(l)
			}
			continue
		case emit.LineApproved:
			if s := byID[l.ID]; s != nil {
				s.approved = l
			}
			continue
		default:
			continue
		}
		s := byID[id]
		if s == nil {
			s = &story{line: l, id: id, made: l.Decision.Time}
			all = append(all, s)
		}
		byID[id], byID[l.Decision.ID] = s, s
		s.note(l)
		if l.Event == emit.LineRenew {
			s.renew(l)
		}
	}
	return all
}

func (s *story) renew(l *emit.Line) {
	s.renewals++
	s.renewed = l.Decision.Time
	if l.Decision.Until.After(s.until) {
		s.until = l.Decision.Until
	}
	s.lacks = l.Lacks
}

// note takes in what a line says happened.
func (s *story) note(l *emit.Line) {
	if l.Decision.Until.After(s.until) {
		s.until = l.Decision.Until
	}
	if l.Action != "" {
		s.action = l.Action
	}
	s.lacks = l.Lacks
	switch l.Event {
	case emit.LineHeld:
		s.held, s.queued = l, false
	case emit.LineQueued:
		s.held, s.queued = l, true
	case emit.LineNew, emit.LineRenew:
		s.begin(l.At)
	case emit.LineStanding:
		s.begin(l.Since)
		s.renewals = max(s.renewals, min(1, len(l.Decision.Renews)))
	case emit.LineMilder:
		s.milder = l
	case emit.LineEnd:
		s.ended = l
	case emit.LineWithdrawn:
		s.withdrawn = l
	}
}

// begin notes that the decision came into force, maybe after it was held.
func (s *story) begin(at time.Time) {
	s.held, s.queued, s.withdrawn = nil, false, nil
	if s.since.IsZero() {
		s.since = at
	}
}

// fate is what has become of a decision.
type fate int

const (
	inForce fate = iota
	waiting
	reported  // an alert: people are told, nothing is done
	watched   // shadow
	heldBack  // by a guard
	tooLate   // over when it was made
	takenBack // by a person, the breaker or the ledger
	over
)

// fate says how a decision stands at a moment.
func (s *story) fate(now time.Time) fate {
	switch {
	case s.withdrawn != nil:
		return takenBack
	case s.queued && s.until.After(now):
		return waiting
	case s.held != nil:
		return heldBack
	case s.line.Mode == event.Shadow.String():
		return watched
	case s.line.Mode == event.AlertOnly.String() || s.line.Decision.Would == event.Alert:
		return reported
	case s.line.Mode == modeLate:
		return tooLate
	case s.ended != nil || !s.until.After(now):
		return over
	}
	return inForce
}

// modeLate is the mode of a decision that was over when it was made.
const modeLate = "late"

// sortStories puts first what is in force, then what would be, then what was, each
// the newest first.
func sortStories(all []*story, now time.Time) {
	rank := func(s *story) int { return int(s.fate(now)) }
	slices.SortStableFunc(all, func(a, b *story) int {
		if r := rank(a) - rank(b); r != 0 {
			return r
		}
		return b.made.Compare(a.made)
	})
}
