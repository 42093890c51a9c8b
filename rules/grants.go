package rules

import (
	"container/heap"
	"slices"
	"time"

	"weir/event"
	"weir/windows"
)

// grant is a decision in force on a target, or the memory of one: how many
// there were in the last seven days says how long the next one is.
type grant struct {
	target windows.Key
	rule   int
	entry  int
	action event.Action
	except event.Field

	until    int64 // in force before this tick; 0: not in force
	length   int64 // of the step it was given
	evidence int64 // the last tick with evidence that was not refused
	onset    uint64
	made     []int64 // the ticks of `new` in the last seven days
	first    string  // the id of the `new` one
	last     event.Decision
	at       int // position in the queue of ends
}

const (
	week = 7 * 24 * 3600
	day  = 24 * 3600
	// maxMade is how many ticks of earlier decisions a grant remembers: as many
	// as a rule may have steps.
	maxMade = 16
)

// endQueue orders the grants in force by their end.
type endQueue []*grant

func (q endQueue) Len() int           { return len(q) }
func (q endQueue) Less(i, j int) bool { return q[i].until < q[j].until }
func (q endQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i]; q[i].at, q[j].at = i, j }
func (q endQueue) first() *grant      { return q[0] }

// Push adds a grant; it is for container/heap.
func (q *endQueue) Push(x any) {
	g := x.(*grant)
	g.at = len(*q)
	*q = append(*q, g)
}

// Pop removes the last grant; it is for container/heap.
func (q *endQueue) Pop() any {
	old := *q
	g := old[len(old)-1]
	*q = old[:len(old)-1]
	return g
}

// decide makes the walk's entry a decision on a target of this unit, or renews
// the one in force.
func (u *Unit) decide(w *walk, entry int, target windows.Key, f figures) {
	st := u.state
	r, e := st.plan.Rules[w.rule], &st.plan.rules[w.rule].entries[entry]
	c := &r.Then[entry]
	g := u.grant(target, w.rule, entry, c)
	if g == nil {
		return
	}
	g.evidence = max(g.evidence, w.tick)
	step := event.New
	if g.until != 0 {
		if 2*(g.until-w.tick) >= g.length {
			return
		}
		step = event.Renew
	} else {
		g.made = slices.DeleteFunc(g.made, func(t int64) bool { return t <= w.tick-week })
		before := 0 // new decisions of the rule on the target, whatever they asked for
		for _, h := range u.grants[target] {
			if h.rule != g.rule {
				continue
			}
			for _, t := range h.made {
				if t > w.tick-week {
					before++
				}
			}
		}
		g.length = e.seconds[min(before, len(e.seconds)-1)]
		if g.made = append(g.made, w.tick); len(g.made) > maxMade {
			g.made = slices.Delete(g.made, 0, len(g.made)-maxMade)
		}
		if g.first != "" {
			u.ended--
		}
		g.entry = entry
		g.onset = u.onset(e.target, target, w.tick)
	}
	d := event.Decision{
		Step: step, Time: time.Unix(w.tick, 0), Mode: st.stages[w.rule], Would: c.Action, To: c.To,
		Key: w.keyTarget(), Rule: r.ID, Version: r.Version, Severity: r.Severity,
		Good: f.good, Tried: f.tried, Clean: f.clean, Sources: st.named(w.spans()),
	}
	if c.Action == event.Alert {
		d.Mode = min(d.Mode, event.AlertOnly)
	}
	switch {
	case w.mail != nil && !w.mail.resume:
		d.Target = w.mail.target
	default:
		d.Target, _ = w.target(e)
	}
	if c.Except != event.NoField {
		d.Except = "known(" + st.plan.extras.Name(c.Except) + ")"
	}
	for i, v := range w.featureValues() {
		d.Evidence = append(d.Evidence, event.Measure{Name: r.Features[i].Name, Value: v})
	}
	g.last = d
	u.write(g, step, w.tick, w.tick+g.length)
}

