package simulate

import "strings"

// machine is a program that serves somebody and comes again and again: a
// crawler, a monitor, a partner, an app that still has an old password.
type machine struct {
	population *Population
	random     random
	request    request
	client     client
	number     uint64
	every      float64 // nanoseconds
	height     func(t int64) float64
	account    uint64
	asked      uint64
	accounts   uint64 // that it logs in for
	follow     *Endpoint
	failures   float64
}

// install has the machines of a population begin.
func (s *Stream) install(p *Population) {
	machines := s.relays(p)
	for i := range machines {
		m := &machines[i]
		first := int64(p.From) + int64(m.random.below(uint64(m.every)+1))
		s.begin(max(first, 1), m.random.state, m)
	}
}

// relays makes the machines of a population.
func (s *Stream) relays(p *Population) []machine {
	count, every := p.Count, float64(p.Every)
	if !p.Fixed {
		// A tenth of the machines is a tenth of the requests; below one machine
		// it is one that comes less often.
		if count = float64(p.Count * s.scale); count < 1 {
			every, count = every/count, 1
		}
		// Half a machine more or less is made up for by all.
		every = float64(every*float64(uint64(count+0.5))) / count
	}
	all := make([]machine, uint64(count+0.5))
	for i := range all {
		r := stream(s.seed, p.name, uint64(i))
		m := &all[i]
		*m = machine{
			population: p, number: uint64(i), every: every, height: s.curve(p.Curve), account: account(spaceOf(p.name), uint64(i)),
			failures: p.Failures, accounts: s.share(p, len(all)),
		}
		m.request = request{label: p.label, consumer: p.Consumer}
		m.client = p.client(s, &r)
		m.request.client = &m.client
		if p.Clients != "" {
			m.request.language = languages[r.skewed(uint64(len(languages)))]
		}
		m.request.addr = s.addressOf(p, uint64(float64(i)/max(p.PerAddress, 1)))
		m.random = r
	}
	return all
}

// share is for how many accounts each of the machines logs in.
func (s *Stream) share(p *Population, machines int) uint64 {
	if p.Accounts == 0 {
		return 0
	}
	return max(s.amount(p.Accounts)/uint64(machines), 1)
}

// client is what a machine says of itself: an agent of its own, or one of a
// pool's.
func (p *Population) client(s *Stream, r *random) client {
	if p.Clients != "" {
		pool := s.clients.of(p.Clients)
		return pool[r.below(uint64(len(pool)))]
	}
	c := client{agent: p.Agent, tls: "TLSv1.3", protocol: "HTTP/1.1"}
	c.ja4 = ja4Of("t13d1812h1", uint64(len(p.Agent)), stream(0, p.Agent).state%97)
	if strings.Contains(p.Agent, "bot") {
		c.protocol = "HTTP/2.0"
	}
	return c
}

// act sends the next request.
func (m *machine) act(s *Stream, now int64) int64 {
	p, q, r := m.population, &m.request, &m.random
	q.account, q.accountSet = 0, false
	if m.follow != nil {
		q.endpoint, m.follow = m.follow, nil
		s.answers(q, r, true)
		s.send(q, now)
		return m.later(now)
	}
	if height := m.height(now); p.Curve != "flat" && !r.chance(height/2.5) {
		return m.later(now) // its people sleep
	}
	q.endpoint = p.resolved[0]
	if n := len(p.resolved); n > 1 && p.Accounts == 0 {
		q.endpoint = p.resolved[r.below(uint64(n))]
	}
	q.item = item(p.Items, r, m.asked+m.number*7919, s.scenario.Site.Items)
	success := !r.chance(m.failures)
	switch q.endpoint.Kind {
	case "login", "signup", "reset":
		q.account, q.accountSet = m.account, true
		if m.accounts > 0 {
			q.account = account(spaceOf(p.name), m.number<<20|m.asked%m.accounts)
		}
		if s.eventAt("outage", now) != nil && q.endpoint.Kind == "login" {
			success = false
		}
	}
	m.asked++
	if p.Keeps && q.session == 0 {
		q.session = r.next() >> 1
	}
	if m.accounts > 0 { // one session for each account that it looks after
		q.session = r.next() >> 1
	}
	s.answers(q, r, success)
	if q.status == 200 && strings.Contains(p.Agent, "bot") && r.chance(0.15) {
		q.status, q.bytes = 304, 0
	}
	s.send(q, now)
	if success && m.accounts > 0 && len(p.resolved) > 1 {
		m.follow = p.resolved[1+r.below(uint64(len(p.resolved)-1))]
		return now + 300e6 + r.around(400e6, usual)
	}
	return m.later(now)
}

// later is when a machine comes again.
func (m *machine) later(now int64) int64 {
	steady := float64(m.every * (1 - m.population.Jitter))
	rest := int64(float64(m.every * m.population.Jitter))
	return now + max(int64(steady)+m.random.wait(rest), 1)
}

// item is what is asked for: the next one, any, what everybody asks for, or
// always the same.
func item(which string, r *random, asked, items uint64) uint64 {
	switch which {
	case "next":
		return asked % items
	case "any":
		return r.below(items)
	case "sparse": // numbers of cards, of which few are anybody's
		return 4000000000 + r.below(6000000000)
	case "popular":
		return popular(r, items)
	case "new": // one that nobody asked for
		return items + asked
	}
	return 0
}
