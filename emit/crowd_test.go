package emit

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/event"
)

// crowd is a site of so many good accounts of which so many are behind an address.
func crowd(site float64, behind map[string]float64) func(event.Target) (float64, float64, bool) {
	return func(tg event.Target) (float64, float64, bool) {
		if len(tg) == 0 {
			return site, 9 * site, true
		}
		good, ok := behind[address(tg)]
		return good, 1000, ok
	}
}

// What is asked of an address behind which too many are is made milder or spared,
// whenever that is seen; its rule goes on, and so does what it asks of others.
func TestAnAddressAloneDoesNotTripARule(t *testing.T) {
	const one, other = "198.51.100.1", "198.51.100.99"
	nat := func(good float64, fields ...string) event.Decision {
		return behind(ruled("r", dawn, fields...), good, 1000)
	}
	for name, c := range map[string]struct {
		target         []string
		first, found   float64 // by the decision, by a review or renewal
		want, why, end string
	}{
		"decided":                {[]string{"ip", one}, 6, 6, "challenge", "6 regulars stand behind this address alone, of 1000 accounts that succeeded in 7 days, and more than 5 trip its rule; challenged instead", "new"},
		"decided, a carrier":     {[]string{"ip", one}, 60, 60, "", "60 regulars stand behind this address alone (they count as 6), of 1000 accounts that succeeded in 7 days, and more than 5 trip its rule", "held"},
		"of a net":               {[]string{"net", "198.51.100.0/24"}, 6, 6, "challenge", "6 regulars stand behind this address", "new"},
		"at an endpoint":         {[]string{"endpoint", "POST /login", "ip", one}, 60, 60, "", "60 regulars stand behind this address", "held"},
		"found later":            {[]string{"ip", one}, 0, 7, "challenge", "7 regulars stand behind this address alone, of 1000", "milder"},
		"found later, a carrier": {[]string{"ip", one}, 0, 70, "", "crowd: 70 regulars stand behind this address alone (they count as 7), of 1000", "withdrawn"},
		"not too many":           {[]string{"ip", one}, 4, 4, "block", "", "new"},
	} {
		for _, by := range []string{"review", "renewal"} {
			l := testLedger(t, &Guards{})
			l.sited(1000)
			d := nat(c.first, c.target...)
			bystander := ruled("r", dawn, "ip", other)
			l.add(bystander, d)
			if c.found != c.first {
				if by == "review" {
					l.review(crowd(1000, map[string]float64{one: c.found, other: 0}))
				} else {
					l.tick(40 * time.Minute)
					l.add(behind(renewal(d, l.clock.now), c.found, 1000))
				}
			}
			l.whole(t)
			got, last := "", Line{}
			for _, e := range l.InForce().Entries {
				if e.Decision.ID == d.ID {
					got = e.Action.String()
				}
			}
			for _, line := range l.Recent(maxRecent) {
				if line.Event == c.end && line.Decision.ID == d.ID {
					last = line
				}
			}
			if got != c.want || !strings.HasPrefix(last.Reason, c.why) || c.why == "" != (last.Reason == "") {
				t.Errorf("%s by %s: in force %q, want %q; said %q", name, by, got, c.want, last.Reason)
			}
			if len(l.Tripped()) != 0 || l.entries[forceKey(&bystander)] == nil {
				t.Errorf("%s by %s: tripped %v, in force %v", name, by, l.Tripped(), l.force())
			}
		}
	}
}

// Several entries at one address are one crowd; at several addresses, or about
// what people have everywhere, they trip their rule.
func TestACrowdIsOfOneAddress(t *testing.T) {
	some := func(ip, endpoint string, good float64) event.Decision {
		return behind(ruled("r", dawn, "endpoint", endpoint, "ip", ip), good, 1000)
	}
	at := func(ip, endpoint string) event.Decision { return some(ip, endpoint, 6) }
	l := testLedger(t, &Guards{})
	l.sited(2000)
	l.add(at("198.51.100.1", "POST /login"), at("198.51.100.1", "POST /api/login"))
	l.wantForce("challenge POST /login,198.51.100.1 1h0m0s", "challenge POST /api/login,198.51.100.1 1h0m0s")
	// A challenge of just less than half of what is too much stands, one of half does not.
	l.add(some("198.51.100.2", "POST /login", 49))
	l.wantForce("challenge POST /login,198.51.100.1 1h0m0s", "challenge POST /api/login,198.51.100.1 1h0m0s", "challenge POST /login,198.51.100.2 1h0m0s")
	l.add(some("198.51.100.3", "POST /login", 50))
	if held := l.Counts().Held[GuardCrowd]; held != 1 || len(l.force()) != 3 || len(l.Tripped()) != 0 {
		t.Errorf("%d held, in force %v, tripped %v", held, l.force(), l.Tripped())
	}
	l.add(some("198.51.100.4", "POST /login", 3.9))
	if len(l.Tripped()) != 0 {
		t.Errorf("tripped %v by 10 of 10", l.Tripped())
	}
	l.add(some("198.51.100.5", "POST /login", 4))
	if len(l.Tripped()) != 1 || len(l.force()) != 0 {
		t.Errorf("by several addresses: tripped %v, in force %v", l.Tripped(), l.force())
	}
	// What is over is of no crowd any more.
	l = testLedger(t, &Guards{})
	l.sited(1000)
	first := ruled("r", dawn, "endpoint", "POST /login", "ip", "198.51.100.1")
	l.add(first, behind(renewal(first, dawn.Add(time.Second)), 60, 1000), at("198.51.100.1", "POST /api/login"))
	l.whole(t)
	l.wantForce("challenge POST /api/login,198.51.100.1 1h0m0s")

	l = testLedger(t, &Guards{})
	l.sited(1000)
	l.add(behind(ruled("r", dawn, "fingerprint", "t13d"), 6, 1000))
	if len(l.Tripped()) != 1 {
		t.Error("a fingerprint of six does not trip its rule")
	}
}

