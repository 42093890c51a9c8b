package pipeline_test

import (
	"slices"
	"time"

	"weir/event"
	"weir/rules"
	"weir/windows"
)

// grant is a decision in force.
type grant struct {
	first    event.Decision // the new one
	last     event.Decision // the new one or its latest renewal
	rule     *rules.Rule
	target   oracleKey
	length   int64 // seconds
	until    int64
	onset    int   // see oracle.onset
	evidence int64 // the tick of the last evidence that was not refused
	began    int64 // the tick of the new one whose regulars it hits
}

// goodTriedClean are the facts about a target as of tick.
func (o *oracle) goodTriedClean(target oracleKey, tick int64) (good, tried float64, clean bool) {
	rows := o.all.of(target)
	week := within(rows, windows.W7d.Start(tick), tick)
	hour := within(rows, windows.W1h.Start(tick), tick)
	actors, succeeded := map[string]bool{}, map[string]bool{}
	for _, row := range week {
		actor := row.Str(event.FieldActor)
		if row.Outcome == event.NoOutcome || actor == "" {
			continue
		}
		actors[actor] = true
		if vouches(row) {
			succeeded[actor] = true
		}
	}
	ok := vouches
	if slices.Contains(target.fields, event.FieldEndpoint) || slices.Contains(target.fields, event.FieldKind) {
		ok = func(row *oracleRow) bool { return row.Outcome == event.Success }
	}
	ok7, tried7 := outcomes(week, ok)
	ok1, tried1 := outcomes(hour, ok)
	ok7, tried7 = ok7-ok1, tried7-tried1 // the seven days less that hour
	clean = (ok1 <= 1 || 100*ok1 <= 2*tried1) && (ok7 <= 1 || 100*ok7 <= tried7)
	return float64(len(succeeded)), float64(len(actors)), clean
}

// vouches reports whether somebody succeeded where only a customer can.
func vouches(row *oracleRow) bool {
	if row.Outcome != event.Success {
		return false
	}
	switch row.Kind {
	case event.Signup, event.Reset:
		return false
	case event.Balance, event.Checkout, event.Giftcard, event.Transfer:
		return row.Str(event.FieldCredential)+row.Str(event.FieldConsumer) != ""
	}
	return true
}

// regulars is how many of the accounts that are good now may have been there
// before a decision that was made at began: no more than were good then, and no
// more than succeeded in the week up to an hour before it, as far as its
// exception would not have spared them. On the first day all are, but behind a
// block where ten had tried and hardly one succeeded: there those who were good by then.
func (o *oracle) regulars(target oracleKey, action event.Action, except event.Field, began int64, good float64) float64 {
	const hour = 3600
	wholeHour := func(t int64) int64 { return t - ((t%hour)+hour)%hour }
	then, tried, clean := o.goodTriedClean(target, began)
	if wholeHour(began) < o.firstSecond()+24*hour {
		if clean && tried >= 10 && (action == event.Block || action == event.Deceive) {
			return min(good, then)
		}
		return good
	}
	n := 0
	for _, row := range within(o.all.of(target), windows.W7d.Start(began), wholeHour(began-hour)) {
		if !vouches(row) {
			continue
		}
		if except != event.NoField {
			s := o.standingAt(row.Second)
			if !s.defined || s.known[except.String()+"="+row.Str(except)] {
				continue
			}
		}
		n++
	}
	return min(good, then, float64(n))
}

// outcomes counts the successes, and all that tried something.
func outcomes(rows []*oracleRow, ok func(*oracleRow) bool) (succeeded, tried int) {
	for _, row := range rows {
		if row.Outcome != event.NoOutcome {
			tried++
		}
		if ok(row) {
			succeeded++
		}
	}
	return succeeded, tried
}

