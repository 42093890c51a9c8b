package rules

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"weir/event"
)

// person is who does something in a history.
type person struct {
	n           int // of the account
	ip          int
	credential  string
	fingerprint string
	kind        event.Kind
	outcome     event.Outcome
}

// history is a state to which people come, a second each.
type history struct {
	*life
	begin int64
}

func newHistory(t *testing.T, rules ...string) *history {
	t.Helper()
	begin := int64(1_780_000_000) / 3600 * 3600
	return &history{newLife(NewState(storyPlan(t, PlanOptions{Site: true}, rules...), 4, Limits{}, enforced, named), 4), begin}
}

// come has people come a number of seconds after the beginning.
func (h *history) come(at int64, people ...person) {
	for i, p := range people {
		var e event.Event
		e.Reset()
		e.Second, e.Offset = h.begin+at+int64(i), h.begin+at+int64(i)
		e.IP, e.Session, e.Fingerprint = netip.AddrFrom4([4]byte{198, 18, byte(p.ip >> 8), byte(p.ip)}), fmt.Sprint("s", p.n), p.fingerprint
		e.Credential = p.credential
		e.Kind, e.Endpoint, e.Outcome = p.kind, "POST /"+p.kind.String(), p.outcome
		h.tell([]storySecond{{at: e.Second, events: []event.Event{e}}})
	}
	h.to(floor(h.now, Boundary) + 2*Boundary)
}

// latest returns the latest decision about a target with that value that has
// figures.
func (h *history) latest(t *testing.T, value string) *event.Decision {
	t.Helper()
	for i := len(h.decisions) - 1; i >= 0; i-- {
		d := &h.decisions[i]
		for _, v := range d.Target {
			if v.Text == value && d.Step != event.End {
				return d
			}
		}
	}
	t.Fatalf("no decision about %s in %s", value, h.lines())
	return nil
}

func (h *history) figures(t *testing.T, d *event.Decision) event.Figures {
	t.Helper()
	f, ok := h.st.Figures(&event.Asked{Decision: d}, h.now)
	if !ok {
		t.Fatalf("no figures of %v", d.Target)
	}
	return f
}

func logIns(n, from int, fingerprint string, outcome event.Outcome) (out []person) {
	for i := range n {
		out = append(out, person{n: from + i, ip: from + i, fingerprint: fingerprint, kind: event.Login, outcome: outcome})
	}
	return out
}

const failingTrait = `id: t.failing
version: 1
key: fingerprint
where: kind == "login"
features:
  failed: count("1h", outcome == "failure")
when: failed >= 20
then: {block: fingerprint, if: good < 1000, for: 24h}
stage: enforce
`

// What an attacker takes over while he attacks does not vouch for him, however
// long it goes on; who was there before does.
func TestRegularsAreThoseFromBeforeADecision(t *testing.T) {
	h := newHistory(t, failingTrait)
	h.come(0, logIns(4, 0, "old", event.Success)...)
	h.come(3*day, logIns(20, 1000, "tool", event.Failure)...)
	h.come(3*day+60, append(logIns(2, 2000, "old", event.Success), logIns(20, 3000, "old", event.Failure)...)...)
	if d := h.latest(t, "old"); d.Good != 6 || d.Regulars != 4 {
		t.Errorf("decided with %v good, %v regulars; want 6 and 4", d.Good, d.Regulars)
	}
	for hour := range int64(5) { // nothing is enforced, and he goes on
		h.come(3*day+3600*(hour+1), append(logIns(3, 4000+100*int(hour), "tool", event.Success), logIns(3, 6000+100*int(hour), "old", event.Success)...)...)
	}
	for value, want := range map[string]event.Figures{"tool": {Good: 15, Tried: 35}, "old": {Good: 21, Tried: 41, Regulars: 4}} {
		if got := h.figures(t, h.latest(t, value)); got != want {
			t.Errorf("%s stands at %+v, want %+v", value, got, want)
		}
	}
	// Successes of the hour before it are not from before it.
	h = newHistory(t, failingTrait)
	h.come(3*day-3600, logIns(4, 0, "old", event.Success)...)
	h.come(4*day-3601, logIns(4, 10, "old", event.Success)...)
	h.come(4*day, logIns(5, 20, "old", event.Success)...)
	h.come(4*day+1800, logIns(20, 3000, "old", event.Failure)...)
	if d := h.latest(t, "old"); d.Good != 13 || d.Regulars != 5 {
		t.Errorf("decided with %v good, %v regulars; want 13 and 5: all but who came within the hour before, by the whole hour", d.Good, d.Regulars)
	}
}

