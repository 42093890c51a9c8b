package rules

import (
	"container/heap"
	"math"
	"slices"
	"time"

	"weir/event"
	"weir/windows"
)

// grant is a decision in force on a target, or the memory of one: how many
// there were in the last seven days says how long the next one is.
type grant struct {
	place  windows.Key // where a store keeps it
	by     ruleMark    // who made it
	rule   int         // that one's number in the plan, or gone
	entry  int         // of its ladder
	action event.Action
	except event.Field

	until    int64 // in force before this tick; 0: not in force
	length   int64 // of the step it was given
	evidence int64 // the last tick with evidence that was not refused
	onset    uint64
	made     []made         // each `new` in the last seven days
	first    string         // while it is in force, the id of the `new` one
	last     event.Decision // while it is in force, what its next lines say
	ended    bool           // it was in force before
	at       int            // position in the queue of ends
	counted  int64          // its size, as the unit has counted it
}

// made is when a decision was made, and whom it hit then.
type made struct {
	tick     int64
	regulars uint64 // as of that tick, everyone where nobody could tell
}

// enoughTried is how many actors must have tried with a target until their
// failures tell something.
const enoughTried = 10

// everyone is more regulars than there are good accounts.
const everyone = math.MaxUint64

// gone is the number of a rule that is not in the plan any more, or not as it
// was. What it granted stays until its end; nothing is renewed by it.
const gone = -1

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
	g := u.grant(target.Hi, w.rule, c)
	if g == nil {
		return
	}
	u.granted.change(g.place)
	g.evidence = max(g.evidence, w.tick)
	step := event.New
	if g.until != 0 {
		if 2*(g.until-w.tick) >= g.length {
			return
		}
		step = event.Renew
	} else {
		g.made = slices.DeleteFunc(g.made, func(m made) bool { return m.tick <= w.tick-week })
		before := 0 // new decisions of the rule on the target, whatever they asked for
		for _, h := range u.grants[target.Hi] {
			if h.rule != g.rule {
				continue
			}
			for _, m := range h.made {
				if m.tick > w.tick-week {
					before++
				}
			}
		}
		g.length = e.seconds[min(before, len(e.seconds)-1)]
		if g.made = append(g.made, made{w.tick, u.regularsAt(e.target, target, g, f, w.tick)}); len(g.made) > maxMade {
			g.made = slices.Delete(g.made, 0, len(g.made)-maxMade)
		}
		if g.ended {
			u.ended, g.ended = u.ended-1, false
		}
		g.entry = entry
		g.onset = u.onset(e.target, target, w.tick)
	}
	d := event.Decision{
		Step: step, Time: time.Unix(w.tick, 0), Mode: st.mode(w.rule, c.Action), Would: c.Action, To: c.To,
		Key: w.keyTarget(), Rule: r.ID, Version: r.Version, Severity: r.Severity,
		Good: f.good, Tried: f.tried, Clean: f.clean, Sources: st.named(w.spans()),
		Regulars:   u.began(g).of(f.good),
		Incomplete: st.incomplete(w.rule, w.tick),
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
	u.write(g, d, step, w.tick, w.tick+g.length)
}

// grant finds or makes the grant of a rule, action and exception on a target;
// nil where there is no room for another. A target is the first half of its
// key: it is of its values alone, the second one also of what tables there are.
func (u *Unit) grant(target uint64, rule int, c *Consequence) *grant {
	for _, g := range u.grants[target] {
		if g.rule == rule && g.action == c.Action && g.except == c.Except {
			return g
		}
	}
	if full(len(u.grants), u.grantBytes, u.state.limits.grants) {
		// Looking through all of them must be worth it: an attacker who fills
		// the table would have it done for each further decision.
		if 8*u.ended < len(u.grants) {
			u.shed.Decisions++
			return nil
		}
		u.shed.Histories += int64(u.ended)
		u.drop(func(*grant) bool { return true })
	}
	g := &grant{by: u.state.marks[rule], rule: rule, action: c.Action, except: c.Except}
	g.place = placeOf(target, g.by, g.action, g.except)
	u.granted.change(g.place)
	u.grants[target] = append(u.grants[target], g)
	return g
}

// count keeps the unit's figure of what its grants hold.
func (u *Unit) count(g *grant) {
	n := g.size()
	u.grantBytes += n - g.counted
	g.counted = n
}

