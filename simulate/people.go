package simulate

import (
	"math/bits"
	"net/netip"
	"strings"
)

// crowd is a population of people: it has somebody come whenever its curve says
// so. Who they are is worked out of their number, so that a million of them
// take no memory; only who is there at the moment does.
type crowd struct {
	population *Population
	arrivals   arrivals
	users      uint64
	addresses  uint64
	clients    []client
	space      uint64
	visits     uint64 // so far
}

// populate has a population begin.
func (s *Stream) populate(p *Population) {
	switch p.Kind {
	case "people":
		s.gather(p)
	case "machine":
		s.install(p)
	case "broken":
		s.begin(1, stream(s.seed, "broken").state, &broken{population: p, arrivals: arrivals{
			random: stream(s.seed, "broken", 1), rate: s.rate(p), height: func(int64) float64 { return 1 }, until: s.until,
		}})
	}
}

// rate is how many a nanosecond come of something that comes every so often,
// and more of it in a larger log.
func (s *Stream) rate(p *Population) float64 {
	rate := p.Count / float64(p.Every)
	if !p.Fixed {
		rate = float64(rate * s.scale)
	}
	return rate
}

// honest is how many honest ones there are of so many.
func (s *Stream) honest(p *Population, n float64) uint64 {
	if p.Fixed {
		return max(uint64(n), 1)
	}
	return max(s.amount(float64(n*s.scenario.Knobs.Honest)), 1)
}

// curve is the height of a curve by its name.
func (s *Stream) curve(name string) func(t int64) float64 {
	if c := s.scenario.Site.Curves[name]; c != nil {
		return func(t int64) float64 { return c.at(t, s.shift) }
	}
	return func(int64) float64 { return 1 }
}

func (s *Stream) gather(p *Population) {
	users := s.honest(p, p.Users)
	c := &crowd{population: p, users: users, clients: s.clients.of(p.Clients), space: spaceOf(p.name)}
	c.addresses = s.places(p)
	curve, base := s.curve(p.Curve), stream(s.seed, p.name)
	c.arrivals = arrivals{
		random: base, now: int64(p.From), until: s.until,
		rate: float64(float64(users)*p.Visits) / float64(7*day),
		height: func(t int64) float64 {
			h := curve(t)
			if e := s.eventAt("sale", t); e != nil && !p.Fixed {
				h = float64(h * e.Factor)
			}
			if e := s.eventAt("reset", t); e != nil && !p.Fixed {
				h = float64(h * e.Factor)
			}
			return h
		},
	}
	if first, ok := c.arrivals.next(); ok {
		s.begin(first, base.state, c)
	}
}

// act lets a visitor in.
func (c *crowd) act(s *Stream, now int64) int64 {
	c.visits++
	v := s.visitor()
	r := stream(s.seed, c.population.name, c.visits)
	c.enter(s, v, &r, now)
	v.random = r
	s.begin(now+1, r.state, v)
	at, ok := c.arrivals.next()
	if !ok {
		return 0
	}
	return at
}

// places is how many addresses a population of people has.
func (s *Stream) places(p *Population) uint64 {
	return max(uint64(float64(s.honest(p, p.Users))/p.PerAddress), 1)
}

// households are the homes, at scale 1, over which all populations at home are
// spread: some have a browser and the app and a television that forgot its
// password, most have one of these.
const households = 130_000

// addressOf is the index-th address of a population. It does not depend on who
// else is in the network.
func (s *Stream) addressOf(p *Population, index uint64) netip.Addr {
	index += p.Place
	if all := max(s.amount(households*s.scenario.Knobs.Honest), 64); index < all && (p.Network == "homes" || p.Network == "homes6") {
		size, key := uint(bits.Len64(all-1)), stream(s.seed, p.name+" homes").state
		for index = permute(index, size, key); index >= all; {
			index = permute(index, size, key)
		}
	}
	return addressOf(p.Network, index, stream(s.seed, "addresses").state)
}

