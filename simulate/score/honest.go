package score

import (
	"cmp"
	"slices"
	"strings"
)

// attackers are the values that attack anywhere in the log.
type attackers struct{ addresses, fingerprints []map[uint64]befell }

func (r *run) attackers() (a attackers) {
	for _, y := range r.tallies {
		if y.label.Attack {
			a.addresses, a.fingerprints = append(a.addresses, y.addresses), append(a.fingerprints, y.fingerprints)
		}
	}
	return a
}

func among(sets []map[uint64]befell, v uint64) bool {
	for _, s := range sets {
		if _, ok := s[v]; ok {
			return true
		}
	}
	return false
}

// populations returns the honest senders, all together and each kind for
// itself, those most hit first.
func (r *run) populations(names *[contenders]string) (all *Population, each []Population) {
	bad := r.attackers()
	var honest []*tally
	for _, y := range r.tallies {
		if y.label.Attack {
			continue
		}
		honest = append(honest, y)
		p := populationOf([]*tally{y}, bad, names)
		p.Label, p.Title = y.label.Name, y.label.Title
		each = append(each, p)
	}
	slices.SortStableFunc(each, func(a, b Population) int {
		x, y := &a.Hurt[byWeir], &b.Hurt[byWeir]
		return cmp.Or(cmp.Compare(y.BlockedShare, x.BlockedShare), cmp.Compare(y.MilderShare, x.MilderShare), strings.Compare(a.Label, b.Label))
	})
	p := populationOf(honest, bad, names)
	p.Label, p.Title = "honest", "everybody who is honest"
	return &p, each
}

func populationOf(ys []*tally, bad attackers, names *[contenders]string) (p Population) {
	p.Hurt = make([]Hurt, contenders)
	addresses, prints := joined(ys, func(y *tally) map[uint64]befell { return y.addresses }), joined(ys, func(y *tally) map[uint64]befell { return y.fingerprints })
	accounts := accountsOf(ys)
	for _, y := range ys {
		p.Requests += y.requests
		for by := range p.Hurt {
			p.Hurt[by].Requests.plus(&y.hits[by])
		}
	}
	p.Addresses, p.Fingerprints, p.Accounts = int64(len(addresses)), int64(len(prints)), int64(len(accounts))
	for by := range p.Hurt {
		h := &p.Hurt[by]
		h.By = names[by]
		for v, b := range addresses {
			to := &h.Clean
			if among(bad.addresses, v) {
				to = &h.Shared
			}
			to.add(&b, by)
			h.Addresses.add(b.strongest(by), 1)
		}
		for v, b := range prints {
			if among(bad.fingerprints, v) {
				h.Prints.add(&b, by)
			}
		}
		for _, m := range accounts {
			switch {
			case by == byWeir:
				h.Accounts.add(m.strongest(), 1)
			case m.met(by):
				h.Accounts.add(blocked, 1)
			}
		}
		h.BlockedShare, h.MilderShare = share(h.Requests.Hard(), p.Requests), share(h.Requests.Milder(), p.Requests)
		h.AccountsShare = share(h.Accounts.Hard(), p.Accounts)
		for _, s := range []*Sharing{&h.Clean, &h.Shared, &h.Prints} {
			s.BlockedShare, s.MilderShare = share(s.Hits.Hard(), s.Requests), share(s.Hits.Milder(), s.Requests)
		}
	}
	return p
}

// joined puts what befell values in several labels together.
func joined(ys []*tally, of func(*tally) map[uint64]befell) map[uint64]befell {
	if len(ys) == 1 {
		return of(ys[0])
	}
	all := map[uint64]befell{}
	for _, y := range ys {
		for v, b := range of(y) {
			n := all[v]
			n.requests += b.requests
			for f := range b.fates {
				n.fates[f] += b.fates[f]
			}
			for by := range b.naive {
				n.naive[by] += b.naive[by]
			}
			all[v] = n
		}
	}
	return all
}

func accountsOf(ys []*tally) map[uint64]accountMask {
	if len(ys) == 1 {
		return ys[0].accounts
	}
	all := map[uint64]accountMask{}
	for _, y := range ys {
		for v, m := range y.accounts {
			all[v] |= m
		}
	}
	return all
}

// add counts what befell one value.
func (s *Sharing) add(b *befell, by int) {
	s.Values++
	s.Requests += int64(b.requests)
	if by > byWeir {
		s.Hits.Blocked += int64(b.naive[by])
		return
	}
	for f, n := range b.fates {
		s.Hits.add(fate(f), int64(n))
	}
}

// strongest returns the strongest that befell any request of the value.
func (b *befell) strongest(by int) fate {
	if by > byWeir {
		if b.naive[by] > 0 {
			return blocked
		}
		return passed
	}
	for f := blocked; f > passed; f-- {
		if b.fates[f] > 0 {
			return f
		}
	}
	return passed
}