// On the first day nobody was there before.
func TestOnTheFirstDayAllThatSucceededAreRegulars(t *testing.T) {
	h := newHistory(t, failingTrait)
	h.come(0, logIns(4, 0, "old", event.Success)...)
	h.come(day-120, logIns(20, 3000, "old", event.Failure)...)
	if d := h.latest(t, "old"); d.Good != 4 || d.Regulars != 4 {
		t.Errorf("decided with %v good, %v regulars; want 4 and 4", d.Good, d.Regulars)
	}
	h.come(day+7200, logIns(3, 100, "old", event.Success)...)
	if got := h.figures(t, h.latest(t, "old")); got.Regulars != 7 {
		t.Errorf("later it stands at %+v, want 7 regulars: nobody knows who was there before", got)
	}
}

// But where hardly any try had succeeded, who succeeds behind a block is its yield: he makes no regular.
// Behind a challenge, which people pass, he may.
func TestOnTheFirstDayTheYieldOfAnAttackIsNoRegular(t *testing.T) {
	for action, want := range map[string]float64{"block": 1, "deceive": 1, "challenge": 5, "limit": 5} {
		then := action + ": fingerprint"
		if action == "limit" {
			then += ", to: 10/1m"
		}
		h := newHistory(t, strings.Replace(failingTrait, "block: fingerprint", then, 1))
		h.come(0, logIns(1, 0, "tool", event.Success)...)
		h.come(1000, logIns(60, 3000, "tool", event.Failure)...)
		if d := h.latest(t, "tool"); d.Good != 1 || !d.Clean || d.Regulars != 1 {
			t.Errorf("%s: decided with %v good, clean %v, %v regulars; want 1, true and 1", action, d.Good, d.Clean, d.Regulars)
		}
		h.come(2000, logIns(4, 100, "tool", event.Success)...)
		if got := h.figures(t, h.latest(t, "tool")); got.Good != 5 || got.Regulars != want {
			t.Errorf("%s: later it stands at %+v, want 5 good and %v regulars", action, got, want)
		}
	}
}

// Where nobody had tried, nothing had failed: a rule that is simply wrong hits all that come.
func TestOnTheFirstDayAWrongRuleHitsRegulars(t *testing.T) {
	for tried, want := range map[int]float64{0: 50, 9: 50, 10: 0} {
		h := newHistory(t, strings.NewReplacer(`count("1h", outcome == "failure")`, `count("1h")`, ">= 20", fmt.Sprint(">= ", max(tried, 1))).Replace(failingTrait))
		if tried == 0 {
			h.come(0, person{n: 9999, ip: 1, fingerprint: "chrome", kind: event.Login})
		} else {
			h.come(0, logIns(tried, 3000, "chrome", event.Failure)...)
		}
		d := h.latest(t, "chrome")
		if !d.Clean || d.Tried != float64(tried) {
			t.Fatalf("decided clean %v, %v tried; want true and %d", d.Clean, d.Tried, tried)
		}
		h.come(600, logIns(50, 0, "chrome", event.Success)...)
		if got := h.figures(t, d); got.Good != 50 || got.Regulars != want {
			t.Errorf("%d had tried: later it stands at %+v, want 50 good and %v regulars", tried, got, want)
		}
	}
}