// decide makes a decision of entry i for a target, or renews the one in force.
func (o *oracle) decide(s *subject, i int, target oracleKey, tick int64) {
	c := &s.rule.Then[i]
	d := event.Decision{
		Step: event.New, Time: time.Unix(tick, 0), Mode: min(s.rule.Stage, o.ceiling), Would: c.Action, To: c.To,
		Target: target.target(), Key: s.truth.key.target(), Rule: s.rule.ID, Version: s.rule.Version,
		Severity: s.rule.Severity, Evidence: s.truth.evidence(), Sources: s.sources,
	}
	if c.Except != event.NoField {
		d.Except = "known(" + c.Except.String() + ")"
	}
	if c.Action == event.Alert {
		d.Mode = min(d.Mode, event.AlertOnly) // nothing can be enforced
	}
	d.Good, d.Tried, d.Clean = o.goodTriedClean(target, tick)
	id := s.rule.ID + "\x00" + c.Action.String() + "\x00" + d.Except + "\x00" + target.String()
	if g := o.inForce[id]; g != nil {
		g.evidence = max(g.evidence, s.truth.tick)
		if 2*(g.until-tick) < g.length {
			d.Regulars = o.regulars(target, c.Action, c.Except, g.began, d.Good)
			o.renew(g, d, tick+g.length)
		}
		return
	}
	made := s.rule.ID + "\x00" + target.String()
	step := 0
	for _, t := range o.news[made] {
		if tick-t < int64(windows.W7d) {
			step++
		}
	}
	o.news[made] = append(o.news[made], tick)
	o.newsOf[id] = slices.DeleteFunc(o.newsOf[id], func(t int64) bool { return t <= tick-int64(windows.W7d) })
	o.newsOf[id] = append(o.newsOf[id], tick)
	o.newsOf[id] = o.newsOf[id][max(0, len(o.newsOf[id])-16):] // as many as a rule may have steps
	began := o.newsOf[id][0]
	steps := func(c rules.Consequence) bool { return len(c.For) > 1 }
	if c.Action == event.Alert && !slices.ContainsFunc(s.rule.Then, steps) {
		began = tick
	}
	d.Regulars = o.regulars(target, c.Action, c.Except, began, d.Good)
	length := int64(c.For[min(step, len(c.For)-1)].Seconds())
	d.Until = time.Unix(tick+length, 0)
	d.ID = decisionID(&d)
	o.lines = append(o.lines, d)
	o.inForce[id] = &grant{
		first: d, last: d, rule: s.rule, target: target, length: length, until: tick + length,
		onset:    o.onset(s.rule, c, target, tick),
		evidence: s.truth.tick, began: began,
	}
}

// lastMinutes counts the rows of a target in the ten minutes up to tick.
func (o *oracle) lastMinutes(x *oracleIndex, target oracleKey, tick int64) int {
	return len(within(x.of(target), windows.W10m.Start(tick), tick))
}

func decisionID(d *event.Decision) string {
	return event.DecisionID(d.Step, d.Rule, d.Version, d.Would, d.Target, d.Except, d.Time)
}

// renew makes d a renewal of g.
func (o *oracle) renew(g *grant, d event.Decision, until int64) {
	d.Step, d.Renews, d.Until = event.Renew, g.first.ID, time.Unix(until, 0)
	d.ID = decisionID(&d)
	g.until, g.last = until, d
	o.lines = append(o.lines, d)
}

// renewRefused is law 9: what a decision refuses keeps it in force while it
// goes on, for at most 24 h after the last evidence that was not refused.
func (o *oracle) renewRefused(fresh []*oracleRow, tick int64) {
	const most = 24 * 3600
	for _, g := range o.inForce {
		var touched []*oracleRow
		for _, row := range fresh {
			if k, ok := keyOf(row.Event, g.target.fields); ok && k.String() == g.target.String() {
				touched = append(touched, row)
			}
		}
		if len(touched) == 0 || 2*(g.until-tick) >= g.length || tick-g.evidence >= most {
			continue
		}
		refused := o.lastMinutes(o.no, g.target, tick)
		until := min(tick+g.length, g.evidence+most)
		if 4*refused < g.onset || until <= g.until {
			continue
		}
		// Evidence is the rule's last; the sources are what was refused now.
		d := g.last
		d.Time, d.Sources = time.Unix(tick, 0), sources(touched)
		d.Good, d.Tried, d.Clean = o.goodTriedClean(g.target, tick)
		except := event.NoField
		for i := range g.rule.Then {
			if c := &g.rule.Then[i]; c.Except != event.NoField && d.Except == "known("+c.Except.String()+")" {
				except = c.Except
			}
		}
		d.Regulars = o.regulars(g.target, d.Would, except, g.began, d.Good)
		o.renew(g, d, until)
	}
}

// endDecisions ends those whose until is tick or earlier.
func (o *oracle) endDecisions(tick int64) {
	for id, g := range o.inForce {
		if g.until > tick {
			continue
		}
		d := g.last
		d.Step, d.ID, d.Renews = event.End, g.first.ID, ""
		d.Time, d.Until = time.Unix(g.until, 0), time.Unix(g.until, 0)
		o.lines = append(o.lines, d)
		delete(o.inForce, id)
	}
}
