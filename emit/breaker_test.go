package emit

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/event"
)

// behind gives a decision its figures.
func behind(d event.Decision, good, tried float64) event.Decision {
	d.Good, d.Tried, d.Regulars = good, tried, good
	return d
}

// sited reviews a site of so many good accounts of whose targets nothing is known.
func (t *tester) sited(good float64) {
	t.Helper()
	t.review(func(tg event.Target) (float64, float64, bool) { return good, good, len(tg) == 0 })
}

func (t *tester) review(figures func(event.Target) (float64, float64, bool)) {
	t.Helper()
	if err := t.Review(t.clock.now, standing(figures)); err != nil {
		t.Fatal(err)
	}
}

func TestABreakerTripsAtItsThreshold(t *testing.T) {
	for _, c := range []struct {
		site  float64
		goods []float64
		trips bool
	}{
		{100, []float64{4}, false}, {100, []float64{4, 1}, true}, {0, []float64{1, 1, 1, 1}, false}, {0, []float64{1, 1, 1, 1, 1}, true},
		{2000, []float64{10}, false}, {2000, []float64{10, 1}, true}, // half a percent is 10
		{1e6, []float64{4, 4, 4, 4, 4, 4}, false},
		{100, []float64{0, 0, 0, 0, 0, 0, 0, 0}, false}, // volume alone does nothing
	} {
		l := testLedger(t, &Guards{})
		l.sited(c.site)
		for i, good := range c.goods {
			l.add(behind(ruled("r", dawn, "fingerprint", fmt.Sprint("f", i)), good, 1000))
		}
		if got := len(l.Tripped()) == 1; got != c.trips {
			t.Errorf("%+v: tripped %v", c, got)
		}
		if want := len(c.goods); !c.trips && len(l.force()) != want || c.trips && len(l.force()) != 0 {
			t.Errorf("%+v: %d in force", c, len(l.force()))
		}
	}
}

func TestARuleThatIsAlwaysTrueIsTripped(t *testing.T) {
	l := testLedger(t, &Guards{})
	warm := func(tg event.Target) (float64, float64, bool) {
		if len(tg) == 0 {
			return 8000, 9000, true
		}
		return 2, 20, true
	}
	l.review(warm)
	other := ruled("other", dawn, "ip", "203.0.113.5")
	l.add(other, ruled("true", dawn, "ip", "203.0.113.6"))
	l.tick(11 * time.Minute)
	at := l.clock.now
	var ds []event.Decision
	for i := range 5000 {
		ds = append(ds, behind(ruled("true", at, "ip", fmt.Sprintf("198.18.%d.%d", i/250, i%250)), 2, 20))
	}
	l.add(ds...)
	// What was in force for longer stays, and other rules are not concerned.
	l.wantForce("block 203.0.113.5 1h0m0s", "block 203.0.113.6 1h0m0s")
	c := l.Counts()
	if len(c.Tripped) != 1 || c.Tripped[0] != "true" {
		t.Errorf("tripped %v", c.Tripped)
	}
	if entered := c.Decisions[DecisionCount{"true", "new", "enforce"}]; entered != 21 { // 1 + 20, the 21st is more than 40
		t.Errorf("%d came into force before", entered)
	}
	if c.Decisions[DecisionCount{"true", "withdrawn", "enforce"}] != 20 || c.Held[GuardBreaker] != 4980 {
		t.Errorf("%+v", c)
	}
	var line *Line
	for _, x := range l.Recent(maxRecent) {
		if x.Event == LineTripped {
			line = &x
		}
	}
	if line == nil || line.Rule != "true" || line.Sum != 42 || line.Site != 8000 || line.Entries != 20 || !strings.Contains(line.Reason, "42 regulars") || !strings.Contains(line.Reason, "more than 40") {
		t.Errorf("line %+v", line)
	}

	// Approved, its sum starts anew, and a second time it trips again.
	l.review(warm)
	l.whole(t)
	if err := l.Approve("true", "ann"); err != nil {
		t.Fatal(err)
	}
	l.whole(t)
	l.tick(time.Minute)
	for i := range 5000 {
		ds[i] = behind(ruled("true", l.clock.now, "ip", fmt.Sprintf("198.19.%d.%d", i/250, i%250)), 2, 20)
	}
	l.add(ds[:20]...)
	if n := len(l.force()); n != 22 || len(l.Tripped()) != 0 {
		t.Errorf("after the approval %d in force, tripped %v", n, l.Tripped())
	}
	l.add(ds[20:]...)
	if n := len(l.force()); n != 2 || len(l.Tripped()) != 1 {
		t.Errorf("%d in force, tripped %v", n, l.Tripped())
	}
	if err := l.Approve("other", "ann"); err == nil {
		t.Error("a rule that is not tripped is approved")
	}
}

