package simulate

import "weir/event"

// errand is one try of an attacker and what it does before and after it.
type errand struct {
	attack  *attack
	random  random
	request request
	client  client
	target  *Endpoint
	item    uint64
	account uint64
	success bool
	named   bool
	human   bool
	steps   []errandStep
	at      int
}

type errandStep struct {
	endpoint *Endpoint
	item     uint64
	main     bool
}

// errand takes one that is done, or a new one.
func (s *Stream) errand() *errand {
	if n := len(s.errands); n > 0 {
		e := s.errands[n-1]
		s.errands = s.errands[:n-1]
		return e
	}
	return new(errand)
}

func (s *Stream) done(e *errand) int64 {
	s.errands = append(s.errands, e)
	return 0
}

// act sends the step that is due.
func (e *errand) act(s *Stream, now int64) int64 {
	st := &e.steps[e.at]
	q, r := &e.request, &e.random
	q.endpoint, q.item = st.endpoint, st.item
	q.account, q.accountSet = 0, false
	success := true
	if st.main {
		success = e.success
		q.account, q.accountSet = e.account, e.named
	}
	s.answers(q, r, success)
	if st.main && r.chance(e.attack.phase.Limited) {
		q.status, q.bytes, success = 429, 95, false
	}
	answer := s.send(q, now)
	// Who is deceived believes that he got what he wanted.
	e.attack.changed.learn(s, e.attack, stopped(answer) && answer != event.Deceive)
	e.at++
	if len(e.steps) == 1 {
		return 0 // its attack is who acts
	}
	if e.at == len(e.steps) || stopped(answer) || !success {
		return s.done(e)
	}
	if e.human && st.endpoint.Kind != "asset" {
		q.referer, q.refererTo = st.endpoint, st.item
	}
	return now + e.pause(e.steps[e.at].endpoint)
}

// pause is how long it takes until the next step: a program that plays a person
// waits like one, any other as long as its proxies take.
func (e *errand) pause(next *Endpoint) int64 {
	r := &e.random
	switch {
	case e.human && next.Kind == "asset":
		return 20e6 + r.around(90e6, usual)
	case e.human:
		return 2*second + r.around(6*second, usual)
	}
	return 150e6 + r.around(500e6, usual)
}
