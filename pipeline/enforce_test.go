package pipeline_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"weir/event"
	"weir/ingest"
	"weir/internal/testkit"
	"weir/pipeline"
	"weir/rules"
)

// applying makes the world's decisions apply, and returns the last Enforcement.
func (w *world) applying(cfg pipeline.EnforceConfig) func() *pipeline.Enforcement {
	var made *pipeline.Enforcement
	w.enforce = func() *pipeline.Enforcement {
		made = pipeline.NewEnforcement(cfg)
		return made
	}
	return func() *pipeline.Enforcement { return made }
}

func oneSource(t *testing.T, rule string, records ...[]ingest.MemoryRecord) *world {
	return &world{
		rules: parseRules(t, rule), ceiling: event.Enforce,
		sources: []worldSource{{name: "log", latest: time.Hour, records: records}},
	}
}

func TestOneBlockHoldsAnAttackThatGoesOn(t *testing.T) {
	const hours = 5
	r := &refusing{}
	r.send(0, 10, hours*360, "")
	w := oneSource(t, blocking, r.records)
	made := w.applying(pipeline.EnforceConfig{})
	for _, s := range shapes(3) {
		got, sum := w.decide(t, s)
		lives := livesOf(got)
		if len(lives) != 1 || lives[0].renewals < hours-1 || lives[0].end != 0 {
			t.Errorf("%v: lives are %v, want one that is renewed as long as the attack goes on", s, lives)
		}
		// Decided after the tenth try at 91 s; in the list of second 120,
		// which events meet from two minutes later on.
		passed := int64(len(r.records)) - sum.Refused
		if want := int64(24); passed != want {
			t.Errorf("%v: %d tries passed, want %d", s, passed, want)
		}
		if n := made().Enforced().Refused["blocking"]["block"]; n != sum.Refused {
			t.Errorf("%v: %d refused by the rule, %d in all", s, n, sum.Refused)
		}
	}
}

func TestWhoeverIsKnownIsNotRefused(t *testing.T) {
	const rule = `id: failing
version: 1
title: Failures
severity: high
key: endpoint
where: kind == "login"
features: {failed: 'count("10m", outcome == "failure")'}
when: failed >= 10
then: {challenge: endpoint, except: known(ip), for: 24h}
stage: enforce
`
	r := &refusing{}
	add := func(at int64, ip, outcome string) {
		r.records = append(r.records, ingest.MemoryRecord{Offset: int64(len(r.records)), Line: testkit.AppendLine(nil, []testkit.Pair{
			{Name: "t", Value: fmt.Sprint(base + at)}, {Name: "ip", Value: ip}, {Name: "kind", Value: "login"},
			{Name: "endpoint", Value: "POST /login"}, {Name: "outcome", Value: outcome},
		})})
	}
	add(0, "192.0.2.1", "success")
	for i := range int64(20) { // in the first day nobody can say who is known
		add(3600+i, "198.51.100.7", "failure")
	}
	for i := range int64(20) {
		add(30*3600+i, "198.51.100.7", "failure")
	}
	for i := range int64(20) {
		add(31*3600+2*i, "198.51.100.7", "failure")
		add(31*3600+2*i+1, "192.0.2.1", "success")
	}
	w := oneSource(t, rule, r.records)
	made := w.applying(pipeline.EnforceConfig{})
	got, sum := w.decide(t, shape{workers: 2, units: 8, batch: 7})
	if lives := livesOf(got); len(lives) != 1 || lives[0].begin < 30*3600 {
		t.Fatalf("lives are %v, want one from the second day", lives)
	}
	if n := made().Enforced().Refused["failing"]["challenge"]; n != 20 || sum.Refused != 20 {
		t.Errorf("%d challenged, %d refused in all, want the 20 of the stranger", n, sum.Refused)
	}
}

func TestALimitLetsThroughWhatItAllows(t *testing.T) {
	rule := `id: limiting
version: 1
title: Ten failed logins
severity: high
key: ip
where: kind == "login"
features: {failed: 'count("10m", outcome == "failure")'}
when: failed >= 10
then: {limit: ip, to: 6/1m, for: 24h}
stage: enforce
`
	r := &refusing{}
	r.send(0, 1, 3*3600, "")
	w := oneSource(t, rule, r.records)
	w.applying(pipeline.EnforceConfig{})
	_, sum := w.decide(t, shape{workers: 2, units: 8, batch: 100})
	passed := int64(len(r.records)) - sum.Refused
	// Six of sixty a minute over three hours, and what passes while the ten
	// minutes that it goes by are not full yet.
	if passed < 900 || passed > 1600 {
		t.Errorf("%d of %d passed, want about 1,080 and some more at the beginning", passed, len(r.records))
	}
}

func TestWhatPointsHoldHasALimit(t *testing.T) {
	var records []ingest.MemoryRecord
	for i := range int64(4 * 600) {
		records = append(records, ingest.MemoryRecord{Offset: i, Line: testkit.AppendLine(nil, []testkit.Pair{
			{Name: "t", Value: fmt.Sprint(base + i)}, {Name: "ip", Value: fmt.Sprintf("192.0.2.%d", i%4)}, {Name: "kind", Value: "login"},
			{Name: "endpoint", Value: "POST /login"}, {Name: "outcome", Value: "failure"},
		})})
	}
	w := oneSource(t, blocking, records)
	made := w.applying(pipeline.EnforceConfig{Limit: 3})
	_, sum := w.decide(t, shape{workers: 1, units: 1, batch: 100})
	e := made().Enforced()
	if e.Held != 3 || e.Unheld == 0 || sum.Refused == 0 {
		t.Errorf("%d held, %d times no room, %d events refused; want 3 and some of both", e.Held, e.Unheld, sum.Refused)
	}
}

