package simulate

import (
	"math/bits"
	"net/netip"
)

// attack is a phase of a campaign: one mind behind many addresses. Whatever is
// not a matter of the moment is worked out of the number of a try, so that a
// million proxies take no memory.
type attack struct {
	phase     *Phase
	arrivals  arrivals
	addresses uint64
	tries     uint64 // so far
	seed      random
	places    random    // of which addresses there are
	through   []machine // who hand on what they are sent
	says      []client
	homes     []uint64 // how many addresses the populations inside have
	victims   uint64   // accounts of the population whose are on the list
	list      uint64
	bits      uint

	changed adaptation
}

// attack has a phase begin.
func (s *Stream) attack(p *Phase) {
	k := &s.scenario.Knobs
	size := float64(s.scale * k.AttackSize)
	if p.Fixed {
		size = k.AttackSize
	}
	requests := max(float64(p.Requests*size), 1)
	a := &attack{phase: p, seed: stream(s.seed, p.campaign+" "+p.name)}
	a.addresses = uint64(max(float64(p.Addresses*size), 1))
	if p.Addresses == 0 {
		a.addresses = max(uint64(requests)*2, 1)
	}
	a.bits = uint(bits.Len64(a.addresses - 1))
	a.list = max(uint64(float64(p.List*size)), 1)
	if p.List == 0 {
		a.list = max(uint64(requests), 1)
	}
	for _, name := range p.Inside {
		in := s.scenario.Honest[name]
		a.homes = append(a.homes, s.places(in))
	}
	if of := s.scenario.Honest[p.Of]; of != nil {
		a.victims = s.honest(of, of.Users)
	}
	a.places = a.seed
	if p.SameAs != "" {
		a.places = stream(s.seed, p.campaign+" "+p.SameAs)
	}
	if through := s.scenario.Honest[p.Through]; through != nil {
		a.through = s.relays(through)
	}
	if p.Says != "" {
		a.says = s.clients.of(p.Says)
	}
	// Twice the pace is half the time, for as many requests.
	span := int64(float64(p.For) / k.AttackPace)
	shape := s.shape(p, span)
	a.arrivals = arrivals{
		random: a.seed, now: int64(p.Start), until: min(int64(p.Start)+span, s.until), height: shape,
	}
	// The shape's mean over the phase must be 1, so that the requests come out.
	var sum, steps float64
	for t := int64(p.Start); t < int64(p.Start)+span; t += min(quickStep, span) {
		sum += shape(t)
		steps++
	}
	a.arrivals.rate = requests / float64(span) * steps / max(sum, 1e-9)
	if p.Burst > 0 {
		a.arrivals.step = quickStep
	}
	if first, ok := a.arrivals.next(); ok {
		s.begin(first, a.seed.state, a)
	}
}

// shape is how a phase's pace changes.
func (s *Stream) shape(p *Phase, span int64) func(t int64) float64 {
	shape := func(int64) float64 { return 1 }
	switch p.Shape {
	case "ramp": // up to a peak in the middle, and down again
		shape = func(t int64) float64 {
			x := float64(t-int64(p.Start)) / float64(span)
			return 0.15 + float64(3.4*min(x, 1-x))
		}
	case "site":
		shape = s.curve("site")
	case "night":
		day := s.curve("site")
		shape = func(t int64) float64 { return max(0.05, 2-day(t)) }
	}
	if p.Burst == 0 {
		return shape
	}
	always, period := shape, int64(p.Burst+p.Pause)
	return func(t int64) float64 {
		round := (t - int64(p.Start)) / period
		// Bursts begin when somebody starts them, not on the hour.
		off := int64(stream(s.seed, p.name, uint64(round)).state % uint64(max(int64(p.Pause), 1)))
		if in := (t-int64(p.Start))%period - off; in < 0 || in >= int64(p.Burst) {
			return 0
		}
		return always(t)
	}
}

// act makes one try.
func (a *attack) act(s *Stream, now int64) int64 {
	e := s.errand()
	a.equip(s, e, now)
	a.tries++
	at, more := a.arrivals.next()
	if a.changed.slower > 0 {
		at += a.changed.slower * (at - now)
		a.arrivals.now = at
	}
	if len(e.steps) == 1 {
		e.act(s, now)
		s.done(e)
	} else {
		s.begin(now+1, e.random.state, e)
	}
	if !more {
		return 0
	}
	return at
}

