package score

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"weir/event"
)

const attack, honest = "attack/a/1", "honest/homes"

// every sends requests at one second each, from 0 to before n.
func (r *rig) every(label string, n int, q request) {
	for i := range n {
		r.send(label, time.Duration(i)*time.Second, q)
	}
}

func TestADecisionStopsFromItsDelayUntilItsEnd(t *testing.T) {
	r := newRig(t, attack, honest)
	r.every(attack, 100, request{ip: "192.0.2.1"})
	r.decide(decision(10*time.Second, 30*time.Second, event.Block, "ip", "192.0.2.1"))
	p := part(t, r.must(), attack)
	s := p.Stopped[byWeir]
	eq(t, "blocked", s.Blocked, 25) // from second 15 to before 40
	eq(t, "share", s.BlockedShare, 0.25)
	eq(t, "first", s.First.After, 15)
	eq(t, "let through before", s.First.Through, 15)
	eq(t, "let through", s.Through, 75)
	if s.Ninety != nil {
		t.Errorf("nine in ten reached at %v, must be never", s.Ninety)
	}
	eq(t, "missed", p.Missed, Missed{Requests: 75, BeforeAny: 15, TooSoon: 10, OnItsWay: 5, RanOut: 60})
}

func TestWithoutDelayItStopsInItsSecond(t *testing.T) {
	r := newRig(t, attack)
	r.every(attack, 20, request{ip: "192.0.2.1"})
	r.decide(decision(10*time.Second, time.Hour, event.Block, "ip", "192.0.2.1"))
	r.how.Delay = 0
	eq(t, "blocked", part(t, r.must(), attack).Stopped[byWeir].Blocked, 10)
}

func TestNineInTenIsOfTheLastHundred(t *testing.T) {
	r := newRig(t, attack)
	r.every(attack, 300, request{ip: "192.0.2.1"})
	r.decide(decision(45*time.Second, time.Hour, event.Block, "ip", "192.0.2.1"))
	s := part(t, r.must(), attack).Stopped[byWeir]
	eq(t, "nine in ten", s.Ninety.After, 139) // 50 to 139 stopped, 40 to 49 not
	eq(t, "let through", s.Ninety.Through, 50)
}

func TestATargetIsAConjunctionOfWhatTheEngineSees(t *testing.T) {
	r := newRig(t, attack)
	r.send(attack, 0, request{ip: "192.0.2.1", print: "p1"})
	r.send(attack, 10*time.Second, request{ip: "192.0.2.1", print: "p1"})                      // both
	r.send(attack, 11*time.Second, request{ip: "192.0.2.1", print: "p2"})                      // another print
	r.send(attack, 12*time.Second, request{ip: "192.0.2.1", print: "p1", path: "/products/7"}) // another endpoint
	r.send(attack, 13*time.Second, request{ip: "2001:db8::1", path: "/products/8"})            // by its /64
	r.send(attack, 14*time.Second, request{ip: "198.51.100.9"})                                // by its net
	r.send(attack, 15*time.Second, request{ip: "192.0.2.3", user: " Ann "})                    // by the pseudonym
	r.decide(
		decision(0, time.Hour, event.Block, "endpoint", "POST /login", "fingerprint", "p1"),
		decision(0, time.Hour, event.Deceive, "ip", "2001:db8::/64"),
		decision(0, time.Hour, event.Challenge, "net", "198.51.100.0/24", "endpoint", "POST /login"),
		decision(0, time.Hour, event.Challenge, "credential", enrichedCredential("ann")),
	)
	got := part(t, r.must(), attack)
	eq(t, "hits", got.Stopped[byWeir].Hits, Hits{Blocked: 1, Deceived: 1, Challenged: 2})
	eq(t, "never", got.Missed.Never, 2)
}

func TestWhatTargetsAskForIsFilledIn(t *testing.T) {
	r := newRig(t, attack)
	for i, agent := range []string{"curl/8.5.0", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"} {
		r.raw(attack, fmt.Sprintf(`{"time":"2026-03-02T00:01:0%dZ","ip":"192.0.2.1","method":"GET","request_uri":"/","status":200,"agent":%q}`, i, agent))
	}
	r.decide(decision(0, time.Hour, event.Block, "agent_family", "curl"))
	eq(t, "blocked", part(t, r.must(), attack).Stopped[byWeir].Blocked, 1)
}

func TestTheStrongestCounts(t *testing.T) {
	for _, c := range []struct {
		actions []event.Action
		must    Hits
	}{
		{[]event.Action{event.Alert, event.Challenge, event.Deceive, event.Block}, Hits{Blocked: 1}},
		{[]event.Action{event.Deceive, event.Alert, event.Challenge}, Hits{Deceived: 1}},
		{[]event.Action{event.Challenge, event.Alert}, Hits{Challenged: 1}},
		{[]event.Action{event.Alert}, Hits{Alerted: 1}},
		{nil, Hits{}},
	} {
		r := newRig(t, attack)
		r.send(attack, time.Minute, request{ip: "192.0.2.1"})
		for i, a := range c.actions {
			d := decision(0, time.Hour, a, "ip", "192.0.2.1")
			d.Rule = fmt.Sprintf("test.rule%d", i)
			r.decide(d)
		}
		eq(t, fmt.Sprint(c.actions), part(t, r.must(), attack).Stopped[byWeir].Hits, c.must)
	}
}

