package score

import (
	"testing"
	"time"

	"weir/event"
)

func TestALimitStopsWhatExceedsItsRate(t *testing.T) {
	r := newRig(t, attack)
	r.every(attack, 130, request{ip: "192.0.2.1"}) // two a minute may pass: two at once, then one each 30 s
	r.decide(decision(0, time.Hour, event.Limit, "ip", "192.0.2.1"))
	r.how.Delay = 0
	p := part(t, r.must(), attack)
	eq(t, "limited", p.Stopped[byWeir].Limited, 130-2-4) // refilled at 30, 60, 90, 120
	eq(t, "within", p.Missed.Within, 6)
}

func TestWhoWaitsLongSavesUpNoMoreThanARate(t *testing.T) {
	r := newRig(t, attack)
	r.send(attack, 0, request{ip: "192.0.2.1"})
	for range 5 {
		r.send(attack, 50*time.Minute, request{ip: "192.0.2.1"})
	}
	r.decide(decision(0, time.Hour, event.Limit, "ip", "192.0.2.1"))
	r.how.Delay = 0
	eq(t, "limited", part(t, r.must(), attack).Stopped[byWeir].Limited, 3)
}

func TestTheSameLimitOfTwoRulesIsOne(t *testing.T) {
	r := newRig(t, attack)
	r.every(attack, 20, request{ip: "192.0.2.1"})
	again := decision(time.Second, time.Hour, event.Limit, "ip", "192.0.2.1")
	again.Rule = "test.again"
	r.decide(again, decision(0, time.Hour, event.Limit, "ip", "192.0.2.1"))
	out := r.must()
	eq(t, "limited", part(t, out, attack).Stopped[byWeir].Limited, 20-5-2) // from second 5 on, two pass
	eq(t, "rules", len(out.Rules), 1)
	eq(t, "the first", out.Rules[0].Rule, "test.rule")
}

func TestWhatIsBlockedUsesUpNoRate(t *testing.T) {
	r := newRig(t, attack)
	r.every(attack, 20, request{ip: "192.0.2.1"})
	r.decide(decision(0, time.Hour, event.Limit, "ip", "192.0.2.1"))
	d := decision(0, 10*time.Second, event.Block, "ip", "192.0.2.1")
	r.decide(d)
	r.how.Delay = 0
	s := part(t, r.must(), attack).Stopped[byWeir]
	eq(t, "hits", s.Hits, Hits{Blocked: 10, Limited: 8})
}

func TestOnlyWhatIsEnforcedCounts(t *testing.T) {
	make := func(asIf bool) *Part {
		r := newRig(t, attack)
		r.send(attack, time.Minute, request{ip: "192.0.2.1"})
		r.send(attack, time.Minute, request{ip: "192.0.2.2"})
		shadow := decision(0, time.Hour, event.Block, "ip", "192.0.2.1")
		shadow.Mode = event.Shadow
		told := decision(0, time.Hour, event.Block, "ip", "192.0.2.2")
		told.Mode = event.AlertOnly
		r.decide(shadow, told)
		r.how.AsIf = asIf
		return part(t, r.must(), attack)
	}
	p := make(false)
	eq(t, "hits", p.Stopped[byWeir].Hits, Hits{Alerted: 1})
	eq(t, "missed", p.Missed, Missed{Requests: 2, BeforeAny: 2, Shadow: 1, Alert: 1})
	eq(t, "as if", make(true).Stopped[byWeir].Hits, Hits{Blocked: 2})
}

