package score

import (
	"fmt"
	"math"
	"testing"
	"time"

	"weir/event"
)

func TestKnownOnesAreSparedOnceThereIsADay(t *testing.T) {
	r := newRig(t, attack, honest)
	ask := func(label string, day, h, m int, ip string, status int) {
		q := request{ip: ip, status: status}
		if status == 404 { // asks, and says nothing about who asks
			q.path = "/about"
		}
		r.send(label, time.Duration(day)*24*time.Hour+time.Duration(h)*time.Hour+time.Duration(m)*time.Minute, q)
	}
	ask(honest, 0, 0, 0, "192.0.2.9", 404) // the state begins
	ask(honest, 0, 1, 0, "192.0.2.1", 200) // a regular
	ask(honest, 0, 1, 1, "192.0.2.2", 200) // succeeded as often as it failed
	ask(honest, 0, 1, 2, "192.0.2.2", 401)
	ask(honest, 0, 23, 0, "192.0.2.1", 404) // in the first day nothing is known, so nothing is done
	ask(honest, 1, 0, 30, "192.0.2.1", 404) // spared
	ask(honest, 1, 0, 31, "192.0.2.2", 404) // not
	ask(honest, 1, 0, 32, "192.0.2.3", 404) // a stranger
	ask(honest, 1, 1, 0, "192.0.2.4", 200)  // succeeds, and is a stranger still
	ask(honest, 1, 2, 59, "192.0.2.4", 404) // known from the hour after the next on: not yet (its hour ends at 2:00)
	ask(honest, 1, 3, 0, "192.0.2.4", 404)  // now
	ask(honest, 7, 2, 59, "192.0.2.1", 404) // seven days before the last hour but one, its success counts
	ask(honest, 7, 3, 0, "192.0.2.1", 404)
	d := decision(0, 30*24*time.Hour, event.Challenge, "endpoint", "POST /about")
	d.Except = "known(ip)"
	r.decide(d)
	got := people(t, r.must(), honest)
	eq(t, "challenged", got.Hurt[byWeir].Requests, Hits{Challenged: 4})
	eq(t, "addresses", got.Hurt[byWeir].Addresses, Hits{Challenged: 4})
}

func TestRefusedLinesMakeNobodyKnown(t *testing.T) {
	r := newRig(t, honest)
	line := `{"time":%q,"ip":"192.0.2.1","method":"POST","request_uri":%q,"status":200,"refused":%q}`
	put := func(after time.Duration, path, refused string) {
		at := began.Add(after)
		r.raw(honest, fmt.Sprintf(line, at.Format(time.RFC3339), path, refused))
		r.truth.Until = at
	}
	put(0, "/login", "challenge") // it succeeded, says the line
	put(25*time.Hour, "/about", "")
	d := decision(0, 48*time.Hour, event.Challenge, "endpoint", "POST /about")
	d.Except = "known(ip)"
	r.decide(d)
	eq(t, "challenged", people(t, r.must(), honest).Hurt[byWeir].Requests.Challenged, 1)
}

func TestVisitorsAreKnownWhereNothingSaysWhatCameOfARequest(t *testing.T) {
	for _, c := range []struct {
		paths []string
		must  int64
	}{
		{[]string{"/a", "/b.css"}, 1},       // two requests are no visit
		{[]string{"/a", "/b", "/c"}, 1},     // nor are three without what a page is made of
		{[]string{"/a", "/b", "/c.css"}, 0}, // these are
	} {
		r := newRig(t, honest)
		r.log.Unjudged = true
		for i, p := range c.paths {
			r.send(honest, time.Duration(i)*time.Second, request{ip: "192.0.2.1", path: p, print: "p"})
		}
		r.send(honest, 3*time.Hour, request{ip: "192.0.2.1", path: "/d", print: "p"}) // a visitor's try
		r.send(honest, 26*time.Hour, request{ip: "192.0.2.1", path: "/about", print: "p"})
		d := decision(0, 48*time.Hour, event.Challenge, "endpoint", "POST /about")
		d.Except = "known(ip)"
		r.decide(d)
		eq(t, fmt.Sprint(c.paths), people(t, r.must(), honest).Hurt[byWeir].Requests.Challenged, c.must)
	}
}

func TestLinesFromTheFutureDoNotMoveTheClock(t *testing.T) {
	c := secondClock{disorder: int64(2 * time.Second), lateness: 3600, max: math.MinInt64}
	at := func(s int64) *event.Event { return &event.Event{Time: s * int64(time.Second)} }
	for i, step := range []struct {
		at, second int64
		counts     bool
	}{
		{1000, 1000, true},
		{1000 + 3*86400, 1000 + 3*86400, false}, // alone
		{1001, 1001, true},
		{998, 999, true}, // late: the watermark is 999
		{1001 + 3*86400, 1001 + 3*86400, false},
		{1002 + 3*86400, 1002 + 3*86400, true}, // the second one says so, too
		{3 * 86400, 3 * 86400, true},           // within the lateness, in the watermark's second
		{2000, 2000, false},                    // too late
	} {
		ev := at(step.at)
		if is := c.pass(ev); is != step.counts {
			t.Errorf("step %d counts: %v", i, is)
		}
		if step.counts && ev.Second < step.second {
			t.Errorf("step %d: second %d, must be %d or later", i, ev.Second, step.second)
		}
	}
}

func TestOnlySuccessesOfCustomersMakeKnown(t *testing.T) {
	for _, c := range []struct {
		path, user string
		must       int64
	}{
		{"/login", "", 0},
		{"/signup", "", 1},   // anybody can make an account
		{"/checkout", "", 1}, // and buy as a guest
		{"/checkout", "ann", 0},
	} {
		r := newRig(t, honest)
		r.send(honest, 0, request{ip: "192.0.2.1", path: c.path, user: c.user, status: 200})
		r.send(honest, 26*time.Hour, request{ip: "192.0.2.1", path: "/about", status: 404})
		d := decision(0, 48*time.Hour, event.Challenge, "endpoint", "POST /about")
		d.Except = "known(ip)"
		r.decide(d)
		eq(t, c.path+" by "+c.user, people(t, r.must(), honest).Hurt[byWeir].Requests.Challenged, c.must)
	}
}
