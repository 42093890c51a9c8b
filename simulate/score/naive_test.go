package score

import (
	"testing"
	"time"

	"weir/event"
)

func TestNaiveRulesBlockAnAddressThatFailsOften(t *testing.T) {
	r := newRig(t, attack, honest)
	r.every(attack, 40, request{ip: "192.0.2.1", status: 401})
	for i := range 30 { // ten failures in more than ten minutes
		r.send(honest, time.Duration(i)*70*time.Second, request{ip: "192.0.2.2", status: 401})
	}
	out := r.must()
	s := part(t, out, attack).Stopped
	eq(t, "five", s[byFive].Blocked, 40-9) // the fifth fails in second 4, the block comes in 9
	eq(t, "ten", s[byTen].Blocked, 40-14)
	eq(t, "five first", s[byFive].First.After, 9)
	h := people(t, out, honest).Hurt
	eq(t, "ten does not see the slow one", h[byTen].Requests.Blocked, 0)
	if h[byFive].Requests.Blocked == 0 {
		t.Error("five does not see who fails five times in ten minutes")
	}
	eq(t, "list", out.Lists[byTen].Max, 1)
	eq(t, "by", out.Lists[byTen].By, "10 failures in 10 minutes")
}

func TestANaiveBlockEndsAfterAnHour(t *testing.T) {
	r := newRig(t, attack)
	r.every(attack, 5, request{ip: "192.0.2.1", status: 401})
	r.send(attack, 4*time.Second+time.Hour-time.Second, request{ip: "192.0.2.1", status: 401})
	r.send(attack, 4*time.Second+time.Hour, request{ip: "192.0.2.1", status: 401})
	eq(t, "blocked", part(t, r.must(), attack).Stopped[byFive].Blocked, 1)
}

func TestListSizesAreOfDistinctEntries(t *testing.T) {
	r := newRig(t, attack)
	r.every(attack, 101, request{ip: "192.0.2.1"})
	other := decision(10*time.Second, 40*time.Second, event.Block, "ip", "192.0.2.1") // of another rule: the same entry
	other.Rule = "test.other"
	r.decide(
		decision(0, 40*time.Second, event.Block, "ip", "192.0.2.1"), other,
		decision(20*time.Second, 20*time.Second, event.Challenge, "ip", "192.0.2.2"),
	)
	r.how.Delay = 0
	l := r.must().Lists[byWeir]
	eq(t, "entries", l.Entries, 2)
	eq(t, "max", l.Max, 2)
	eq(t, "when", l.MaxAt, began.Add(20*time.Second))
	eq(t, "mean", l.Mean, 0.7) // 50 s and 20 s of 100
	eq(t, "blocks", l.ByAction["block"], 1)
	eq(t, "challenges", l.ByAction["challenge"], 1)
}

func TestANaiveRuleBeginsAnewBehindABlock(t *testing.T) {
	r := newRig(t, attack)
	r.every(attack, 5, request{ip: "192.0.2.1", status: 401})
	for i := range 4 { // and four more within ten minutes of the next five
		r.send(attack, 4*time.Second+time.Hour+time.Duration(i)*time.Second, request{ip: "192.0.2.1", status: 401})
	}
	r.send(attack, 30*time.Second+time.Hour, request{ip: "192.0.2.1", status: 401}) // the fifth
	r.send(attack, 34*time.Second+time.Hour, request{ip: "192.0.2.1", status: 401})
	r.send(attack, 35*time.Second+time.Hour, request{ip: "192.0.2.1", status: 401}) // it is in force
	out := r.must()
	eq(t, "blocked", part(t, out, attack).Stopped[byFive].Blocked, 1)
	eq(t, "on the list at a time", out.Lists[byFive].Max, 1)
}
