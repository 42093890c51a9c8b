package score

import (
	"fmt"
	"testing"
	"time"

	"weir/event"
	"weir/simulate"
)

func TestGoals(t *testing.T) {
	half, all, none := 0.5, 0.9, 0.0
	r := newRig(t, attack, honest)
	r.every(attack, 200, request{ip: "192.0.2.1"})
	r.every(honest, 100, request{ip: "192.0.2.2", user: "u"})
	r.decide(decision(95*time.Second, time.Hour, event.Block, "ip", "192.0.2.1"), decision(45*time.Second, 10*time.Second, event.Challenge, "ip", "192.0.2.2"))
	g := func(labels string) *goalBuilder { return &goalBuilder{r, labels} }
	g("attack/a/*").add(&half, nil, 0)              // 100 of 200: exactly half; first stop at 100, 60 requests are 59 s
	g("attack/a/1").add(nil, &all, 101*time.Second) // too little, in time
	g("honest/*").most(&none, &none, &none)         // blocked 0, challenged 5 %
	g("attack/nobody").add(&none, nil, time.Second) // no such label
	out := r.must()
	got := map[string]bool{}
	for _, v := range out.Goals {
		got[v.Labels+": "+v.String()+": "+v.Value()+" "+v.Note] = v.Pass
	}
	for what, pass := range map[string]bool{
		"attack/a/*: blocked at least 50.0 %: 50.0 % ":               true,
		"attack/a/*: first stop within 59 s: 100 s ":                 false,
		"attack/a/1: blocked or milder at least 90.0 %: 50.0 % ":     false,
		"attack/a/1: first stop within 101 s: 100 s ":                true,
		"honest/*: blocked at most 0 %: 0 % ":                        true,
		"honest/*: challenged or limited at most 0 %: 5.00 % ":       false,
		"honest/*: accounts blocked at most 0 %: 0 % ":               true,
		"attack/nobody: blocked at least 0 %: 0 % no label is meant": false,
	} {
		if is, ok := got[what]; !ok || is != pass {
			t.Errorf("%q: there %v, passed %v, must be %v", what, ok, is, pass)
		}
		delete(got, what)
	}
	if len(got) > 0 {
		t.Errorf("and also %v", got)
	}
	eq(t, "failed", out.Failed(), 4)
	eq(t, "the failed first", out.Goals[0].Pass, false)
	eq(t, "the reached last", out.Goals[len(out.Goals)-1].Pass, true)
}

func TestAGoalMayBeOfWhatExceedsTheNormal(t *testing.T) {
	share := 0.9
	r := newRig(t, "honest/partner", "attack/p/1")
	for h := range 10 { // ten an hour, and 90 more in the last three hours
		for i := range 10 {
			r.send("honest/partner", time.Duration(h)*time.Hour+time.Duration(i)*time.Second, request{ip: "192.0.2.1"})
		}
		for i := range 90 {
			if h >= 7 {
				r.send("attack/p/1", time.Duration(h)*time.Hour+time.Minute+time.Duration(i)*time.Second, request{ip: "192.0.2.1"})
			}
		}
	}
	for _, labels := range []string{"honest/partner", "attack/p/1"} {
		r.truth.Goals = append(r.truth.Goals, simulateGoal(labels, &share))
	}
	for i := range r.truth.Goals {
		r.truth.Goals[i].Above = 3
	}
	r.decide(decision(9*time.Hour, time.Hour, event.Block, "ip", "192.0.2.1"))
	r.how.Delay = 0
	is := map[string]float64{}
	for _, v := range r.must().Goals {
		if v.What == wantStopped {
			is[v.Labels] = v.Is
		}
	}
	eq(t, "without anything above its normal", is["honest/partner"], 1)
	eq(t, "all of it above none", is["attack/p/1"], 1.0/3)
}

func TestWhatExceedsIsCountedByTheHour(t *testing.T) {
	share := 0.9
	r := newRig(t, "honest/partner", "attack/p/1")
	r.send("attack/p/1", 4*time.Hour, request{ip: "192.0.2.2"})
	for h, n := range []int{10, 10, 10, 10, 40, 130, 20} { // a normal of 10, so 10 and 100 exceed 30
		for i := range n {
			r.send("honest/partner", time.Duration(h)*time.Hour+time.Duration(i)*time.Second, request{ip: "192.0.2.1"})
		}
	}
	g := simulateGoal("honest/partner", &share)
	g.Above = 3
	r.truth.Goals = append(r.truth.Goals, g)
	// Of the first hour above, all 40 are stopped (10 count); of the second, 50.
	r.decide(
		decision(4*time.Hour, 40*time.Second, event.Block, "ip", "192.0.2.1"),
		decision(5*time.Hour, 50*time.Second, event.Block, "ip", "192.0.2.1"),
	)
	r.how.Delay = 0
	for _, v := range r.must().Goals {
		if v.What == wantStopped {
			eq(t, "stopped of what exceeds", v.Is, 60.0/110)
		}
	}
}