// Regulars are whom a decision hits, not whom its exception spares.
func TestAnExceptionSparesRegulars(t *testing.T) {
	h := newHistory(t, `id: t.stranger
version: 1
key: fingerprint
where: kind == "login"
features:
  failed: count("1h", outcome == "failure")
when: failed >= 20
then: {block: fingerprint, if: good < 1000, except: known(ip), for: 1h}
stage: enforce
`)
	h.come(0, logIns(10, 0, "old", event.Success)...)
	for i := range 2 { // to have signed up from there makes no address known
		h.come(600, person{n: 700 + i, ip: 500 + i, fingerprint: "new", kind: event.Signup, outcome: event.Success})
	}
	h.come(36*3600, append(logIns(10, 0, "old", event.Success), logIns(2, 500, "old", event.Success)...)...)
	h.come(3*day, logIns(20, 3000, "old", event.Failure)...)
	d := h.latest(t, "old")
	if d.Except != "known(ip)" || d.Good != 12 || d.Regulars != 2 {
		t.Errorf("decided %q with %v good, %v regulars; want known(ip), 12 and the 2 who came from where nobody was known", d.Except, d.Good, d.Regulars)
	}
	if got := h.figures(t, d); got.Regulars != 2 {
		t.Errorf("it stands at %+v, want 2 regulars", got)
	}
}

// fiveOfATrait blocks a client trait, nobody good behind it, at an endpoint of a kind.
const fiveOfATrait = `id: t.five
version: 1
key: [endpoint, fingerprint]
where: kind == "%s"
features: {n: count("1h")}
when: n >= 5
then: {block: [endpoint, fingerprint], if: good == 0, for: 1h}
stage: enforce
`

// Who signs up is no customer yet; whom it would keep out of signing up is told
// by who has the same trait elsewhere.
func TestSigningUpMakesNobodyGood(t *testing.T) {
	h := newHistory(t, fmt.Sprintf(fiveOfATrait, "signup"))
	h.come(0, logIns(30, 0, "browser", event.Success)...)
	h.come(2*day, append(logIns(5, 0, "browser", event.Success), logIns(9, 100, "browser", event.Failure)...)...)
	signUps := func(from int, fingerprint string) {
		for i := range 6 {
			h.come(3*day+int64(from), person{n: from + i, ip: from + i, fingerprint: fingerprint, kind: event.Signup, outcome: event.Success})
		}
	}
	signUps(1000, "browser")
	signUps(2000, "tool")
	for value, want := range map[string]event.Figures{"browser": {Good: 30, Tried: 45, Regulars: 30}, "tool": {Tried: 6}} {
		d := h.latest(t, value)
		if d.Good != 0 || d.Tried != 5 || d.Clean {
			t.Errorf("%s: decided with %v good of %v, clean %v; want nobody good, and not clean, for signing up succeeds", value, d.Good, d.Tried, d.Clean)
		}
		if got := h.figures(t, d); got != want {
			t.Errorf("%s stands at %+v, want %+v", value, got, want)
		}
	}
	if got, ok := h.st.Figures(new(event.Asked), h.now); !ok || got.Good != 30 {
		t.Errorf("the site stands at %+v, %v; want 30 good accounts", got, ok)
	}
}

// A page that answers strangers too proves nothing about them, whatever its
// status says: only who is named there, or logs in, is a customer.
func TestWithoutAnAccountNobodyIsGood(t *testing.T) {
	const failingAddress = `id: t.address
version: 1
key: ip
where: kind == "login"
features:
  failed: count("1h", outcome == "failure")
when: failed >= 20
then: {block: ip, if: clean, for: 1h}
stage: enforce
`
	for _, c := range []struct {
		kind       event.Kind
		credential string
		good       float64
	}{
		{event.Giftcard, "", 0}, {event.Balance, "", 0}, {event.Checkout, "", 0}, {event.Transfer, "", 0},
		{event.Giftcard, "ann", 1}, {event.Checkout, "ann", 1}, {event.Signup, "ann", 0}, {event.Reset, "ann", 0}, {event.Account, "", 40},
	} {
		h := newHistory(t, failingAddress, failingTrait)
		var before, attack []person
		for i := range 40 {
			before = append(before, person{n: i, ip: 7, fingerprint: "tool", kind: c.kind, credential: c.credential, outcome: event.Success})
			attack = append(attack, person{n: 1000 + i, ip: 7, fingerprint: "tool", kind: event.Login, outcome: event.Failure})
		}
		h.come(3*day, before...)
		h.come(3*day+3*3600, attack...)
		if d := h.latest(t, "tool"); d.Good != c.good || d.Regulars != c.good {
			t.Errorf("40 successes at %v as %q: %v good, %v regulars; want %v", c.kind, c.credential, d.Good, d.Regulars, c.good)
		}
		blocked := false
		for i := range h.decisions {
			blocked = blocked || h.decisions[i].Rule == "t.address"
		}
		if want := c.good == 0; blocked != want {
			t.Errorf("40 successes at %v as %q: address blocked %v, want %v", c.kind, c.credential, blocked, want)
		}
	}
}

