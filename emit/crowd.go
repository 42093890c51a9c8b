package emit

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"weir/event"
)

// relieve takes from a rule that is about to be tripped what it asks of addresses
// behind each of which alone are half of what it may hit, or more: they are
// challenged instead, or where that is as much, spared. It says nothing of the
// rule: behind a carrier's exit are as many as that, and who attacks from there must
// not disarm what stops everybody else. Of an entry that is about to come into force (or nil) it returns
// why it must not.
func (l *Ledger) relieve(rule string, coming *entry) (held string) {
	r := l.breaker.rules[rule]
	sum := 0.0
	if r != nil {
		sum = r.sum
	}
	if coming != nil {
		sum += coming.share()
	}
	// Of a rule that is tripped nothing comes into force, and each renewal would look at all that is.
	if !l.breaker.known || !l.breaker.over(sum) || r != nil && r.trip != nil {
		return ""
	}
	crowds := map[string][]*entry{}
	gather := func(e *entry) {
		if a := address(e.d.Target); a != "" && e.share() > 0 {
			crowds[a] = append(crowds[a], e)
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
	for _, a := range slices.Sorted(maps.Keys(crowds)) {
		if crowd := crowds[a]; l.breaker.crowded(shares(crowd)) {
			l.calm(crowd, coming)
			if l.breaker.crowded(shares(crowd)) {
				held = cmp.Or(l.clear(crowd, coming), held)
			}
		}
	}
	return held
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
			e.public, l.dirty = nil, true
			l.write(e.told().line(LineMilder, e.reason, ""))
		}
	}
}

// clear withdraws what is asked of an address, and returns the reason if what is
// coming is of it.
func (l *Ledger) clear(crowd []*entry, coming *entry) (held string) {
	reason := l.breaker.behind(crowd)
	for _, e := range crowd {
		if e == coming {
			held = reason
			continue
		}
		e.d = e.told().d // for its renewals, see judge; a restart forgets it until the next review
		l.log.Warn("the breaker: too many are behind one address; what a rule asked of it is withdrawn",
			"rule", e.d.Rule, "target", string(e.d.Target.AppendJSON(nil)), "regulars", e.hits)
		l.withdraw(e, string(GuardCrowd)+": "+reason, "")
	}
	return held
}

// told is an entry whose decision says who is behind it by now.
func (e *entry) told() *entry {
	now := *e
	now.d.Good, now.d.Regulars = e.good, e.hits
	return &now
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