func TestWhatTheLogSaysOfRefusalsIsNotLookedAt(t *testing.T) {
	r := newRig(t, attack)
	r.raw(attack, `{"time":"2026-03-02T00:00:00Z","ip":"192.0.2.1","method":"POST","request_uri":"/login","status":403,"refused":"block"}`)
	eq(t, "blocked", part(t, r.must(), attack).Stopped[byWeir].Blocked, 0)
}

func TestTheBoundOfAnAddressListIsWhatRepeats(t *testing.T) {
	r := newRig(t, "attack/a/1", "attack/a/2")
	for i := range 10 {
		r.send("attack/a/1", time.Duration(i)*time.Second, request{ip: fmt.Sprintf("192.0.2.%d", i%5+1)})
		r.send("attack/a/2", time.Duration(i)*time.Minute, request{ip: fmt.Sprintf("198.51.100.%d", i+1), user: "u", print: "p"})
	}
	r.send("attack/a/2", time.Hour, request{ip: "192.0.2.1"}) // learned in the first phase
	out := r.must()
	one, both := part(t, out, "attack/a/1"), part(t, out, "attack/a")
	eq(t, "addresses", one.Addresses, 5)
	eq(t, "bound", one.AddressBound, 0.5)
	eq(t, "bound of networks", one.NetworkBound, 0.9)
	eq(t, "addresses of both", both.Addresses, 15)
	eq(t, "bound of both", both.AddressBound, 6.0/21)
	eq(t, "networks of both", both.Networks, 2)
	eq(t, "accounts", both.Accounts, 1)
	eq(t, "fingerprints", both.Fingerprints, 1)
}

func TestWhomItHurt(t *testing.T) {
	r := newRig(t, attack, honest, "honest/office")
	r.send(attack, 0, request{ip: "192.0.2.1", print: "bad"})
	for i := range 4 { // four people behind the address that attacks, one of them with its print
		q := request{ip: "192.0.2.1", user: fmt.Sprint("n", i), print: "own"}
		if i == 0 {
			q.print = "bad"
		}
		r.send(honest, time.Minute, q)
	}
	r.send(honest, time.Minute, request{ip: "192.0.2.2", user: "n0", print: "bad"})
	r.send("honest/office", time.Minute, request{ip: "192.0.2.3", user: "n0"})
	r.send("honest/office", time.Minute, request{ip: "192.0.2.3", user: "o"})
	r.decide(
		decision(0, time.Hour, event.Block, "ip", "192.0.2.1"),
		decision(0, time.Hour, event.Challenge, "fingerprint", "bad"),
	)
	out := r.must()
	h := people(t, out, honest)
	w := h.Hurt[byWeir]
	eq(t, "requests", w.Requests, Hits{Blocked: 4, Challenged: 1})
	eq(t, "addresses", w.Addresses, Hits{Blocked: 1, Challenged: 1})
	eq(t, "accounts", w.Accounts, Hits{Blocked: 4})
	eq(t, "share", w.BlockedShare, 0.8)
	eq(t, "on clean", w.Clean, Sharing{Values: 1, Requests: 1, Hits: Hits{Challenged: 1}, MilderShare: 1})
	eq(t, "on shared", w.Shared, Sharing{Values: 1, Requests: 4, Hits: Hits{Blocked: 4}, BlockedShare: 1})
	eq(t, "on prints", w.Prints, Sharing{Values: 1, Requests: 2, Hits: Hits{Blocked: 1, Challenged: 1}, BlockedShare: 0.5, MilderShare: 0.5})
	eq(t, "all accounts", out.Honest.Accounts, 5)
	eq(t, "all accounts blocked", out.Honest.Hurt[byWeir].Accounts.Blocked, 4)
	eq(t, "office", people(t, out, "honest/office").Hurt[byWeir].Requests, Hits{})
	eq(t, "most hit first", out.Populations[0].Label, honest)
}

func TestARuleIsCreditedWithTheStrongest(t *testing.T) {
	r := newRig(t, attack, honest)
	r.send(attack, time.Minute, request{ip: "192.0.2.1"})
	r.send(honest, time.Minute, request{ip: "192.0.2.1"})
	mild := decision(0, time.Hour, event.Challenge, "ip", "192.0.2.1")
	mild.Rule = "test.mild"
	r.decide(mild, decision(0, time.Hour, event.Block, "ip", "192.0.2.1"))
	rules := r.must().Rules
	eq(t, "rules", len(rules), 1)
	s := rules[0]
	eq(t, "rule", s.Rule, "test.rule")
	eq(t, "attacks", s.Attacks, Hits{Blocked: 1})
	eq(t, "honest people", s.Honest, Hits{Blocked: 1})
	eq(t, "labels", len(s.Labels), 2)
	for i, label := range []string{attack, honest} { // as often stopped: by their names
		eq(t, "label", s.Labels[i], LabelShare{label, Hits{Blocked: 1}})
	}
}