// enter makes a visit of a user: who it is, where, with what, and what for.
func (c *crowd) enter(s *Stream, v *visit, r *random, now int64) {
	p := c.population
	user := r.below(c.users)
	if r.chance(0.5) {
		user = r.skewed(c.users) // some come far more often than others
	}
	who := stream(s.seed, p.name+" user", user)
	index := uint64(float64(user) / p.PerAddress)
	if index >= c.addresses || r.chance(p.Roam) {
		index = r.below(c.addresses)
	}
	if home := stream(s.seed, p.name+" home", index); home.chance(p.Moves) {
		if all := room(p.Network) / 4; all > c.addresses { // the rest of the network is the attackers'
			today := stream(home.state, "day", uint64(now/day))
			index = c.addresses + today.below(all-c.addresses)
		}
	}
	*v = visit{crowd: c, request: request{label: p.label, addr: s.addressOf(p, index)}}
	q := &v.request
	if q.addr.Is6() {
		q.addr = privacyAddress(q.addr, who.next()^uint64(now/day))
	}
	q.client = &c.clients[who.below(uint64(len(c.clients)))]
	q.language = languages[who.skewed(uint64(len(languages)))]
	v.account = account(c.space, user)
	v.pages = 1 + int(r.around(int64(p.Pages*1000), usual)/1000)
	if !r.chance(p.Cookieless) {
		q.session = r.next() >> 1
	}
	if r.chance(0.45) {
		q.from = referrers[r.skewed(uint64(len(referrers)))]
	}
	if p.Late {
		q.late = lateness(r)
	}
	switch {
	case r.chance(p.Logins):
		v.logsIn = true
	case r.chance(p.Signups):
		v.signsUp, v.account = true, account(spaceOf(p.name+" new"), c.visits)
	}
	if !v.logsIn && !v.signsUp && r.chance(bounced) {
		v.pages = 1
	}
	v.failure = min(float64(p.Failures*s.scenario.Knobs.Failures), 0.97)
	v.style = styles[p.Style]
	v.happening(s, r, now)
	v.wanted = v.style.first
	if v.logsIn && r.chance(0.35) && v.style.loginPage {
		v.wanted = stepLoginPage // a bookmark
	}
}

// happening lets what goes on at the site change a visit.
func (v *visit) happening(s *Stream, r *random, now int64) {
	if v.crowd.population.Fixed || v.crowd.population.Late {
		return
	}
	if e := s.eventAt("sale", now); e != nil {
		v.request.label, v.sale = e.label, true
	}
	if e := s.eventAt("reset", now); e != nil && r.chance(e.Share) {
		v.request.label, v.logsIn, v.mustReset = e.label, true, true
	}
	if e := s.eventAt("outage", now); e != nil {
		v.request.label = e.label
	}
}

// bounced is the share of visits that see one page and no more: in a blog's log
// of 2015 half of the addresses have no more than two requests.
const bounced = 0.35

// referrers are where visitors come from.
var referrers = []string{"https://www.search.example/", "https://search2.example/", "https://social.example/", "https://prices.example/compare", "https://mail.example/"}

// privacyAddress is the address that a machine gives itself for a day.
func privacyAddress(a netip.Addr, n uint64) netip.Addr {
	b := a.As16()
	for i := range 8 {
		b[8+i] = byte(mix(n) >> (8 * i))
	}
	return netip.AddrFrom16(b)
}

// lateness is how late a line of a slow shipper comes: mostly a moment, at
// times minutes.
func lateness(r *random) int64 {
	switch n := r.below(20); {
	case n < 14:
		return int64(r.below(uint64(2 * second)))
	case n < 19:
		return int64(r.below(uint64(minute)))
	}
	return int64(r.below(uint64(10 * minute)))
}

// visitor takes a visit that is over, or a new one.
func (s *Stream) visitor() *visit {
	if n := len(s.idle); n > 0 {
		v := s.idle[n-1]
		s.idle = s.idle[:n-1]
		return v
	}
	return new(visit)
}

// leave ends a visit.
func (s *Stream) leave(v *visit) int64 {
	s.idle = append(s.idle, v)
	return 0
}

// broken writes lines that are none.
type broken struct {
	population *Population
	arrivals   arrivals
	begun      bool
}

// act writes a line that no program reads.
func (b *broken) act(s *Stream, now int64) int64 {
	if b.begun {
		r := &b.arrivals.random
		s.buffer = s.format.appendBroken(s.buffer[:0], r, s.start+now)
		s.finish(b.population.label, now, now)
	}
	b.begun = true
	at, ok := b.arrivals.next()
	if !ok {
		return 0
	}
	return at
}

// appendBroken appends what a full disk, a crash or a stray process leaves in a
// log: half a line, zeros, somebody else's message, a field that holds nonsense.
func (f *format) appendBroken(b []byte, r *random, t int64) []byte {
	whole := `{"msec":"1772787600.123","remote_addr":"198.51.100.7","request_method":"GET","host":"shop.example","request_uri":"/","status":200}`
	if f.combined {
		whole = `198.51.100.7 - - [06/Mar/2026:09:00:00 +0000] "GET / HTTP/1.1" 200 12 "-" "-"`
	}
	switch r.below(4) {
	case 0:
		return append(b, whole[:10+r.below(uint64(len(whole)-30))]...)
	case 1:
		for range 1 + r.below(60) {
			b = append(b, 0)
		}
		return append(b, whole...)
	case 2:
		return append(f.appendStamp(b, t), " [error] 31#31: *1 upstream timed out (110: Connection timed out) while reading"...)
	}
	return append(b, strings.Replace(whole, "198.51.100.7", "not-an-address", 1)...)
}
