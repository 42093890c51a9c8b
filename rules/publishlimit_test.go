package rules

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"weir/event"
)

const factsTrait = `id: f.strangers
version: 1
key: endpoint
where: kind == "login"
features:
  strangers: count("1h", not known(ip))
  fresh: count("1h", not seen(session))
when: strangers + fresh >= 1000000
then: {challenge: endpoint, except: known(ip), for: 1m}
`

// population is a state to which ten addresses came that are known, with fifteen
// sessions, and five visitors, more than a day before the tick that it returns.
func population(t *testing.T, units int, limits Limits) (l *life, tick int64) {
	t.Helper()
	l = newLife(NewState(storyPlan(t, PlanOptions{Visits: true}, factsTrait), units, limits, enforced, named), units)
	begin := int64(1_780_000_000) / 3600 * 3600
	second := storySecond{at: begin}
	add := func(ip byte, session, credential string, kind event.Kind) {
		var e event.Event
		e.Reset()
		e.Second, e.Offset, e.IP = begin, int64(len(second.events)), netip.AddrFrom4([4]byte{198, 51, 100, ip})
		e.Session, e.Credential, e.Kind, e.Endpoint = session, credential, kind, "GET /"+kind.String()
		if e.Outcome = event.Success; session == "" {
			e.Outcome, e.Unjudged = event.NoOutcome, true
		}
		second.events = append(second.events, e)
	}
	for i := range 15 {
		add(byte(i%10), fmt.Sprint("session ", i), "", event.Login)
	}
	for i := range 3 * 5 {
		add(200, "", fmt.Sprint("visitor ", i%5), event.Asset)
	}
	l.second(second)
	l.now = begin + 1
	tick = begin + 30*3600
	l.to(tick)
	return l, tick
}

// Of too many values facts are left out as a whole, those of the most first, and
// the same in any number of units.
func TestFactsThatThereIsNoRoomForAreUndefined(t *testing.T) {
	comes := func(ip byte, session, credential string) *event.Event {
		var e event.Event
		e.Reset()
		e.IP, e.Session, e.Credential = netip.AddrFrom4([4]byte{198, 51, 100, ip}), session, credential
		return &e
	}
	all := []string{"seen(session)", "known(ip)", "visits"} // 15, 10 and 5 values
	for _, c := range []struct{ values, out, dropped int }{
		{0, 0, 0}, {30, 0, 0}, {29, 1, 15}, {15, 1, 15}, {14, 2, 25}, {5, 2, 25}, {4, 3, 30},
	} {
		for _, units := range []int{1, 4} {
			limits := Limits{Published: int64(c.values) * standingsKept * factBytes}
			l, tick := population(t, units, limits)
			before := l.st.Totals().Shed.Facts
			l.to(tick + 3600)
			s := l.standing[tick+3600]
			name := fmt.Sprintf("%d values in %d units", c.values, units)
			if !slices.Equal(s.LeftOut(), all[:c.out]) {
				t.Errorf("%s: %v are left out, want %v", name, s.LeftOut(), all[:c.out])
			}
			if got := l.st.Totals().Shed.Facts - before; got != int64(c.dropped) {
				t.Errorf("%s: %d are counted, want %d", name, got, c.dropped)
			}
			again, err := ReadStanding(s.Append(nil), l.st.plan)
			if err != nil || !bytes.Equal(again.Append(nil), s.Append(nil)) {
				t.Errorf("%s: comes back as %v, %v", name, again, err)
				continue
			}
			for _, s := range []*Standing{s, again} {
				sees, knows, visits := c.out < 1, c.out < 2, c.out < 3
				if s.Tells(Seen, event.FieldSession) != sees || s.Tells(Known, event.FieldIP) != knows || l.st.knows(event.FieldIP, tick+2*3600) != knows {
					t.Errorf("%s: sees of sessions %v, knows of addresses %v", name, s.Tells(Seen, event.FieldSession), s.Tells(Known, event.FieldIP))
				}
				if got := s.Is(Seen, comes(0, "session 14", ""), event.FieldSession); got != sees {
					t.Errorf("%s: a session was seen: %v", name, got)
				}
				if got := s.Is(Known, comes(9, "", ""), event.FieldIP); got != knows {
					t.Errorf("%s: an address is known: %v", name, got)
				}
				for i := range 5 {
					if !s.Visited(comes(200, "", fmt.Sprint("visitor ", i))) {
						t.Errorf("%s: visitor %d is none", name, i)
					}
				}
				if s.Visited(comes(200, "", "somebody")) == visits {
					t.Errorf("%s: who did not visit is a visitor: %v", name, visits)
				}
			}
		}
	}
}

// A state that is opened again knows what was left out before.
func TestWhatWasLeftOutIsKnownToAStateThatGoesOn(t *testing.T) {
	l, tick := population(t, 1, Limits{Published: 14 * standingsKept * factBytes})
	s := l.standing[tick]
	to := newState(l.st.plan, 1, Limits{}, enforced, named)
	to.units, to.start = l.st.units, l.st.start
	if !to.knows(event.FieldIP, tick+3600) {
		t.Fatal("it is undefined before anybody says so")
	}
	to.Published(tick, s)
	if to.knows(event.FieldIP, tick+3600) || !to.knows(event.FieldIP, tick+2*3600) {
		t.Errorf("known(ip) is defined %v in the hour that it was left out of, %v in the next one", to.knows(event.FieldIP, tick+3600), to.knows(event.FieldIP, tick+2*3600))
	}
	to.Published(tick+standingsKept*3600, s)
	if len(to.standing) != 1 {
		t.Errorf("the facts of %d hours are kept", len(to.standing))
	}
}