// grant finds or makes the grant of a rule, action and exception on a target;
// nil where there is no room for another.
func (u *Unit) grant(target windows.Key, rule, entry int, c *Consequence) *grant {
	for _, g := range u.grants[target] {
		if g.rule == rule && g.action == c.Action && g.except == c.Except {
			return g
		}
	}
	if len(u.grants) >= u.state.limits.grants {
		// Looking through all of them must be worth it: an attacker who fills
		// the table would have it done for each further decision.
		if 8*u.ended < len(u.grants) {
			u.shed.Decisions++
			return nil
		}
		u.shed.Histories += int64(u.ended)
		u.drop(func(*grant) bool { return true })
	}
	g := &grant{target: target, rule: rule, entry: entry, action: c.Action, except: c.Except}
	u.grants[target] = append(u.grants[target], g)
	return g
}

// write puts a grant into force until a tick and writes the line that says so.
func (u *Unit) write(g *grant, step event.Step, tick, until int64) {
	d := g.last
	d.Step, d.Time, d.Until = step, time.Unix(tick, 0), time.Unix(until, 0)
	d.ID = event.DecisionID(step, d.Rule, d.Version, d.Would, d.Target, d.Except, d.Time)
	inForce := g.until != 0
	g.until = until
	if step == event.New {
		g.first = d.ID
	} else {
		d.Renews = g.first
	}
	if inForce {
		heap.Fix(&u.ends, g.at)
	} else {
		heap.Push(&u.ends, g)
	}
	u.decisions = append(u.decisions, d)
}

// endFirst ends the decision that ends next.
func (u *Unit) endFirst() {
	g := heap.Pop(&u.ends).(*grant)
	d := g.last
	d.Step, d.ID, d.Renews = event.End, g.first, ""
	d.Time = time.Unix(g.until, 0)
	d.Until = d.Time
	g.until, g.last = 0, event.Decision{}
	u.ended++
	u.decisions = append(u.decisions, d)
}

// onset returns the target's events in the ten minutes up to a tick.
func (u *Unit) onset(table int, target windows.Key, tick int64) uint64 {
	slot, ok := u.win.Find(target)
	if !ok {
		return 0
	}
	tr := u.state.plan.tables[table].target
	return u.win.Total(slot, tr.events, windows.W10m, tick) + u.win.Total(slot, tr.refusals, windows.W10m, tick)
}

// renewRefused renews what is in force on a target whose events are being
// refused (law 9).
func (u *Unit) renewRefused(t windows.Touch, tr *targetReads, tick int64) {
	gs := u.grants[t.Key]
	if len(gs) == 0 {
		return
	}
	refused := u.win.Total(t.Slot, tr.refusals, windows.W10m, tick)
	for _, g := range gs {
		if g.until == 0 || 2*(g.until-tick) >= g.length || 4*refused < g.onset {
			continue
		}
		until := min(tick+g.length, g.evidence+day)
		if until <= g.until {
			continue
		}
		f := u.figuresOf(int(t.Table), t.Slot, tick)
		g.last.Good, g.last.Tried, g.last.Clean = f.good, f.tried, f.clean
		g.last.Sources = u.state.named(u.spansOf(t.Slot, tr.refused))
		u.write(g, event.Renew, tick, until)
	}
}

// forget drops grants that neither are in force nor count for a next step.
func (u *Unit) forget(tick int64) {
	u.drop(func(g *grant) bool {
		return len(g.made) == 0 || g.made[len(g.made)-1] <= tick-week ||
			!slices.ContainsFunc(u.state.plan.rules[g.rule].entries, func(e entryPlan) bool { return len(e.seconds) > 1 })
	})
}

// drop drops the grants that are not in force and of which done holds.
func (u *Unit) drop(done func(*grant) bool) {
	for k, gs := range u.grants {
		before := len(gs)
		gs = slices.DeleteFunc(gs, func(g *grant) bool { return g.until == 0 && done(g) })
		u.ended -= before - len(gs)
		if len(gs) == 0 {
			delete(u.grants, k)
		} else {
			u.grants[k] = gs
		}
	}
}