func TestARuleThatTheBreakerHeldIsTold(t *testing.T) {
	r := newRig(t, attack)
	r.send(attack, time.Minute, request{ip: "192.0.2.1"})
	r.decide(decision(0, time.Hour, event.Block, "ip", "192.0.2.1"))
	at := began.Add(time.Minute)
	fmt.Fprintf(&r.ledger, `{"v":1,"event":"tripped","rule":"ato.low_and_slow","sum":5,"site":572,"entries":0,"at":%q,"reason":"x"}`+"\n", at.Format(time.RFC3339))
	out := r.must()
	eq(t, "rules that were held", len(out.Tripped), 1)
	eq(t, "the rule", out.Tripped[0], Trip{Rule: "ato.low_and_slow", At: at, Regulars: 5, Site: 572})
}

func TestTheTimelineAddsUp(t *testing.T) {
	r := newRig(t, attack, honest)
	r.every(attack, 90, request{ip: "192.0.2.1"})
	r.every(honest, 30, request{ip: "192.0.2.2"})
	r.decide(decision(10*time.Second, time.Hour, event.Block, "ip", "192.0.2.1"), decision(40*time.Second, 10*time.Second, event.Challenge, "ip", "192.0.2.2"))
	tl := r.must().Timeline
	sum := func(s []int64) (n int64) {
		for _, v := range s {
			n += v
		}
		return n
	}
	eq(t, "width", tl.Width, 1)
	eq(t, "attack", sum(tl.Lanes[0].Requests), 90)
	eq(t, "hard", sum(tl.Lanes[0].Hard), 75)
	eq(t, "the first stopped bucket", tl.Lanes[0].Hard[15], 1)
	eq(t, "before it", tl.Lanes[0].Hard[14], 0)
	eq(t, "honest", sum(tl.Lanes[1].Requests), 30)
	eq(t, "list", fmt.Sprint(tl.List[13:17]), "[0 0 1 1]")
	eq(t, "list with both", tl.List[47], 2)
	eq(t, "list after", tl.List[60], 1)
	eq(t, "rules", len(tl.Rules), 1)
	eq(t, "moments", fmt.Sprint(tl.Rules[0].New), "[[15 1] [45 1]]")
}

func TestWhatTheSourcePassesByIsNoRequest(t *testing.T) {
	r := newRig(t, honest)
	r.every(honest, 3, request{ip: "192.0.2.1"})
	r.send(honest, time.Minute, request{ip: "192.0.2.2"})
	r.log.Only = func(ev *event.Event) bool { return ev.IP.String() != "192.0.2.2" }
	out := r.must()
	eq(t, "requests", out.Events, 3)
	eq(t, "passed by", out.Filtered, 1)
	eq(t, "honest", out.Honest.Requests, 3)
}

func TestEmptyPartsAreNoFault(t *testing.T) {
	r := newRig(t, attack, honest)
	r.send(honest, 0, request{ip: "192.0.2.1"})
	out := r.must()
	eq(t, "requests", part(t, out, attack).Requests, 0)
	eq(t, "share", part(t, out, attack).Stopped[byWeir].StoppedShare, 0)
	if !part(t, out, attack).From.IsZero() {
		t.Error("a phase without requests has a beginning")
	}
}

func TestBrokenLinesAreCountedAndHaveLabels(t *testing.T) {
	r := newRig(t, attack, honest)
	r.send(honest, 0, request{ip: "192.0.2.1"})
	r.raw(honest, "{")
	r.raw(honest, strings.Repeat("x", 70<<10)) // too long to be returned at all
	r.raw(honest, strings.Repeat("x", 70<<10))
	r.send(attack, time.Second, request{ip: "192.0.2.1"})
	r.raw(attack, strings.Repeat("x", 70<<10))
	out := r.must()
	eq(t, "lines", out.Lines, 6)
	eq(t, "broken", out.Broken, 4)
	eq(t, "attack", part(t, out, attack).Requests, 1)
	eq(t, "honest", people(t, out, honest).Requests, 1)
}

// With another site file the endpoints of the replay have other names, and nothing is stopped.
func TestEndpointsThatNoLineHasAreTold(t *testing.T) {
	r := newRig(t, honest)
	r.send(honest, time.Minute, request{ip: "192.0.2.1"})
	r.decide(decision(0, time.Hour, event.Block, "endpoint", "POST /login"))
	if got := r.must().Unmet; len(got) > 0 {
		t.Errorf("of an endpoint that is there: %q", got)
	}
	r.decide(decision(0, time.Hour, event.Block, "ip", "192.0.2.2", "endpoint", "POST /enter"))
	if got := r.must().Unmet; len(got) != 1 || got[0] != "POST /enter" {
		t.Errorf("of one that is not: %q", got)
	}
}