// What a partner sends himself and what comes through him cannot be told apart
// by anybody: they are one client, whose normal is to pass.
func TestTheNormalOfAClientPasses(t *testing.T) {
	share, all := 0.9, 1.0
	for _, c := range []struct {
		name          string
		block         time.Duration // of the flood's hour
		with          string
		above, passes float64
	}{
		{"half of the hour", 30 * time.Minute, "honest/partner", 60.0 / 90, 1},     // of 120, 60 are stopped; 30 are normal three times
		{"nearly all of it", 58 * time.Minute, "honest/partner", 1, 3.0 / 10},      // three pass of a normal of ten
		{"without the partner's own", 30 * time.Minute, "", 55.0 / 110, 1},         // nothing is normal, so nothing must pass
		{"beside a label that is not there", 30 * time.Minute, "honest/non", 0, 0}, // a slip of the pen
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, "honest/partner", "attack/p/1")
			for h := range 4 { // ten an hour, and 110 more in the last one
				for i := range 10 {
					r.send("honest/partner", time.Duration(h)*time.Hour+time.Duration(i)*6*time.Minute, request{ip: "192.0.2.1"})
				}
			}
			for i := range 110 {
				r.send("attack/p/1", 3*time.Hour+time.Duration(i)*time.Hour/110, request{ip: "192.0.2.1"})
			}
			r.truth.Goals = []simulate.Goal{{Labels: "attack/p/*", With: c.with, Stopped: &share, Above: 3, Passes: &all, FirstStop: time.Hour}}
			r.decide(decision(3*time.Hour, c.block, event.Block, "ip", "192.0.2.1"))
			r.how.Delay = 0
			for _, v := range r.must().Goals {
				switch v.What {
				case wantStopped:
					eq(t, "stopped of what exceeds", v.Is, c.above)
				case wantPasses:
					eq(t, "passes of the normal", v.Is, c.passes)
					eq(t, "passed", v.Pass, c.passes == 1)
				}
			}
		})
	}
}

func TestAGoalMayBeContentWithAnAlert(t *testing.T) {
	for _, c := range []struct {
		first time.Duration
		pass  bool
		lines func(r *rig)
		is    float64
	}{
		{30 * time.Second, true, func(r *rig) { r.decide(decision(20*time.Second, time.Hour, event.Alert, "ip", "192.0.2.1")) }, 25},
		{24 * time.Second, false, func(r *rig) { r.decide(decision(20*time.Second, time.Hour, event.Alert, "ip", "192.0.2.1")) }, 25},
		{30 * time.Second, true, func(r *rig) { r.decide(decision(10*time.Second, time.Hour, event.Challenge, "ip", "192.0.2.1")) }, 15},
		{0, true, func(r *rig) { r.decide(decision(50*time.Second, time.Hour, event.Alert, "ip", "192.0.2.1")) }, 55},
		{0, false, func(*rig) {}, -1},
	} {
		r := newRig(t, attack)
		r.every(attack, 60, request{ip: "192.0.2.1"})
		c.lines(r)
		r.truth.Goals = append(r.truth.Goals, simulate.Goal{Labels: attack, Alerted: true, FirstStop: c.first})
		goals := r.must().Goals
		eq(t, "goals", len(goals), 1)
		eq(t, "what", goals[0].What, wantAlert)
		eq(t, "when", goals[0].Is, c.is)
		eq(t, "passed", goals[0].Pass, c.pass)
	}
}

func TestGoalsOnPeopleTellAddressesThatAttackApart(t *testing.T) {
	none := 0.0
	r := newRig(t, attack, honest)
	r.send(attack, 0, request{ip: "192.0.2.1"})
	for i := range 4 {
		r.send(honest, time.Minute, request{ip: "192.0.2.1", user: fmt.Sprint("a", i)})
		r.send(honest, time.Minute, request{ip: "192.0.2.2", user: fmt.Sprint("b", i)})
	}
	r.send(honest, time.Minute, request{ip: "192.0.2.3", user: "b0"})
	r.decide(decision(0, time.Hour, event.Block, "ip", "192.0.2.1"), decision(0, time.Hour, event.Block, "ip", "192.0.2.3"))
	for _, attacking := range []bool{false, true} {
		r.truth.Goals = append(r.truth.Goals, simulate.Goal{Labels: honest, MostBlocked: &none, MostAccounts: &none, Attacking: attacking})
	}
	is := map[string]float64{}
	for _, v := range r.must().Goals {
		is[fmt.Sprint(v.What, " ", v.Attacking)] = v.Is
	}
	eq(t, "others' requests", is["most blocked false"], 1.0/5)
	eq(t, "others' accounts", is["most accounts false"], 1.0/8)
	eq(t, "requests where it attacks, too", is["most blocked true"], 1)
	eq(t, "accounts where it attacks, too", is["most accounts true"], 4.0/8)
}

// What is demanded of log-ins is not measured on the pages around them.
func TestGoalsOnLogInsLeaveOutPages(t *testing.T) {
	half := 0.5
	r := newRig(t, attack)
	for i := range 4 {
		r.send(attack, time.Minute, request{ip: "192.0.2.1", path: "/products/1"})
		r.send(attack, time.Minute, request{ip: fmt.Sprint("192.0.2.", 1+i)})
	}
	r.decide(decision(0, time.Hour, event.Block, "ip", "192.0.2.2"), decision(0, time.Hour, event.Challenge, "ip", "192.0.2.3"))
	for _, logins := range []bool{false, true} {
		r.truth.Goals = append(r.truth.Goals, simulate.Goal{Labels: attack, Blocked: &half, Stopped: &half, Logins: logins})
	}
	is := map[string]float64{}
	for _, v := range r.must().Goals {
		is[v.String()] = v.Is
	}
	eq(t, "requests blocked", is["blocked at least 50.0 %"], 1.0/8)
	eq(t, "requests stopped", is["blocked or milder at least 50.0 %"], 2.0/8)
	eq(t, "log-ins blocked", is["blocked at least 50.0 % of the tries to log in"], 1.0/4)
	eq(t, "log-ins stopped", is["blocked or milder at least 50.0 % of the tries to log in"], 2.0/4)
}
