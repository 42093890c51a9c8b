package score

import (
	"weir/event"
	"weir/simulate"
)

// The contenders whose stopping is compared, in the order of all slices of them.
const (
	byWeir = iota
	byTen
	byFive
	contenders
)

// weirName is what the ledger's decisions are called beside the baselines.
const weirName = "weir"

// tally is what became of the requests of one label.
type tally struct {
	label    *simulate.Label
	requests int64
	hits     [contenders]Hits
	tries    int64            // of the requests, those to log in
	tried    Hits             // what became of them, by weir
	misses   [numMisses]int64 // of an attack, what passed
	pace     pace
	campaign *pace // of all phases together; nil: it is no attack's

	// Of an attack these are sets; of a population what befell each of them.
	addresses    map[uint64]befell
	nets         map[uint64]struct{}
	fingerprints map[uint64]befell
	accounts     map[uint64]accountMask
	kept         map[keptOut]struct{} // honest accounts that were kept out
	shed         int64                // of them, not noted for want of room

	hourly  [][2]int64 // requests and stopped ones, by hour
	buckets [3][]int64 // requests, hard and milder, by bucket of the timeline
}

// pace is how soon the requests of a phase or a campaign were stopped.
type pace struct {
	requests int64
	from     int64 // the times of its first and last request
	until    int64
	sixtieth int64 // the time of its 60th; 0: there are fewer
	early    int64 // requests that passed before any was stopped, by weir
	told     bool  // somebody was told, or more was done
	toldAt   int64
	stops    [contenders]stopping
}

// befell is what became of the requests of an address or a fingerprint.
type befell struct {
	requests uint32
	fates    [numFates]uint32 // by weir; passed ones are not counted
	naive    [contenders]uint32
}

// keptOut is an account that was blocked at an address.
type keptOut struct{ account, address uint64 }

// maxKept is how many of them are noted of a population.
const maxKept = 1 << 20

// accountMask says what befell the requests of an account.
type accountMask uint16

func fateMask(f fate) accountMask     { return 1 << f }
func naiveMask(by int) accountMask    { return 1 << (int(numFates) + by) }
func (m accountMask) has(f fate) bool { return m&fateMask(f) != 0 }
func (m accountMask) met(by int) bool { return m&naiveMask(by) != 0 }
func (m accountMask) strongest() (f fate) {
	for f = blocked; f > passed && !m.has(f); f-- {
	}
	return f
}

// sixty is how many requests the shortest time to a first stop is measured by.
const sixty = 60

func newTally(label *simulate.Label, t *timeline) *tally {
	y := &tally{label: label, kept: map[keptOut]struct{}{}, addresses: map[uint64]befell{}, fingerprints: map[uint64]befell{}, accounts: map[uint64]accountMask{}}
	if label.Attack {
		y.nets = map[uint64]struct{}{}
	}
	y.hourly = make([][2]int64, (int64(t.n)*t.width)/(hour*1e9)+2)
	for i := range y.buckets {
		y.buckets[i] = make([]int64, t.n)
	}
	return y
}

// sender is who sent a request, hashed; 0: the log does not say.
type sender struct{ address, net, fingerprint, account uint64 }

// add counts a request and what became of it under each contender.
func (y *tally) add(ev *event.Event, who sender, j judgement, naive [contenders]bool, t *timeline) {
	y.requests++
	fates := [contenders]fate{byWeir: j.fate}
	for by := byTen; by < contenders; by++ {
		if naive[by] {
			fates[by] = blocked
		}
	}
	for by, f := range fates {
		y.hits[by].add(f, 1)
	}
	if ev.Kind == event.Login && ev.Method != "GET" && ev.Method != "HEAD" {
		y.tries++
		y.tried.add(j.fate, 1)
	}
	y.pace.add(ev.Time, &fates)
	if y.campaign != nil {
		y.campaign.add(ev.Time, &fates)
	}
	b, h := t.bucket(ev.Time), min(max((ev.Time-t.from)/(hour*1e9), 0), int64(len(y.hourly)-1))
	y.buckets[0][b]++
	y.hourly[h][0]++
	switch {
	case j.fate.hard():
		y.buckets[1][b]++
	case j.fate.stops():
		y.buckets[2][b]++
	}
	if j.fate.stops() {
		y.hourly[h][1]++
	} else {
		y.misses[j.miss]++
	}
	y.note(who, fates)
}

// note keeps who sent it, and what befell them.
func (y *tally) note(who sender, fates [contenders]fate) {
	count := func(of map[uint64]befell, value uint64) {
		if value == 0 {
			return
		}
		n := of[value]
		n.requests++
		if fates[byWeir] > passed {
			n.fates[fates[byWeir]]++
		}
		for by := byTen; by < contenders; by++ {
			if fates[by] == blocked {
				n.naive[by]++
			}
		}
		of[value] = n
	}
	if who.net != 0 && y.nets != nil {
		y.nets[who.net] = struct{}{}
	}
	count(y.addresses, who.address)
	count(y.fingerprints, who.fingerprint)
	if who.account != 0 {
		m := y.accounts[who.account] | fateMask(fates[byWeir])
		for by := byTen; by < contenders; by++ {
			if fates[by] == blocked {
				m |= naiveMask(by)
			}
		}
		y.accounts[who.account] = m
		if fates[byWeir].hard() && !y.label.Attack {
			y.keep(keptOut{who.account, who.address})
		}
	}
}

// add counts a request.
func (p *pace) add(at int64, fates *[contenders]fate) {
	if p.requests == 0 || at < p.from {
		p.from = at
	}
	p.until = max(p.until, at)
	if p.requests++; p.requests == sixty {
		p.sixtieth = at
	}
	for by, f := range fates {
		p.stops[by].add(at, f.stops())
	}
	if !p.stops[byWeir].stopped {
		p.early++
	}
	if !p.told && fates[byWeir] >= alerted {
		p.told, p.toldAt = true, at
	}
}

// keep notes an account that was kept out.
func (y *tally) keep(k keptOut) {
	if _, ok := y.kept[k]; !ok && len(y.kept) >= maxKept {
		y.shed++
		return
	}
	y.kept[k] = struct{}{}
}

// lastOf is over how many requests it is seen whether nine of ten are stopped.
const lastOf = 100

// stopping watches when requests begin to be stopped.
type stopping struct {
	stopped     bool
	first       moment
	ninety      moment
	most        bool // nine of the last ten
	seen        int64
	through     int64 // requests that passed so far
	ring        [lastOf]bool
	ringStopped int
}

// moment is when something was reached, and how many requests had passed.
type moment struct{ at, through int64 }

func (s *stopping) add(at int64, stopped bool) {
	i := s.seen % lastOf
	if s.ring[i] {
		s.ringStopped--
	}
	s.ring[i] = stopped
	s.seen++
	if !stopped {
		s.through++
		return
	}
	s.ringStopped++
	if !s.stopped {
		s.stopped, s.first = true, moment{at, s.through}
	}
	if !s.most && s.seen >= lastOf && s.ringStopped >= lastOf*9/10 {
		s.most, s.ninety = true, moment{at, s.through}
	}
}
