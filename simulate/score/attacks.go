package score

import (
	"cmp"
	"slices"
	"strings"

	"weir/simulate"
)

// campaigns returns the attacks, those of which least was stopped first.
func (r *run) campaigns(names *[contenders]string) (out []Campaign) {
	of := map[string][]*tally{}
	var order []string
	for _, y := range r.tallies {
		if !y.label.Attack {
			continue
		}
		name := campaignOf(y.label)
		if of[name] == nil {
			order = append(order, name)
		}
		of[name] = append(of[name], y)
	}
	for _, name := range order {
		c := Campaign{Part: partOf(of[name], r.paces[name], names)}
		c.Label, c.Campaign, c.Title = "attack/"+name, name, of[name][0].label.Title
		for _, y := range of[name] {
			p := partOf([]*tally{y}, &y.pace, names)
			p.Label, p.Campaign, p.Phase, p.Title = y.label.Name, name, y.label.Phase, y.label.Title
			c.Phases = append(c.Phases, p)
		}
		slices.SortStableFunc(c.Phases, func(a, b Part) int { return a.From.Compare(b.From) })
		out = append(out, c)
	}
	slices.SortStableFunc(out, func(a, b Campaign) int {
		return cmp.Or(cmp.Compare(a.Stopped[byWeir].StoppedShare, b.Stopped[byWeir].StoppedShare), strings.Compare(a.Label, b.Label))
	})
	return out
}

// campaignOf returns what the phases of one attack have in common.
func campaignOf(l *simulate.Label) string { return cmp.Or(l.Campaign, l.Name) }

// partOf puts the phases of an attack together.
func partOf(ys []*tally, pace *pace, names *[contenders]string) (p Part) {
	addresses, nets := map[uint64]struct{}{}, map[uint64]struct{}{}
	prints, accounts := map[uint64]struct{}{}, map[uint64]struct{}{}
	p.Stopped = make([]Stopped, contenders)
	for by := range p.Stopped {
		p.Stopped[by].By = names[by]
	}
	for _, y := range ys {
		join(addresses, y.addresses)
		join(nets, y.nets)
		join(prints, y.fingerprints)
		join(accounts, y.accounts)
		p.Requests += y.requests
		p.Missed.add(y)
		for by := range p.Stopped {
			p.Stopped[by].plus(&y.hits[by])
		}
	}
	if p.Requests > 0 {
		p.From, p.Until = unix(pace.from), unix(pace.until)
	}
	p.Missed.BeforeAny = pace.early
	p.Addresses, p.Networks = int64(len(addresses)), int64(len(nets))
	p.Fingerprints, p.Accounts = int64(len(prints)), int64(len(accounts))
	p.AddressBound, p.NetworkBound = share(p.Requests-p.Addresses, p.Requests), share(p.Requests-p.Networks, p.Requests)
	for by := range p.Stopped {
		s := &p.Stopped[by]
		s.BlockedShare, s.StoppedShare = share(s.Hard(), p.Requests), share(s.Hits.Stopped(), p.Requests)
		s.Through = p.Requests - s.Hits.Stopped()
		at := &pace.stops[by]
		s.First, s.Ninety = reached(at.first, at.stopped, pace.from), reached(at.ninety, at.most, pace.from)
	}
	return p
}

func join[V any](set map[uint64]struct{}, more map[uint64]V) {
	for v := range more {
		set[v] = struct{}{}
	}
}

// reached says when something was, since the first request.
func reached(m moment, ok bool, from int64) *Reached {
	if !ok {
		return nil
	}
	return &Reached{At: unix(m.at), After: max(0, float64(m.at-from)/1e9), Through: m.through}
}

func (m *Missed) add(y *tally) {
	n := &y.misses
	for _, k := range n {
		m.Requests += k
	}
	m.Never += n[never]
	m.RanOut += n[ranOut]
	m.TooSoon += n[tooSoon]
	m.OnItsWay += n[onItsWay]
	m.Shadow += n[shadowed]
	m.Held += n[held]
	m.Alert += n[toldOnly]
	m.Excepted += n[spared]
	m.Within += n[within]
}