// equip makes a try: from where, as whom, with what, at what.
func (a *attack) equip(s *Stream, e *errand, now int64) {
	p := a.phase
	n := a.tries
	*e = errand{attack: a, random: stream(a.seed.state, "try", n), steps: e.steps[:0]}
	r, q := &e.random, &e.request
	index, use := a.source(r, n)
	burst := uint64(0)
	if p.Fresh {
		burst = 1 + uint64(now-int64(p.Start))/uint64(p.Burst+p.Pause)
	}
	*q = request{label: p.label, addr: a.address(s, index, burst), forged: p.Forged, consumer: p.Consumer}
	if len(a.through) > 0 {
		m := &a.through[r.below(uint64(len(a.through)))]
		q.addr, q.consumer, e.client = m.request.addr, m.request.consumer, m.client
		q.client = &e.client
	} else {
		a.disguise(e, index, n)
	}
	a.choose(s, e, n)
	switch p.Session {
	case "new":
		q.session = r.next() >> 1
	case "kept":
		q.session = stream(a.seed.state, "session", index, use/uint64(max(p.Rotate, 1<<30*btoi(p.Rotate == 0)))).state >> 1
	}
	if r.chance(p.Human) {
		e.human = true
		if q.session == 0 && p.Session != "none" {
			q.session = r.next() >> 1
		}
		for _, before := range p.before {
			e.steps = append(e.steps, errandStep{endpoint: before})
			for range 1 + r.below(uint64(2*s.scenario.Site.Assets)+1) {
				e.steps = append(e.steps, errandStep{endpoint: s.scenario.roles.asset, item: r.below(400)})
			}
		}
	} else if p.Human == 0 {
		for _, before := range p.before {
			e.steps = append(e.steps, errandStep{endpoint: before})
		}
	}
	e.steps = append(e.steps, errandStep{endpoint: e.target, item: e.item, main: true})
	if e.success {
		for _, after := range p.after {
			e.steps = append(e.steps, errandStep{endpoint: after, item: e.item})
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// source is the number of the address that a try comes from, and how often that
// one was used before.
func (a *attack) source(r *random, n uint64) (index, use uint64) {
	if a.phase.Addresses == 0 {
		return n, 0
	}
	if a.phase.Skewed {
		return r.skewed(a.addresses), n / a.addresses
	}
	// Each address once, in some order, and then each once again in another.
	use = n / a.addresses
	for index = n % a.addresses; ; {
		if index = permute(index, a.bits, a.seed.state+use); index < a.addresses {
			return index, use
		}
	}
}

// address is where the number of an address lies.
func (a *attack) address(s *Stream, index, burst uint64) netip.Addr {
	p := a.phase
	kind := p.Network
	if a.changed.network != "" {
		kind = a.changed.network
	}
	key := stream(s.seed, "addresses").state
	own := stream(a.places.state, "address", index, burst, a.changed.addresses)
	if len(a.homes) > 0 && own.chance(p.InsideShare) {
		at := own.below(uint64(len(a.homes)))
		return s.addressOf(s.scenario.Honest[p.Inside[at]], own.below(min(a.homes[at], a.addresses)))
	}
	// Beyond the customers', in a part of the network that is the attacker's.
	from := room(kind) / 4
	span := room(kind) - from
	offset := stream(a.places.state, "part", burst, a.changed.addresses).state
	return addressOf(kind, from+(offset+index)%span, key)
}

// disguise is what a try looks like.
func (a *attack) disguise(e *errand, index, n uint64) {
	p, r := a.phase, &e.random
	by := stream(a.seed.state, "client", index, a.changed.addresses)
	switch p.Fingerprint {
	case "borrowed": // a real browser, the same one from the same address
		e.client = a.says[by.below(uint64(len(a.says)))]
		e.request.language = languages[by.skewed(uint64(len(languages)))]
	case "rotating": // another one for every request, which nobody ever had
		e.client = a.says[r.below(uint64(len(a.says)))]
		e.client.ja4 = ja4Of(e.client.ja4[:10], a.seed.state, n)
		e.request.language = languages[r.skewed(uint64(len(languages)))]
	default:
		own := stream(0, p.Tool)
		e.client = toolClient(a.says, p.Tool, a.changed.fingerprint, &own)
		if p.Says == "browsers" {
			e.request.language = "en-US,en;q=0.9"
		}
	}
	e.request.client = &e.client
}

// choose is what is tried, and what comes of it.
func (a *attack) choose(s *Stream, e *errand, n uint64) {
	p, r := a.phase, &e.random
	e.target = p.targets[r.below(uint64(len(p.targets)))]
	e.item = item(p.Items, r, n, s.scenario.Site.Items)
	if e.target.Copies > 1 {
		e.item = r.below(uint64(e.target.Copies))
	}
	e.success = r.chance(p.Hits)
	switch e.target.Kind {
	case "login", "signup", "reset":
	default:
		return
	}
	space := spaceOf(p.campaign)
	line := n % a.list
	switch {
	case p.Own > 0 && r.chance(p.OwnShare):
		e.account, e.success = account(spaceOf(p.campaign+" own"), r.below(max(uint64(p.Own), 1))), true
	case a.victims > 0 && (e.success && e.target.Kind == "login" || stream(a.seed.state, "line", line).first(p.Known)):
		e.account = account(spaceOf(p.Of), mix(line)%a.victims)
	default:
		e.account = account(space, line)
	}
	e.named = true
	if e.target.Kind == "login" && s.eventAt("outage", s.now) != nil {
		e.success = false
	}
}

// first reports a chance without moving on.
func (r random) first(p float64) bool { return r.chance(p) }