// Visits change nothing about whom a success vouches for: the same is asked in
// words and in code.
func TestASuccessVouchesForTheSameWithVisits(t *testing.T) {
	vouched := func(visits bool) *EventCond {
		for _, c := range storyPlan(t, PlanOptions{Visits: visits}, failingTrait).conds {
			if strings.Contains(c.Text, `kind not in ["reset", "signup"]`) && strings.Contains(c.Text, "visited") == visits {
				return c
			}
		}
		t.Fatal("nothing vouches")
		return nil
	}
	words, code := vouched(false), vouched(true)
	for kind := range event.NumKinds {
		for i := range 8 {
			ev := event.Event{Kind: event.Kind(kind), Outcome: event.Failure}
			if i&4 != 0 {
				ev.Outcome = event.Success
			}
			if i&1 != 0 {
				ev.Credential = "ann"
			}
			if i&2 != 0 {
				ev.Consumer = "shop"
			}
			if a, b := words.Match(&ev, nil), code.Match(&ev, nil); a != b {
				t.Errorf("%v, %v, credential %q, consumer %q: %v in words, %v in code", ev.Kind, ev.Outcome, ev.Credential, ev.Consumer, a, b)
			}
		}
	}
}

// What strangers get is told by who else has the same trait, as at a sign-up.
func TestWhoIsBehindWhatStrangersAskForIsToldElsewhere(t *testing.T) {
	h := newHistory(t, fmt.Sprintf(fiveOfATrait, "giftcard"))
	h.come(0, logIns(30, 0, "browser", event.Success)...)
	for i := range 6 {
		h.come(3*day, person{n: 100 + i, ip: 100 + i, fingerprint: "browser", kind: event.Giftcard, outcome: event.Success})
	}
	d := h.latest(t, "browser")
	if want := (event.Figures{Good: 30, Tried: 36, Regulars: 30}); h.figures(t, d) != want || d.Good != 0 {
		t.Errorf("decided with %v good; it stands at %+v, want %+v", d.Good, h.figures(t, d), want)
	}
}

// A ledger asks for thousands again and again; what it is told is what who asks
// for the first time is told.
func TestFiguresAreTheSameForWhoAsksAgain(t *testing.T) {
	h := newHistory(t, failingTrait)
	h.come(0, logIns(4, 0, "old", event.Success)...)
	h.come(3*day, logIns(20, 1000, "old", event.Failure)...)
	d := h.latest(t, "old")
	again := &event.Asked{Decision: d}
	asked := func(what string) {
		t.Helper()
		got, ok := h.st.Figures(again, h.now)
		want, held := h.st.Figures(&event.Asked{Decision: d}, h.now)
		if got != want || ok != held {
			t.Errorf("%s: told %+v, %v, the second time; %+v, %v, the first", what, got, ok, want, held)
		}
	}
	asked("at once")
	if n := testing.AllocsPerRun(10, func() { h.st.Figures(again, h.now) }); n > 0 {
		t.Errorf("asking again allocates %v times", n)
	}
	h.come(3*day+60, logIns(3, 100, "old", event.Success)...)
	asked("behind new log-ins")
	h.to(h.begin + 3*day + 2*freshFor)
	asked("when nothing happened for long")
	h.to(h.begin + 7*day + 7200)
	asked("when the first log-ins are a week old")
	other := *d
	other.ID, other.Time = "of another", other.Time.Add(-3*24*3600*1e9)
	again.Decision, d = &other, &other
	asked("about another decision")
}

