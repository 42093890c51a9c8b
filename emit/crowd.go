package emit

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"weir/event"
)

// crowds is what was found behind addresses whose entries were withdrawn, by what
// was in force: a renewal of a sign-up's cannot tell. It is forgotten after
// crowdFor, that a review looks again, and when weir begins again.
type crowds map[string]crowdSeen

type crowdSeen struct {
	good, hits float64
	at         time.Time
}

const (
	crowdFor  = 6 * time.Hour
	maxCrowds = 10000
	warnEvery = time.Hour
)

// remember notes who is behind what is withdrawn.
func (c crowds) remember(e *entry, at time.Time) {
	if len(c) >= maxCrowds {
		clear(c)
	}
	c[e.key] = crowdSeen{e.good, e.hits, at}
}

// recall gives an entry the figures that were found, where its decision has none.
func (c crowds) recall(e *entry, at time.Time) {
	seen, ok := c[e.key]
	switch {
	case !ok || e.good > 0:
	case at.Sub(seen.at) >= crowdFor:
		delete(c, e.key)
	default:
		e.good, e.hits = seen.good, seen.hits
		e.d.Good, e.d.Regulars = e.good, e.hits // it may have to wait
	}
}

// relieve takes from a rule that is about to be tripped what it asks of addresses
// behind each of which alone are half of what it may hit, or more: they are
// challenged instead, or where that is as much, spared. It says nothing of the
// rule: behind a carrier's exit are as many as that, and who attacks from there must
// not disarm what stops everybody else. Of an entry that is about to come into
// force (or nil) it returns why it must not.
func (l *Ledger) relieve(rule string, coming *entry) (held string) {
	sum, share := l.breaker.sum(rule), 0.0
	if coming != nil {
		share = coming.share()
	}
	switch {
	case !l.breaker.known || !l.breaker.over(sum+share) || coming != nil && share == 0:
		return ""
	case l.breaker.isTripped(rule): // nothing comes into force, and each renewal would look at all that is
		return ""
	case coming != nil && !l.breaker.over(sum) && address(coming.d.Target) != "" && l.breaker.crowded(coming.weightAs(milder(coming.action))*coming.hits):
		// As often as it comes, without a look at all that is in force.
		l.warn(rule)
		coming.action = milder(coming.action)
		return l.breaker.behind([]*entry{coming})
	}
	at := map[string][]*entry{}
	gather := func(e *entry) {
		if e.share() == 0 {
			return
		}
		if a := address(e.d.Target); a != "" {
			at[a] = append(at[a], e)
		}
	}
	for _, e := range l.order {
		if !e.over && e.d.Rule == rule {
			gather(e)
		}
	}
	if coming != nil {
		gather(coming)
	}
	tooMuch := func() bool {
		sum := l.breaker.sum(rule)
		if coming != nil && held == "" {
			sum += coming.share()
		}
		return l.breaker.over(sum)
	}
	heaviest := func(a, b string) int {
		return cmp.Or(cmp.Compare(shares(at[b]), shares(at[a])), cmp.Compare(a, b))
	}
	for _, a := range slices.SortedFunc(maps.Keys(at), heaviest) {
		crowd := at[a]
		if !tooMuch() || !l.breaker.crowded(shares(crowd)) {
			break
		}
		l.calm(crowd, coming)
		slices.SortStableFunc(crowd, func(a, b *entry) int { return cmp.Compare(b.share(), a.share()) })
		if i := slices.Index(crowd, coming); i > 0 { // what comes must not free what is there
			crowd = slices.Insert(slices.Delete(crowd, i, i+1), 0, coming)
		}
		for tooMuch() && l.breaker.crowded(shares(crowd)) {
			l.warn(rule)
			reason := l.breaker.behind(crowd)
			if crowd[0] == coming {
				held = reason
			} else {
				l.crowds.remember(crowd[0], l.at)
				l.withdraw(crowd[0], string(GuardCrowd)+": "+reason, "")
			}
			crowd = crowd[1:]
		}
	}
	return held
}

// warn says, once an hour for each rule, that it is not what it asks for everywhere.
func (l *Ledger) warn(rule string) {
	if last, ok := l.warned[rule]; ok && l.at.Sub(last) < warnEvery {
		return
	}
	l.warned[rule] = l.at
	l.log.Warn("the breaker: behind single addresses are too many who log in well; what a rule asks of these is held or withdrawn",
		"rule", rule, "see", "weir decisions")
}

// calm makes what is asked of an address milder.
func (l *Ledger) calm(crowd []*entry, coming *entry) {
	reason := l.breaker.behind(crowd) + "; challenged instead"
	for _, e := range crowd {
		to := milder(e.action)
		switch {
		case to == e.action:
		case e == coming:
			e.action, e.reason = to, reason
		default:
			l.breaker.leave(e)
			e.action, e.reason = to, reason
			l.breaker.enter(e)
			d := e.d
			d.Good, d.Regulars = e.good, e.hits
			l.softened(e, d)
		}
	}
}

func shares(es []*entry) (sum float64) {
	for _, e := range es {
		sum += e.share()
	}
	return sum
}

// behind says how many are behind an address, of which a challenge counts less.
func (b *breaker) behind(crowd []*entry) string {
	most, counts := 0.0, ""
	for _, e := range crowd {
		most = max(most, e.hits)
	}
	if sum := shares(crowd); sum != most {
		counts = " (they count as " + figure(sum) + ")"
	}
	return fmt.Sprintf("%s regulars stand behind this address alone%s, of %s accounts that succeeded in 7 days, and %s trip its rule",
		figure(most), counts, figure(b.site), b.limit())
}

// address is the one that a target names, or "".
func address(t event.Target) string {
	for _, v := range t {
		if isAddress(v.Field) {
			return v.Text
		}
	}
	return ""
}