func TestABreakerTripsOnWhatAReviewFinds(t *testing.T) {
	l := testLedger(t, &Guards{})
	l.sited(100)
	for i := range 10 {
		l.add(ruled("r", dawn, "ip", fmt.Sprintf("198.51.100.%d", i)))
	}
	good := 0.0
	figures := func(tg event.Target) (float64, float64, bool) {
		if len(tg) == 0 {
			return 100, 1000, true
		}
		return good, 1000, tg[0].Text != "198.51.100.3"
	}
	l.review(figures)
	if len(l.Tripped()) != 0 {
		t.Error("tripped by nothing")
	}
	good = 1
	l.review(figures)
	if len(l.Tripped()) != 1 || len(l.force()) != 0 {
		t.Errorf("tripped %v, in force %v", l.Tripped(), l.force())
	}
}

func TestAReviewLooksAtSoManyInTurn(t *testing.T) {
	l := testLedger(t, &Guards{})
	l.sited(1e6)
	var ds []event.Decision
	const n = 5000
	for i := range n {
		ds = append(ds, ruled("r", dawn, "ip", fmt.Sprintf("198.18.%d.%d", i/250, i%250)))
	}
	l.add(ds...)
	asked := map[string]int{}
	for round := 1; round <= 5; round++ {
		calls := 0
		l.review(func(tg event.Target) (float64, float64, bool) {
			if len(tg) == 0 {
				return 1e6, 1e6, true
			}
			calls++
			asked[tg[0].Text]++
			return 0, 0, true
		})
		if calls != maxReview {
			t.Fatalf("round %d: %d were asked for", round, calls)
		}
	}
	if len(asked) != n {
		t.Errorf("%d of %d were looked at in five rounds", len(asked), n)
	}
	for target, times := range asked {
		if times != 2 {
			t.Fatalf("%s was looked at %d times", target, times)
		}
	}
}

func TestAReviewGoesOnWhereItWas(t *testing.T) {
	l := testLedger(t, &Guards{})
	var ds []event.Decision
	for i := range 3 * maxReview {
		ds = append(ds, ruled("r", dawn, "n", fmt.Sprint(i)))
	}
	l.add(ds...)
	review := func() (first string) {
		l.review(func(tg event.Target) (float64, float64, bool) {
			if len(tg) > 0 && first == "" {
				first = tg[0].Text
			}
			return 0, 0, true
		})
		return first
	}
	for len(l.unseen) > 0 {
		review()
	}
	if first := review(); first != "0" {
		t.Errorf("begins at %s", first)
	}
	// Some of those that it has seen, and some that it has not, are withdrawn.
	for _, i := range []int{3, 4, maxReview, 2*maxReview + 7} {
		if _, err := l.Unblock(targetOf("n", fmt.Sprint(i)), time.Minute, "ann", "x"); err != nil {
			t.Fatal(err)
		}
	}
	if first := review(); first != fmt.Sprint(maxReview+1) {
		t.Errorf("goes on at %s", first)
	}
}