// However long a rule has been on for a target, and whatever succeeds there
// meanwhile: whom it hit when it began, it hits.
func TestRegularsOfADecisionStayForAsLongAsItDoes(t *testing.T) {
	h := newHistory(t, failingTrait)
	for d := range int64(13) {
		h.come(d*day, logIns(50, 0, "old", event.Success)...)
		if d < 3 {
			continue
		}
		for _, hour := range []int64{1, 9, 17} {
			h.come(d*day+hour*3600, logIns(20, 3000, "old", event.Failure)...)
		}
		got := h.latest(t, "old")
		if got.Good != 50 || got.Regulars != 50 {
			t.Errorf("day %d: decided with %v good, %v regulars; want 50 and 50", d, got.Good, got.Regulars)
		}
		if f := h.figures(t, got); f.Good != 50 || f.Regulars != 50 {
			t.Errorf("day %d: it stands at %+v, want 50 regulars", d, f)
		}
	}
}

// A decision whose grant is not there any more tells nobody's past.
func TestWithoutAGrantOldDecisionsHitAllGoodOnes(t *testing.T) {
	h := newHistory(t, failingTrait)
	for d := range int64(12) {
		h.come(d*day, logIns(5, 0, "old", event.Success)...)
		if d == 3 {
			h.come(d*day+7200, logIns(20, 3000, "old", event.Failure)...)
		}
	}
	other := *h.latest(t, "old")
	other.ID, other.Time = "of another", other.Time.Add(-time.Second)
	if f := h.figures(t, &other); f.Good != 5 || f.Regulars != 5 {
		t.Errorf("it stands at %+v, want 5 regulars: the week before the decision is out of the windows", f)
	}
}

// One account that comes often is one regular, however many are taken over.
func TestRegularsAreAccountsNotEvents(t *testing.T) {
	h := newHistory(t, failingTrait)
	for hour := range int64(60) {
		h.come(hour*3600, logIns(1, 0, "tool", event.Success)...)
	}
	h.come(3*day, logIns(20, 1000, "tool", event.Failure)...)
	d := h.latest(t, "tool")
	if d.Good != 1 || d.Regulars != 1 {
		t.Errorf("decided with %v good, %v regulars; want one of each", d.Good, d.Regulars)
	}
	h.come(3*day+3600, logIns(59, 2000, "tool", event.Success)...)
	if got, want := h.figures(t, d), (event.Figures{Good: 60, Tried: 80, Regulars: 1}); got != want {
		t.Errorf("it stands at %+v, want %+v", got, want)
	}
}

// What is taken over in one burst is not from before the next, however short a
// decision is.
func TestTheTakingsOfAnEarlierBurstAreNoRegulars(t *testing.T) {
	for _, length := range []string{"1h", "[1h, 6h]"} {
		h := newHistory(t, strings.Replace(failingTrait, "for: 24h", "for: "+length, 1))
		h.come(0, logIns(3, 0, "tool", event.Success)...)
		for burst := range int64(4) {
			at := 2*day + burst*day
			h.come(at, logIns(20, 1000, "tool", event.Failure)...)
			if d := h.latest(t, "tool"); d.Good != float64(3+10*burst) || d.Regulars != 3 {
				t.Errorf("for %s, burst %d: decided with %v good, %v regulars; want %v and 3", length, burst, d.Good, d.Regulars, 3+10*burst)
			}
			h.come(at+60, logIns(10, 2000+100*int(burst), "tool", event.Success)...)
			if got := h.figures(t, h.latest(t, "tool")); got.Regulars != 3 {
				t.Errorf("for %s, burst %d: it stands at %+v, want 3 regulars", length, burst, got)
			}
		}
		// A week later that is its past.
		h.come(13*day, logIns(10, 2000, "tool", event.Success)...)
		h.come(14*day, logIns(20, 1000, "tool", event.Failure)...)
		if d := h.latest(t, "tool"); d.Good != 10 || d.Regulars != 10 {
			t.Errorf("for %s, much later: decided with %v good, %v regulars; want 10 and 10", length, d.Good, d.Regulars)
		}
	}
}