// What is too much depends on the site, too, and on whether it is known.
func TestACrowdIsSeenWhenTheSiteChanges(t *testing.T) {
	const one, other = "198.51.100.1", "198.51.100.99"
	check := func(l *tester) {
		t.Helper()
		l.whole(t)
		if len(l.Tripped()) != 0 {
			t.Errorf("tripped %v", l.Tripped())
		}
		l.wantForce("challenge "+one+" 1h0m0s", "block "+other+" 1h0m0s")
	}
	l := testLedger(t, &Guards{})
	l.sited(2000)
	l.add(behind(ruled("r", dawn, "ip", one), 9, 1000), ruled("r", dawn, "ip", other))
	l.review(crowd(2000, map[string]float64{one: 9}))
	l.wantForce("block "+one+" 1h0m0s", "block "+other+" 1h0m0s")
	l.review(crowd(1700, map[string]float64{one: 9}))
	check(l)

	// A renewal says so before a weir that began again has seen the site.
	path, clock := filepath.Join(t.TempDir(), "ledger.jsonl"), &testClock{dawn}
	l = reopened(t, path, clock, &Guards{})
	l.sited(1000)
	d := ruled("r", dawn, "ip", one)
	l.add(d, ruled("r", dawn, "ip", other))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = reopened(t, path, clock, &Guards{})
	l.add(behind(renewal(d, clock.now), 8, 1000))
	l.wantForce("block "+one+" 1h0m0s", "block "+other+" 1h0m0s")
	l.review(crowd(1000, map[string]float64{one: 8}))
	check(l)
}

// What comes does not free what is there: it is held. What was there goes from the heaviest on, until
// the rest is no crowd.
func TestACrowdIsThinned(t *testing.T) {
	const one, two = "198.51.100.1", "198.51.100.2"
	asks := func(would event.Action, good float64, fields ...string) event.Decision {
		d := behind(ruled("r", dawn, fields...), good, 1000)
		d.Would = would
		return d
	}
	l := testLedger(t, &Guards{})
	l.sited(2000)
	l.add(asks(event.Challenge, 40, "endpoint", "POST /login", "ip", one), asks(event.Challenge, 40, "endpoint", "POST /api/login", "ip", one))
	l.wantForce("challenge POST /login,"+one+" 1h0m0s", "challenge POST /api/login,"+one+" 1h0m0s")
	l.add(asks(event.Challenge, 40, "endpoint", "POST /m/login", "ip", one))
	l.wantForce("challenge POST /login,"+one+" 1h0m0s", "challenge POST /api/login,"+one+" 1h0m0s")
	if held := l.Counts().Held[GuardCrowd]; held != 1 {
		t.Errorf("%d held", held)
	}

	// A limit is not made milder, a block with an exception is; of both the limit goes.
	l = testLedger(t, &Guards{})
	l.sited(2000)
	strangers := asks(event.Block, 4, "ip", one)
	strangers.Except = "known(credential)"
	l.add(strangers, asks(event.Block, 3, "endpoint", "POST /login", "ip", one))
	limit := ruled("r", dawn, "endpoint", "POST /api/login", "ip", one)
	limit.Would = event.Limit
	l.add(limit)
	l.review(func(tg event.Target) (float64, float64, bool) {
		if len(tg) == 0 {
			return 2000, 9000, true
		}
		_, api := value(tg, "endpoint")
		return map[bool]float64{true: 11, false: 4}[api], 1000, true
	})
	l.whole(t)
	if len(l.Tripped()) != 0 {
		t.Errorf("tripped %v", l.Tripped())
	}
	l.wantForce("challenge "+one+" 1h0m0s", "challenge POST /login,"+one+" 1h0m0s")

	// A crowd elsewhere, which nobody saw yet, does not let in what is held here.
	l = testLedger(t, &Guards{})
	l.sited(1e6)
	l.add(behind(ruled("r", dawn, "ip", two), 90, 1000))
	l.breaker.site = 1000
	l.add(behind(ruled("r", dawn, "ip", one), 90, 1000))
	l.whole(t)
	if len(l.Tripped()) != 0 || len(l.force()) != 0 {
		t.Errorf("tripped %v, in force %v", l.Tripped(), l.force())
	}
}