func TestACampaignDoesNotTripAndGoodOnesWaitTheirTurn(t *testing.T) {
	l := testLedger(t, &Guards{})
	l.sited(250_000)
	var ds []event.Decision
	for i := range 30_000 {
		d := ruled("campaign", dawn, "ip", fmt.Sprintf("198.%d.%d.%d", 18+i/65536, i/256%256, i%256))
		if d.Tried = 40; i%1000 == 7 {
			d.Good, d.Regulars = 1, 1
		}
		ds = append(ds, d)
	}
	l.add(ds...)
	if n := len(l.force()); n != 30_000 || len(l.Tripped()) != 0 {
		t.Errorf("%d in force, tripped %v", n, l.Tripped())
	}
	// One that hits many with somebody behind them: 200 a minute, in order.
	ds = ds[:0]
	for i := range 700 {
		ds = append(ds, behind(ruled(fmt.Sprintf("other%d", i%7), dawn, "ip", fmt.Sprintf("203.0.113.%d", i%256), "fingerprint", fmt.Sprint(i)), 1, 40))
	}
	l.add(ds...)
	in := func() int { return len(l.force()) - 30_000 }
	if in() != 170 || l.Counts().Queue != 530 { // 30 came in before
		t.Errorf("%d at once, %d wait", in(), l.Counts().Queue)
	}
	l.tick(59 * time.Second)
	if in() != 170 {
		t.Errorf("%d within the minute", in())
	}
	l.tick(time.Second)
	if in() != 370 {
		t.Errorf("%d after a minute", in())
	}
	e := l.InForce().Entries
	if last := e[len(e)-1].Decision.Target; last[1].Text != "369" {
		t.Errorf("the last that came in is %v", last)
	}
	l.tick(time.Minute)
	l.tick(time.Minute)
	if in() != 700 || l.Counts().Queue != 0 {
		t.Errorf("%d at last, %d wait", in(), l.Counts().Queue)
	}
}

func TestTheQueueHasALimitAndLapses(t *testing.T) {
	l := testLedger(t, &Guards{})
	l.limits.queue = 3
	// Before anything is known of the site nobody good is touched.
	for i := range 5 {
		l.add(behind(ruled(fmt.Sprintf("r%d", i), dawn, "ip", fmt.Sprintf("198.51.100.%d", i)), 1, 100))
	}
	l.add(ruled("r", dawn, "ip", "203.0.113.1"))
	l.wantForce("block 203.0.113.1 1h0m0s")
	l.wantLines("queued enforce none", "queued enforce none", "queued enforce none", "held enforce none queue", "held enforce none queue", "new enforce block")
	// A renewal keeps its place for longer.
	l.add(renewal(behind(ruled("r1", dawn, "ip", "198.51.100.1"), 1, 100), dawn.Add(time.Minute)))
	// An unblocked one is held when its turn comes.
	if _, err := l.Unblock(targetOf("ip", "198.51.100.2"), 3*time.Hour, "ann", "x"); err != nil {
		t.Fatal(err)
	}
	l.tick(59 * time.Minute)
	if q := l.Counts().Queue; q != 3 {
		t.Errorf("%d wait", q)
	}
	l.tick(time.Minute)
	if c := l.Counts(); c.Queue != 1 || c.Held[GuardQueue] != 4 {
		t.Errorf("%+v", c)
	}
	l.sited(1000)
	l.wantForce("block 198.51.100.1 1h1m0s")

	l = testLedger(t, &Guards{})
	d := behind(ruled("r2", dawn, "ip", "198.51.100.2"), 1, 100)
	l.add(d)
	if _, err := l.Unblock(targetOf("ip", "198.51.100.2"), 3*time.Hour, "ann", "x"); err != nil {
		t.Fatal(err)
	}
	l.sited(1000)
	l.wantForce()
	l.wantLines("queued enforce none", "unblocked ann", "held enforce none unblocked")
	// An approval does not overrule who unblocked it.
	if err := l.Approve(d.ID, "bob"); err == nil || !strings.Contains(err.Error(), "guard unblocked: its target was unblocked by ann") {
		t.Error(err)
	}
	l.wantForce()
}