// write puts a grant into force until a tick and writes the line that says so.
func (u *Unit) write(g *grant, d event.Decision, step event.Step, tick, until int64) {
	// What every line reads anew is not kept for the next.
	g.last = d
	g.last.Good, g.last.Tried, g.last.Regulars, g.last.Clean, g.last.Sources = 0, 0, 0, false, nil
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
	u.count(g)
	u.decisions = append(u.decisions, d)
}

// endFirst ends the decision that ends next.
func (u *Unit) endFirst() {
	u.granted.change(u.ends.first().place)
	g := heap.Pop(&u.ends).(*grant)
	d := g.last
	d.Step, d.ID, d.Evidence, d.Incomplete = event.End, g.first, nil, time.Time{}
	d.Time = time.Unix(g.until, 0)
	d.Until = d.Time
	g.until, g.first, g.last, g.ended = 0, "", event.Decision{}, true
	u.ended++
	u.count(g)
	u.decisions = append(u.decisions, d)
}

// began returns when the rule first decided about the target in the week of its
// latest decision: what an attacker took over in an earlier burst would else be
// from before the next. Of what is not remembered for a week it is the latest.
func (u *Unit) began(g *grant) made {
	if u.remembers(g) {
		return g.made[0]
	}
	return g.made[len(g.made)-1]
}

// remembers reports whether what was decided in the last week counts for what a
// grant's rule decides next: for its length, or for whom it hits. An alert hits
// nobody.
func (u *Unit) remembers(g *grant) bool {
	return g.action != event.Alert || g.rule != gone && u.state.plan.rules[g.rule].counts()
}

// of returns how many of the good accounts of now were regulars then.
func (m made) of(good float64) float64 { return min(good, float64(m.regulars)) }

// counts reports whether a rule's decisions depend on how many there were.
func (rp *rulePlan) counts() bool {
	return slices.ContainsFunc(rp.entries, func(e entryPlan) bool { return len(e.seconds) > 1 })
}

// regularsAt returns how many regulars a decision hits that is made at a tick.
// What decides later about the same is held against these: what the week before
// it holds by then moves on, and may be the attacker's. On the first day nobody
// can tell who was there before; but where enough was tried and hardly anything
// succeeded, who succeeds behind a block is no customer: he is the yield of what
// goes on.
func (u *Unit) regularsAt(table int, target windows.Key, g *grant, f figures, tick int64) uint64 {
	slot, ok := u.win.Find(target)
	if !ok {
		return everyone
	}
	n, known := u.before(table, slot, g.except, tick, tick)
	switch {
	case known:
		return min(n, uint64(f.good))
	case f.clean && f.tried >= enoughTried && (g.action == event.Block || g.action == event.Deceive):
		return uint64(f.good)
	}
	return everyone
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
	gs := u.grants[t.Key.Hi]
	if len(gs) == 0 {
		return
	}
	refused := u.win.Total(t.Slot, tr.refusals, windows.W10m, tick)
	for _, g := range gs {
		// Another table of the same fields may count other events of the target.
		if g.until == 0 || g.rule == gone || u.state.plan.rules[g.rule].entries[g.entry].target != int(t.Table) ||
			2*(g.until-tick) >= g.length || 4*refused < g.onset {
			continue
		}
		until := min(tick+g.length, g.evidence+day)
		if until <= g.until {
			continue
		}
		u.granted.change(g.place)
		d := g.last
		d.Mode = u.state.mode(g.rule, g.action)
		f := u.figuresOf(int(t.Table), t.Slot, tick)
		d.Good, d.Tried, d.Clean = f.good, f.tried, f.clean
		d.Regulars = u.began(g).of(f.good)
		d.Sources = u.state.named(u.spansOf(t.Slot, tr.refused))
		u.write(g, d, event.Renew, tick, until)
	}
}

// forget drops grants that neither are in force nor count for what is decided
// next.
func (u *Unit) forget(tick int64) {
	u.drop(func(g *grant) bool {
		return g.rule == gone || len(g.made) == 0 || g.made[len(g.made)-1].tick <= tick-week ||
			!u.remembers(g)
	})
}

// drop drops the grants that are not in force and of which done holds.
func (u *Unit) drop(done func(*grant) bool) {
	for k, gs := range u.grants {
		gs = slices.DeleteFunc(gs, func(g *grant) bool {
			if g.until != 0 || !done(g) {
				return false
			}
			u.granted.change(g.place)
			u.grantBytes -= g.counted
			u.ended--
			return true
		})
		if len(gs) == 0 {
			delete(u.grants, k)
		} else {
			u.grants[k] = gs
		}
	}
}
