package emit

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"weir/event"
)

// The breaker's limits: a rule is tripped when its entries hit at least tripLeast
// regulars, and more than tripShare of all that succeeded.
const (
	tripLeast   = 5
	tripShare   = 0.005
	tripWindow  = 10 * time.Minute // entries that came into force within it are withdrawn
	paceWindow  = time.Minute
	blindBelow  = 20  // accounts of the site: with fewer nobody can tell whom an entry hurts
	challengeIs = 0.1 // of a block: who is challenged can pass
)

// breaker holds what each rule's entries in force would hurt.
type breaker struct {
	rules map[string]*ruleState
	site  float64 // accounts that succeeded anywhere in seven days
	known bool    // site is
	pace  pace
}

// ruleState is how a rule stands.
type ruleState struct {
	sum     float64 // regulars that its entries in force hit
	entries int
	trip    *Line // it is tripped since; nil: it is not
}

// weight is how much of an account's trouble an entry is. A challenge alone can
// be passed, and one that spares who is known asks only strangers.
func (e *entry) weight() float64 { return e.weightAs(e.action) }

// weightAs is its weight if it asked for that action.
func (e *entry) weightAs(a event.Action) float64 {
	switch {
	case e.by != "" || e.excused:
		return 0
	case a != event.Challenge:
		return 1
	case e.d.Except != "":
		return 0
	}
	return challengeIs
}

// share is what an entry adds to its rule's sum.
func (e *entry) share() float64 { return e.weight() * e.hits }

// touches reports whether an entry hits a regular who would notice it.
func (e *entry) touches() bool { return e.weight() > 0 && e.hits >= 1 }

// paced reports whether an entry comes into force at the pace of those that may
// hurt somebody: a good account stands behind it, or nobody can tell, since
// hardly anybody is known to have succeeded with anything on the site.
func (b *breaker) paced(e *entry) bool {
	return e.touches() || e.weight() > 0 && b.known && b.site < blindBelow
}

// number makes a figure one that can be summed.
func number(v float64) float64 {
	if math.IsNaN(v) || v < 0 {
		return 0
	}
	return min(v, 1e15)
}

func (b *breaker) rule(id string) *ruleState {
	r := b.rules[id]
	if r == nil {
		r = &ruleState{}
		b.rules[id] = r
	}
	return r
}

// sum is what a rule hits.
func (b *breaker) sum(rule string) float64 {
	if r := b.rules[rule]; r != nil {
		return r.sum
	}
	return 0
}

func (b *breaker) isTripped(rule string) bool {
	r := b.rules[rule]
	return r != nil && r.trip != nil
}

// enter and leave count an entry in and out.
func (b *breaker) enter(e *entry) {
	r := b.rule(e.d.Rule)
	r.sum += e.share()
	r.entries++
}

func (b *breaker) leave(e *entry) {
	r := b.rule(e.d.Rule)
	r.sum -= e.share()
	if r.entries--; r.entries == 0 {
		if r.sum = 0; r.trip == nil {
			delete(b.rules, e.d.Rule)
		}
	}
}

// over reports whether so many regulars are too many.
func (b *breaker) over(sum float64) bool { return sum >= tripLeast && sum > tripShare*b.site }

// crowded reports whether so many regulars behind one address are half of what a
// rule may hit, or more.
func (b *breaker) crowded(sum float64) bool { return 2*sum >= max(tripLeast, tripShare*b.site) }

// limit says from where on so many are too many.
func (b *breaker) limit() string {
	if most := tripShare * b.site; most >= tripLeast {
		return "more than " + figure(most)
	}
	return "at least " + figure(tripLeast)
}

// wouldTrip reports whether a rule may not have this entry too.
func (b *breaker) wouldTrip(e *entry) (sum float64, trips bool) {
	if !e.touches() {
		return 0, false
	}
	sum = b.sum(e.d.Rule) + e.share()
	return sum, b.over(sum)
}

// tripped reports whether a rule that is not tripped must be.
func (b *breaker) tripped(rule string) (sum float64, trips bool) {
	if !b.known || b.isTripped(rule) {
		return 0, false
	}
	sum = b.sum(rule)
	return sum, b.over(sum)
}

// restrain trips a rule that hits too many, crowds left out.
func (l *Ledger) restrain(rule string) {
	l.relieve(rule, nil)
	if sum, trips := l.breaker.tripped(rule); trips {
		l.trip(rule, sum)
	}
}

// objects says that a decision's rule is tripped.
func (b *breaker) objects(d *event.Decision) (Guard, string) {
	if r := b.rules[d.Rule]; r != nil && r.trip != nil {
		return GuardBreaker, fmt.Sprintf("%s is tripped since %s: weir approve %s", d.Rule, r.trip.At.UTC().Format(time.RFC3339), d.Rule)
	}
	return "", ""
}

// trip withdraws a rule's entries of the last ten minutes and holds its new ones.
func (l *Ledger) trip(rule string, sum float64) {
	var out []*entry
	for _, e := range l.order {
		if !e.over && e.d.Rule == rule && e.by == "" && e.since.After(l.at.Add(-tripWindow)) {
			out = append(out, e)
		}
	}
	line := Line{Event: LineTripped, Rule: rule, Sum: sum, Site: l.breaker.site, Entries: len(out), Reason: fmt.Sprintf(
		"%s regulars stand behind its entries, of %s accounts that succeeded in 7 days: %s; %d entries of the last 10 minutes are withdrawn",
		figure(sum), figure(l.breaker.site), l.breaker.limit(), len(out))}
	r := l.breaker.rule(rule)
	r.trip = &line
	l.write(line)
	line.At = l.at
	l.log.Warn("breaker: a rule is tripped and its new entries are held until somebody approves it", "rule", rule,
		"regulars", sum, "of", l.breaker.site, "withdrawn", len(out))
	for _, e := range out {
		l.withdraw(e, "breaker: "+rule+" is tripped", "")
	}
}

// pace lets in so many entries a minute.
type pace struct{ times []time.Time }

// free reports whether one more may come in.
func (p *pace) free(at time.Time) bool {
	return len(p.times) < maxPace || at.Sub(p.times[0]) >= paceWindow
}

// take notes that one came in.
func (p *pace) take(at time.Time) {
	if p.times = append(p.times, at); len(p.times) > maxPace {
		p.times = slices.Delete(p.times, 0, len(p.times)-maxPace)
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