// What a review found of a sign-up is remembered for its renewals, which cannot tell: for a while, and
// no longer; what other guards held is no crowd's.
func TestARenewalDoesNotForgetACrowd(t *testing.T) {
	l := testLedger(t, &Guards{})
	l.sited(1000)
	d := ruled("r", dawn, "endpoint", "POST /signup", "ip", "198.51.100.1")
	found := map[string]float64{"198.51.100.1": 60}
	l.add(d)
	for range 3 {
		l.tick(10 * time.Second)
		l.review(crowd(1000, found))
		l.wantForce()
		l.tick(31 * time.Minute)
		l.add(renewal(d, l.clock.now))
		l.wantForce()
	}
	told := behind(renewal(d, l.clock.now.Add(time.Second)), 1, 1000)
	l.add(told) // it says who is behind it itself
	if len(l.force()) != 1 {
		t.Errorf("in force %v", l.force())
	}
	l.tick(2 * time.Hour)
	l.wantForce()
	l.tick(crowdFor)
	l.add(renewal(d, l.clock.now))
	if len(l.force()) != 1 {
		t.Error("what was found six hours ago is not forgotten")
	}

	// Where it has to wait, it waits with what was found.
	l = testLedger(t, &Guards{})
	l.sited(1000)
	l.add(d)
	l.review(crowd(1000, found))
	l.tick(31 * time.Minute)
	for i := range maxPace {
		l.add(behind(ruled(fmt.Sprintf("q%d", i), l.clock.now, "n", fmt.Sprint(i)), 1, 1000))
	}
	l.add(renewal(d, l.clock.now))
	if len(l.queue.all) != 1 {
		t.Fatalf("%d wait", len(l.queue.all))
	}
	l.tick(2 * time.Minute)
	l.review(crowd(1000, nil))
	if got := l.Counts(); got.Queue != 0 || got.Held[GuardCrowd] != 1 {
		t.Errorf("%d wait, %d held", got.Queue, got.Held[GuardCrowd])
	}

	// Held while it was unblocked, and in force when that is over.
	l = testLedger(t, &Guards{})
	l.sited(1000)
	if _, err := l.Unblock(targetOf("ip", "198.51.100.1"), time.Minute, "ann", "x"); err != nil {
		t.Fatal(err)
	}
	first := behind(ruled("r", dawn, "ip", "198.51.100.1"), 60, 1000)
	l.add(first)
	l.tick(40 * time.Minute)
	l.add(behind(renewal(first, l.clock.now), 0, 1000))
	if len(l.force()) != 1 {
		t.Errorf("in force %v", l.force())
	}
}

// One that must take its turn and hits too many is withdrawn once.
func TestACrowdWithoutPaceIsWithdrawnOnce(t *testing.T) {
	l := testLedger(t, &Guards{})
	l.sited(1e6)
	for i := range maxPace {
		l.add(behind(ruled(fmt.Sprintf("q%d", i), dawn, "n", fmt.Sprint(i)), 1, 1000))
	}
	l.add(ruled("r", dawn, "ip", "198.51.100.1"), ruled("r", dawn, "ip", "198.51.100.2"))
	l.review(crowd(1000, map[string]float64{"198.51.100.1": 80}))
	l.whole(t)
	if got := l.Counts().Decisions[DecisionCount{"r", "withdrawn", "enforce"}]; got != 1 {
		t.Errorf("withdrawn %d times", got)
	}
}

// A restart knows what was softened, held and withdrawn, and a person may allow it.
func TestACrowdOutlivesARestart(t *testing.T) {
	path, clock := filepath.Join(t.TempDir(), "ledger.jsonl"), &testClock{dawn}
	l := reopened(t, path, clock, &Guards{})
	l.sited(1000)
	ds := []event.Decision{
		behind(ruled("r", dawn, "ip", "198.51.100.1"), 80, 1000), ruled("r", dawn, "ip", "198.51.100.2"),
		ruled("r", dawn, "ip", "198.51.100.3"), ruled("r", dawn, "ip", "198.51.100.4"),
	}
	l.add(ds...)
	figures := crowd(1000, map[string]float64{"198.51.100.2": 80, "198.51.100.4": 8})
	l.review(figures)
	l.tick(2 * time.Minute)
	l.add(behind(renewal(ds[2], l.clock.now), 90, 1000))
	again := func() {
		t.Helper()
		l.breaker.pace.times = nil // whose turn it was in the last minute is not in the file
		want := l.state()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = reopened(t, path, clock, &Guards{})
		if got := l.state(); got != want {
			t.Error(differ(want, got))
		}
	}
	again()
	l.wantForce("challenge 198.51.100.4 1h0m0s")
	for _, d := range ds[:3] {
		if err := l.Approve(d.ID, "ann"); err != nil {
			t.Error(err)
		}
	}
	l.review(figures)
	again()
	l.review(figures)
	l.whole(t)
	if n := len(l.force()); n != 4 || len(l.Tripped()) != 0 {
		t.Errorf("in force %v, tripped %v", l.force(), l.Tripped())
	}
}