func TestWhatALedgerTakesOutIsNotRefusedAnyMore(t *testing.T) {
	r := &refusing{}
	r.send(0, 10, 3*360, "")
	w := oneSource(t, blocking, r.records)
	minutes := 0
	w.applying(pipeline.EnforceConfig{InForce: func() ([]pipeline.Applied, bool) {
		minutes++
		entry := pipeline.Applied{
			ID: "a", Rule: "blocking", Action: event.Challenge, Until: time.Unix(base+1<<30, 0),
			Target: event.Target{{Field: "ip", Text: "198.51.100.7"}},
		}
		if minutes >= 30 && minutes < 90 {
			return []pipeline.Applied{entry}, true
		}
		return nil, true
	}})
	_, sum := w.decide(t, shape{workers: 2, units: 8, batch: 7})
	if sum.Refused != 60*6 {
		t.Errorf("%d refused, want those of an hour, 360", sum.Refused)
	}
}

func TestAnEnforcementIsNotForALiveRun(t *testing.T) {
	plan, err := rules.NewPlan(parseRules(t, blocking), event.FixedKey(), rules.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	source := pipeline.Source{Source: ingest.NewMemory("log", [][]ingest.MemoryRecord{nil}), Decode: testkit.Decode, Disorder: time.Minute}
	for _, cfg := range []pipeline.Config{
		{Enforce: pipeline.NewEnforcement(pipeline.EnforceConfig{Disorder: time.Minute}), Record: func([]pipeline.Mark) error { return nil }},
		{Enforce: pipeline.NewEnforcement(pipeline.EnforceConfig{Disorder: time.Second})}, // less than the source's
	} {
		cfg.Plan, cfg.Sources = plan, []pipeline.Source{source}
		if _, err := pipeline.Run(context.Background(), cfg); err == nil {
			t.Error("accepted")
		}
	}
}

// adaptive is an attacker who takes another address when points refuse him.
type adaptive struct {
	*ingest.Memory
	points  *pipeline.Enforcement
	at      int64 // the second of his next try, after base
	last    int64 // and of the last one
	address int
	tries   []string
}

func (a *adaptive) Read(ctx context.Context, _, most int, r *ingest.Records) error {
	handed, before := a.last, len(a.tries) // a log's first line counts once there is a second
	for range most {
		if a.at >= 4*3600 {
			return io.EOF
		}
		if before < 2 && len(a.tries) >= 2 {
			return nil
		}
		if before >= 2 {
			list := min(base+a.at-a.points.Lag(), base+a.last)
			if list-list%60 > base+handed {
				return nil // first hand out what the list depends on
			}
			if err := a.points.Await(ctx, list); err != nil {
				return err
			}
			var ev event.Event
			if err := testkit.Decode(a.line(), &ev, &event.Arena{}); err != nil {
				return err
			}
			ev.Second = base + a.at
			if action, rule := a.points.Ask(list, &ev); action == event.Block && rule == "blocking" {
				a.address++
			}
		}
		r.Starts = append(r.Starts, uint32(len(r.Data)))
		r.Data = append(r.Data, a.line()...)
		r.Ends, r.Offsets = append(r.Ends, uint32(len(r.Data))), append(r.Offsets, int64(len(a.tries)))
		a.tries = append(a.tries, string(a.line()))
		a.last = a.at
		a.at += 7
	}
	return nil
}

func (a *adaptive) line() []byte {
	return testkit.AppendLine(nil, []testkit.Pair{
		{Name: "t", Value: fmt.Sprint(base + a.at)}, {Name: "ip", Value: fmt.Sprintf("198.51.100.%d", a.address%250)}, {Name: "kind", Value: "login"},
		{Name: "endpoint", Value: "POST /login"}, {Name: "outcome", Value: "failure"},
	})
}

func TestAnAttackerMayReactToWhatPointsHold(t *testing.T) {
	plan, err := rules.NewPlan(parseRules(t, blocking), event.FixedKey(), rules.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, s := range shapes(9) {
		points := pipeline.NewEnforcement(pipeline.EnforceConfig{})
		a := &adaptive{Memory: ingest.NewMemory("log", [][]ingest.MemoryRecord{nil}), points: points}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		sum, err := pipeline.Run(ctx, pipeline.Config{
			Sources: []pipeline.Source{{Source: a, Decode: testkit.Decode, MaxLateness: time.Hour}}, Plan: plan, Ceiling: event.Enforce,
			Workers: s.workers, Units: s.units, Batch: s.batch, Enforce: points,
		})
		if err != nil {
			t.Fatal(err)
		}
		// He asks for the very list that his next try meets.
		if a.address < 10 || sum.Refused != 0 {
			t.Errorf("%v: %d addresses, %d of %d tries refused; want an attacker who changes his address before each is", s, a.address+1, sum.Refused, sum.Events)
		}
		if want == nil {
			want = a.tries
		}
		if !slices.Equal(want, a.tries) {
			t.Errorf("%v: the attack went differently", s)
		}
	}
}