func TestWhatTheGuardsMadeOfADecisionCounts(t *testing.T) {
	at := func(s int) time.Duration { return time.Duration(s) * time.Second }
	d := decision(0, 60*time.Second, event.Block, "ip", "192.0.2.1")
	later := d
	later.Step, later.Time, later.Until = event.Renew, d.Time.Add(at(40)), d.Until.Add(at(30))
	sooner := d
	sooner.Step, sooner.Time, sooner.Until = event.Renew, d.Time.Add(at(20)), d.Until.Add(-at(10))
	for name, c := range map[string]struct {
		lines func(r *rig)
		must  Hits
	}{
		"in force":            {func(r *rig) { r.happens("new", 0, d, "block") }, Hits{Blocked: 55}},
		"renewed":             {func(r *rig) { r.happens("new", 0, d, "block"); r.happens("renew", at(40), later, "block") }, Hits{Blocked: 85}},
		"renewed for less":    {func(r *rig) { r.happens("new", 0, d, "block"); r.happens("renew", at(20), sooner, "block") }, Hits{Blocked: 55}},
		"withdrawn":           {func(r *rig) { r.happens("new", 0, d, "block"); r.happens("withdrawn", at(20), d, "block") }, Hits{Blocked: 20}},
		"ended early":         {func(r *rig) { r.happens("new", 0, d, "block"); r.happens("end", at(20), d, "block") }, Hits{Blocked: 15}},
		"milder":              {func(r *rig) { r.happens("new", 0, d, "block"); r.happens("milder", at(20), d, "challenge") }, Hits{Blocked: 20, Challenged: 35}},
		"milder at once":      {func(r *rig) { r.happens("new", 0, d, "challenge") }, Hits{Challenged: 55}},
		"held":                {func(r *rig) { r.happens("held", 0, d, "block") }, Hits{}},
		"queued, then let in": {func(r *rig) { r.happens("queued", 0, d, "block"); r.happens("new", at(30), d, "block") }, Hits{Blocked: 25}},
		"said again":          {func(r *rig) { r.happens("new", 0, d, "block"); r.happens("standing", at(30), d, "block") }, Hits{Blocked: 55}},
		"renewed once withdrawn": {func(r *rig) {
			r.happens("new", 0, d, "block")
			r.happens("withdrawn", at(10), d, "block")
			r.happens("renew", at(40), later, "block")
		}, Hits{Blocked: 10 + 45}},
	} {
		r := newRig(t, attack)
		r.every(attack, 120, request{ip: "192.0.2.1"})
		c.lines(r)
		eq(t, name, part(t, r.must(), attack).Stopped[byWeir].Hits, c.must)
	}
}

func TestStoppedBlockingStopsNothing(t *testing.T) {
	r := newRig(t, attack)
	r.every(attack, 60, request{ip: "192.0.2.1"})
	r.happens("new", 0, decision(0, time.Hour, event.Block, "ip", "192.0.2.1"), "block")
	r.ledger.WriteString(`{"v":1,"event":"stopped","at":"2026-03-02T00:00:20Z","chain":"00"}` + "\n")
	r.ledger.WriteString(`{"v":1,"event":"resumed","at":"2026-03-02T00:00:40Z","chain":"00"}` + "\n")
	p := part(t, r.must(), attack)
	eq(t, "blocked", p.Stopped[byWeir].Blocked, 20+15) // 5 to 24 and 45 to 59
	eq(t, "held", p.Missed.Held, 20)
}

func TestLateDecisionsAreNeverEnforced(t *testing.T) {
	r := newRig(t, attack)
	r.every(attack, 60, request{ip: "192.0.2.1"})
	d := decision(0, time.Hour, event.Block, "ip", "192.0.2.1")
	b := d.AppendOpen(nil, event.Words{Event: "new", Mode: "late", Action: "block"}, true)
	r.ledger.WriteString(string(b) + `,"at":"2026-03-02T00:00:00Z","chain":"00"}` + "\n")
	out := r.must()
	eq(t, "stopped", part(t, out, attack).Stopped[byWeir].Hits, Hits{})
	eq(t, "late", out.Ledger.Late, 1)
}

func TestADecisionMayBeForEver(t *testing.T) {
	r := newRig(t, attack)
	r.every(attack, 20, request{ip: "192.0.2.1"})
	d := decision(0, time.Hour, event.Block, "ip", "192.0.2.1")
	d.Until = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	r.decide(d)
	out := r.must()
	eq(t, "blocked", part(t, out, attack).Stopped[byWeir].Blocked, 15)
	eq(t, "list", out.Lists[byWeir].Max, 1)
}