func TestAChallengeCountsLess(t *testing.T) {
	for _, c := range []struct {
		would  event.Action
		except string
		good   float64
		trips  bool
	}{
		{event.Challenge, "", 49, false}, {event.Challenge, "", 51, true}, {event.Challenge, "known(ip)", 1e5, false},
		{event.Block, "known(ip)", 6, true}, {event.Limit, "", 6, true}, {event.Deceive, "", 6, true},
	} {
		l := testLedger(t, &Guards{})
		l.sited(1000)
		d := behind(ruled("r", dawn, "fingerprint", "t13d"), c.good, 1e6)
		d.Would, d.Except = c.would, c.except
		l.add(d)
		if got := len(l.Tripped()) == 1; got != c.trips {
			t.Errorf("%+v: tripped %v", c, got)
		}
	}
}

func TestWhatTurnsOutSharedIsMadeMilder(t *testing.T) {
	l := testLedger(t, &Guards{})
	l.sited(1e6)
	l.add(ruled("r", dawn, "ip", "198.51.100.7"))
	l.review(func(tg event.Target) (float64, float64, bool) {
		if len(tg) == 0 {
			return 1e6, 1e6, true
		}
		return 50, 60, true
	})
	l.wantForce("challenge 198.51.100.7 1h0m0s")
	l.wantLines("new enforce block", "milder enforce challenge")
	l.sited(1e6)
	l.add(renewal(ruled("r", dawn, "ip", "198.51.100.7"), dawn.Add(time.Second)))
	l.wantForce("challenge 198.51.100.7 1h0m1s") // not back
	l.whole(t)
}

func TestFiguresThatAreNoneDoNotCount(t *testing.T) {
	l := testLedger(t, &Guards{})
	nan := func(event.Target) (float64, float64, bool) { var z float64; return z / z, -1, true }
	l.review(nan)
	d := ruled("r", dawn, "ip", "198.51.100.7")
	d.Good, _, _ = nan(nil)
	d.Regulars = d.Good
	l.add(d)
	l.review(nan)
	if e := l.InForce().Entries; len(e) != 1 || e[0].Good != 0 {
		t.Errorf("%v", l.force())
	}
	l.whole(t)
}

// Where nobody is known to have succeeded with anything, no entry has a good
// account behind it and the breaker sees nothing: then all entries come at the
// pace of those that may hurt somebody.
func TestOnASiteWithoutAccountsEntriesComeSlowly(t *testing.T) {
	for _, site := range []float64{0, blindBelow - 1, blindBelow} {
		l := testLedger(t, &Guards{})
		l.sited(site)
		const n = 1000
		for i := range n {
			l.add(ruled("r", dawn, "ip", fmt.Sprintf("198.18.%d.%d", i/250, i%250)))
		}
		want := maxPace
		if site >= blindBelow {
			want = n
		}
		if got := len(l.force()); got != want {
			t.Errorf("%.0f accounts succeeded: %d of %d in force at once, want %d", site, got, n, want)
		}
		l.tick(paceWindow)
		if got := len(l.force()); got != min(n, 2*want) {
			t.Errorf("%.0f accounts succeeded: %d in force a minute later, want %d", site, got, min(n, 2*want))
		}
	}
}

