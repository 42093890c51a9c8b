package pipeline_test

import (
	"slices"
	"testing"
	"time"

	"weir/event"
	"weir/pipeline"
	"weir/rules"
)

// enforced returns what the oracle makes of a world in which its own decisions
// are applied. It does not know how to do that as it goes: it decides, gives
// every event the answer of the list that it meets, and begins anew, until
// nothing changes. What is decided up to a minute is right for events up to the
// lag later, so each round is right for longer than the one before.
func (w *world) enforced(t testing.TB) (o *oracle, rounds int) {
	t.Helper()
	plan, err := rules.NewPlan(w.rules, event.FixedKey(), w.options)
	if err != nil {
		t.Fatal(err)
	}
	disorder := time.Duration(0)
	for _, s := range w.sources {
		disorder = max(disorder, s.disorder)
	}
	lag := int64(60)
	for lag <= 60+int64(disorder/time.Second) {
		lag += 60
	}
	o = w.oracle()
	lines := linesOf(o.run())
	for rounds = 1; rounds < 2000; rounds++ {
		before := o
		refused := len(o.refused)
		o = w.oracleWith(func(ev *event.Event) event.Action { return before.answer(plan, lag, ev) })
		again := linesOf(o.run())
		if slices.Equal(lines, again) && refused == len(o.refused) {
			return o, rounds
		}
		lines = again
	}
	t.Fatal("the oracle does not come to an end")
	return nil, 0
}

// answer returns what points answer an event by what the oracle decided.
func (o *oracle) answer(plan *rules.Plan, lag int64, ev *event.Event) event.Action {
	list := ev.Second - ((ev.Second%60)+60)%60 - lag
	last := map[string]event.Decision{} // by the first one's id
	for _, d := range o.lines {
		if d.Mode != event.Enforce || d.Would == event.Alert || d.Step == event.End || d.Time.Unix() > list {
			continue
		}
		id := d.ID
		if d.Step == event.Renew {
			id = d.Renews
		}
		if was, ok := last[id]; !ok || was.Time.Before(d.Time) {
			last[id] = d
		}
	}
	hit := map[event.Action]bool{}
	for _, d := range last {
		if d.Until.Unix() > ev.Second && covers(d.Target, ev) && !o.excused(&d, ev) {
			hit[d.Would] = hit[d.Would] || d.Would != event.Limit || plan.Draw(ev) >= o.passes(&d, list)
		}
	}
	for _, a := range []event.Action{event.Block, event.Deceive, event.Challenge, event.Limit} {
		if hit[a] {
			return a
		}
	}
	return event.NoAction
}

func covers(target event.Target, ev *event.Event) bool {
	for _, v := range target {
		if ev.Str(event.FieldByName(v.Field)) != v.Text {
			return false
		}
	}
	return true
}

// excused reports whether an exception holds for an event, or nobody can tell.
func (o *oracle) excused(d *event.Decision, ev *event.Event) bool {
	for f := event.FieldTime; f < event.FieldX0; f++ {
		if d.Except == "known("+f.String()+")" {
			s := o.standingAt(ev.Second)
			return !s.defined || s.known[f.String()+"="+ev.Str(f)]
		}
	}
	return false
}

// passes returns which share of a limit's events pass.
func (o *oracle) passes(d *event.Decision, list int64) float64 {
	k := oracleKey{}
	for _, v := range d.Target {
		k.fields = append(k.fields, event.FieldByName(v.Field))
		k.values = append(k.values, v.Text)
	}
	requests, seconds, _ := rules.ParseLimit(d.To)
	demand := float64(o.lastMinutes(o.all, k, list) + o.lastMinutes(o.no, k, list))
	return float64(requests) * 600 / float64(seconds) / demand // no demand: infinitely many
}

// longer returns the world with its rules' decisions in force so many times as
// long: some of the laws' are over before any list has them.
func (w *world) longer(times int) *world {
	for i, r := range w.rules {
		c := *r
		c.Then = slices.Clone(r.Then)
		for k := range c.Then {
			c.Then[k].For = slices.Clone(c.Then[k].For)
			for j := range c.Then[k].For {
				c.Then[k].For[j] = min(c.Then[k].For[j]*time.Duration(times), 7*24*time.Hour)
			}
		}
		if i == 0 {
			w.rules = slices.Clone(w.rules)
		}
		w.rules[i] = &c
	}
	return w
}

func TestWhatIsDecidedIsAppliedAsTheOracleAppliesIt(t *testing.T) {
	var refused [event.NumActions]int
	excepted, renewed, rounds := 0, 0, 0
	for seed := range uint64(seeds(4)) {
		w := randomWorld(t, 500+seed).longer(20)
		disorder := time.Duration(0)
		for _, s := range w.sources {
			disorder = max(disorder, s.disorder)
		}
		o, n := w.enforced(t)
		rounds = max(rounds, n)
		want := linesOf(o.lines)
		byLog := len(w.oracle().refused)
		for _, row := range o.refused {
			refused[row.Refused]++
		}
		for _, d := range o.lines {
			if d.Step == event.Renew {
				renewed++
			}
			if d.Except != "" {
				excepted++
			}
		}
		for _, s := range shapes(seed) {
			var made *pipeline.Enforcement
			w.enforce = func() *pipeline.Enforcement {
				made = pipeline.NewEnforcement(pipeline.EnforceConfig{Disorder: disorder})
				return made
			}
			got, sum := w.run(t, s)
			if !compare(t, "applied, "+s.String(), want, got) {
				return
			}
			total := int64(0)
			for _, actions := range made.Enforced().Refused {
				for _, n := range actions {
					total += n
				}
			}
			if int(sum.Refused) != len(o.refused) || int(total) != len(o.refused)-byLog {
				t.Fatalf("seed %d, %v: %d refused, %d of them by what was decided; the oracle has %d and %d",
					seed, s, sum.Refused, total, len(o.refused), len(o.refused)-byLog)
			}
		}
	}
	for _, a := range []event.Action{event.Block, event.Limit, event.Challenge} {
		if refused[a] < 50 {
			t.Errorf("%d events were answered with %s, want at least 50 for the comparison to mean something", refused[a], a)
		}
	}
	if excepted < 20 || renewed < 50 || rounds < 3 {
		t.Errorf("%d decisions with an exception, %d renewals, %d rounds: want at least 20, 50 and 3", excepted, renewed, rounds)
	}
}