// A campaign whose takings succeed: good accounts stand behind its entries, but
// they are no regulars.
func TestWhatAnAttackerTakesOverTripsNothing(t *testing.T) {
	l := testLedger(t, &Guards{})
	l.sited(1000)
	var ds []event.Decision
	for i := range 1000 {
		d := behind(ruled("r", dawn, "ip", fmt.Sprintf("198.18.%d.%d", i/250, i%250)), 3, 1000)
		d.Regulars = 0
		ds = append(ds, d)
	}
	l.add(ds...)
	if n := len(l.force()); n != 1000 || len(l.Tripped()) != 0 {
		t.Errorf("%d of 1000 in force, tripped %v; want all, at once", n, l.Tripped())
	}
	// Nothing is enforced yet, or only later: what goes on adds nothing.
	taken := 3.0
	review := func(more, regulars float64) {
		l.tick(10 * time.Second)
		taken += more
		err := l.Review(l.clock.now, func(a *event.Asked) (event.Figures, bool) {
			if a.Decision == nil {
				return event.Figures{Good: 1000 + taken, Tried: 1e6}, true
			}
			return event.Figures{Good: taken, Tried: 1000 * taken, Regulars: regulars}, true
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		review(100, 0)
	}
	if n := len(l.force()); n != 1000 || len(l.Tripped()) != 0 {
		t.Errorf("%d in force, tripped %v, while it goes on", n, l.Tripped())
	}
	l.add(ruled("other", l.clock.now, "ip", "203.0.113.5")) // so that what is in force is shown anew
	if e := l.InForce().Entries[0]; e.Good != taken {
		t.Errorf("%v good accounts are shown, want the %v that succeeded", e.Good, taken)
	}
	// The same, where they had been there before: 1,000 are more than 0.5 %.
	review(0, 1)
	if n := len(l.force()); n != 1 || len(l.Tripped()) != 1 {
		t.Errorf("%d in force, tripped %v; want only another rule's, for a regular stands behind each", n, l.Tripped())
	}
}

// An exception weighs what it does not spare.
func TestAnExceptionWeighsWhomItHits(t *testing.T) {
	for _, c := range []struct {
		regulars float64
		trips    bool
	}{{0, false}, {10, false}, {11, true}} {
		l := testLedger(t, &Guards{})
		l.sited(2000)
		d := behind(ruled("r", dawn, "fingerprint", "everybody's"), 900, 90_000)
		d.Except, d.Regulars = "known(ip)", c.regulars
		l.add(d)
		if got := len(l.Tripped()) == 1; got != c.trips || (len(l.force()) == 0) != c.trips {
			t.Errorf("%v regulars that are not spared: tripped %v, in force %v", c.regulars, got, l.force())
		}
	}
}

// A decision about a sign-up cannot tell who is behind it, so what came or was
// renewed is looked at before its turn.
func TestAReviewLooksFirstAtWhatCame(t *testing.T) {
	l := testLedger(t, &Guards{})
	l.sited(1e6)
	var ds []event.Decision
	for i := range 3 * maxReview {
		ds = append(ds, ruled("r", dawn, "n", fmt.Sprint(i)))
	}
	l.add(ds...)
	review := func() (asked []string) {
		l.review(func(tg event.Target) (float64, float64, bool) {
			if len(tg) > 0 {
				asked = append(asked, tg[0].Text)
			}
			return 0, 0, true
		})
		return asked
	}
	for len(l.unseen) > 0 {
		review()
	}
	l.add(ruled("r", dawn.Add(time.Second), "n", "new"), renewal(ruled("r", dawn, "n", "5000"), dawn.Add(time.Second)))
	if asked := review(); len(asked) != maxReview || asked[0] != "new" || asked[1] != "5000" || asked[2] != "0" {
		t.Errorf("%d were asked for, first %v; want %d, first the new one and the renewed one, then in turn", len(asked), asked[:3], maxReview)
	}
	if asked := review(); asked[0] != fmt.Sprint(maxReview-2) {
		t.Errorf("goes on at %s, want %d", asked[0], maxReview-2)
	}
	// What is over is not kept.
	l.add(ruled("r", dawn.Add(2*time.Second), "n", "short"))
	if _, err := l.Unblock(targetOf("n", "short"), time.Minute, "ann", "x"); err != nil {
		t.Fatal(err)
	}
	if l.Ledger.compact(); len(l.unseen) != 0 {
		t.Errorf("%d that are over wait for a review", len(l.unseen))
	}
}

// What comes is looked at first, but however much comes, and however long, all
// that is in force has its turn again.
func TestNothingThatComesKeepsAReviewFromGoingRound(t *testing.T) {
	for _, c := range []struct {
		name  string
		comes int           // between two reviews
		last  time.Duration // what comes, when it has come
	}{
		{"half of what it looks at", maxReview / 2, 40 * time.Second},
		{"as much as it looks at", maxReview, 40 * time.Second},
		{"three times as much", 3 * maxReview, 20 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := testLedger(t, &Guards{})
			l.sited(1e6)
			old := ruled("r", dawn, "n", "old")
			old.Until = dawn.Add(24 * time.Hour)
			l.add(identified(old))
			asked, since, most := 0, 0, 0
			for round := range 40 {
				l.clock.now = l.clock.now.Add(10 * time.Second)
				ds := make([]event.Decision, c.comes)
				for i := range ds {
					ds[i] = ruled("r", l.clock.now, "n", fmt.Sprintf("%d-%d", round, i))
					ds[i].Until = l.clock.now.Add(c.last)
				}
				l.add(ds...)
				looked := 0
				l.review(func(tg event.Target) (float64, float64, bool) {
					if len(tg) == 0 {
						return 1e6, 1e6, true
					}
					if looked++; tg[0].Text == "old" {
						asked, since = asked+1, 0
					}
					return 0, 0, true
				})
				if looked > maxReview {
					t.Fatalf("round %d: %d were looked at, want at most %d", round, looked, maxReview)
				}
				since++
				most = max(most, len(l.order))
				if limit := most/(maxReview/2) + 2; since > limit {
					t.Fatalf("round %d: what came first was not looked at for %d rounds, want at most %d with %d in force", round, since, limit, most)
				}
			}
			if asked < 2 {
				t.Errorf("what came first was looked at %d times", asked)
			}
		})
	}
}

// Of a sign-up each line says that nobody good is behind it: what a review found
// stands until the next.
func TestARenewalKeepsWhatAReviewFound(t *testing.T) {
	l := testLedger(t, &Guards{})
	l.sited(100)
	for i := range 4 {
		l.add(ruled("r", dawn, "n", fmt.Sprint(i)))
	}
	l.review(func(tg event.Target) (float64, float64, bool) {
		if len(tg) == 0 {
			return 100, 1000, true
		}
		return 1, 1000, true
	})
	for i := range 4 {
		l.add(renewal(ruled("r", dawn, "n", fmt.Sprint(i)), dawn.Add(time.Second)))
	}
	if len(l.Tripped()) != 0 || len(l.force()) != 4 {
		t.Fatalf("tripped %v, in force %v", l.Tripped(), l.force())
	}
	l.add(behind(ruled("r", dawn.Add(time.Second), "n", "4"), 1, 1000))
	if len(l.Tripped()) != 1 {
		t.Error("not tripped: the renewals made nobody of the four that a review had found")
	}
}

// Of a sign-up a review tells whom it hurts: it takes its turn then.
func TestWhatOnlyAReviewTellsTakesItsTurn(t *testing.T) {
	const n = 2*maxPace + 5
	path, clock := filepath.Join(t.TempDir(), "ledger.jsonl"), &testClock{dawn}
	l := reopened(t, path, clock, &Guards{})
	l.sited(1e6)
	var ds []event.Decision
	for i := range n {
		ds = append(ds, ruled("r", dawn, "n", fmt.Sprint(i)))
	}
	l.add(append(ds, ruled("r", dawn, "n", "nobody's"))...)
	if got := len(l.force()); got != n+1 {
		t.Fatalf("%d are in force before anybody looked, want %d", got, n+1)
	}
	look := func() {
		t.Helper()
		l.review(func(tg event.Target) (float64, float64, bool) {
			switch {
			case len(tg) == 0:
				return 1e6, 1e6, true
			case tg[0].Text == "nobody's":
				return 0, 9, true
			}
			return 1, 9, true
		})
	}
	check := func(when string, most int) {
		t.Helper()
		if got := len(l.force()); got != most+1 || len(l.queue.all) != n-most {
			t.Errorf("%s: %d are in force and %d wait, want %d and %d", when, got, len(l.queue.all), most+1, n-most)
		}
	}
	look()
	check("behind a review", maxPace)
	clock.now = clock.now.Add(10 * time.Second)
	l.add(renewal(ds[n-1], clock.now))
	look()
	check("behind a renewal that tells nobody", maxPace)
	if w := l.queue.find(forceKey(&ds[n-1])); w == nil || w.d.Regulars != 1 {
		t.Errorf("the renewal of what waits makes it %+v", w)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = reopened(t, path, clock, &Guards{})
	check("opened again", maxPace)
	clock.now = clock.now.Add(50 * time.Second)
	look()
	check("a minute later", 2*maxPace)
	look()
	check("reviewed again", 2*maxPace)
	clock.now = clock.now.Add(time.Minute)
	look()
	check("at last", n)
}
