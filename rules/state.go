package rules

import (
	"cmp"
	"math"
	"slices"

	"weir/event"
	"weir/windows"
)

// State is what all rules know: its units, and what they show each other at
// boundaries. Between boundaries every unit may run in a goroutine of its own;
// Begin, Boundary, Publish and Drain need all of them at rest.
type State struct {
	plan   *Plan
	stages []event.Stage // effective, by rule
	names  func(partition int32) (source string, local int32)
	of     int // how many units there are
	units  []*Unit
	board  *board
	start  int64 // the first second that was folded
	blind  int64 // the log has a gap that ends there; 0: none
	whole  []int64
	marks  []ruleMark // of each rule
	byMark map[ruleMark]int
	since  standingSince
	limits limits
	given  Limits

	layouts   lineage
	ways      *windows.Succession // of these, where keys are in a store
	published int64               // bytes of the standing facts of the latest hour
	asksMore  bool                // it was reloaded, and asks for facts that were not published before
	standing  map[int64]*Standing // by the hour as of which they hold, those that may be asked for
	left      int64               // values of facts that were not published for lack of room
}

// Boundary is how often units exchange what they know, in seconds.
const Boundary = 10

// NewState returns an empty state of a number of units (a power of two). Stage is
// the highest stage that a rule gets; names tells a partition's source.
func NewState(p *Plan, units int, limits Limits, stage func(rule string) event.Stage, names func(int32) (string, int32)) *State {
	st := newState(p, units, limits, stage, names)
	st.layouts = lineage{&p.Layout}
	for range units {
		st.units = append(st.units, newUnit(st, windows.NewUnit(&p.Layout, st.share())))
	}
	return st
}

// newState returns a state without units.
func newState(p *Plan, units int, given Limits, stage func(rule string) event.Stage, names func(int32) (string, int32)) *State {
	st := &State{plan: p, names: names, standing: map[int64]*Standing{}, of: units, start: math.MaxInt64, given: given, limits: limitsOf(given.Accounted, units), byMark: map[ruleMark]int{}}
	st.board = newBoard(p, st.limits.onStates)
	st.board.changes = st.shownChanges
	for i, r := range p.Rules {
		st.stages = append(st.stages, min(r.Stage, stage(r.ID)))
		st.marks = append(st.marks, markOf(r))
		st.byMark[st.marks[i]] = i
	}
	st.since = p.standingSince()
	st.judgeWhole()
	return st
}

// shownChanges keeps what the units have of the board as it is.
func (st *State) shownChanges(was, is *onState) {
	s := cmp.Or(is, was)
	u, place := st.units[s.key.Unit(st.of)], st.placeOf(s)
	u.shownNow.change(place)
	if is == nil {
		delete(u.shown, place)
	} else {
		u.shown[place] = is
	}
}

// placeOf returns under which key the store keeps an on-state.
func (st *State) placeOf(s *onState) windows.Key {
	return windows.Key{Hi: s.key.Hi, Lo: event.Mix(s.key.Hi ^ st.marks[s.rule].hash)}
}

// share is how many accounted bytes each unit may have.
func (st *State) share() int64 { return st.given.Accounted / int64(st.of) }

// mode returns how far a rule's decisions go that ask for an action.
func (st *State) mode(rule int, a event.Action) event.Stage {
	if a == event.Alert {
		return min(st.stages[rule], event.AlertOnly)
	}
	return st.stages[rule]
}

// Units returns how many units there are.
func (st *State) Units() int { return len(st.units) }

// Unit returns unit i.
func (st *State) Unit(i int) *Unit { return st.units[i] }

// Begin says that a second is going to be folded. The state began with the
// earliest one.
func (st *State) Begin(second int64) { st.start = min(st.start, second) }

// Boundary exchanges what units know, once tick b (a whole ten seconds) has run.
func (st *State) Boundary(b int64) {
	var raised []*onState
	var mail []*message
	for _, u := range st.units {
		raised = append(raised, u.takeRaised()...)
		mail = append(mail, u.takeMail()...)
	}
	fresh := st.board.show(raised, b)
	if len(fresh) > 0 {
		for _, u := range st.units {
			u.pastMembers(fresh, b)
			mail = append(mail, u.takeMail()...)
		}
	}
	for len(mail) > 0 {
		slices.SortFunc(mail, compareMessages)
		for _, m := range mail {
			st.units[m.to.Unit(len(st.units))].receive(m, b)
		}
		mail = mail[:0]
		for _, u := range st.units {
			mail = append(mail, u.takeMail()...)
		}
	}
}

// Pending reports whether a unit holds something for the next boundary.
func (st *State) Pending() bool {
	for _, u := range st.units {
		if len(u.raised) > 0 || len(u.mail) > 0 {
			return true
		}
	}
	return false
}

// Expire forgets keys that no window can see any more as of a tick.
func (u *Unit) expire(hour int64) {
	if hour > u.swept {
		u.swept = hour
		u.win.Expire(hour)
		u.forget(hour)
	}
}

// Drain appends the decisions made since the last call, in the order in which
// they are written: by time, step, rule and target.
func (st *State) Drain(dst []event.Decision) []event.Decision {
	from := len(dst)
	for _, u := range st.units {
		dst = append(dst, u.decisions...)
		u.decisions = u.decisions[:0]
	}
	slices.SortFunc(dst[from:], func(a, b event.Decision) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Step, b.Step), cmp.Compare(a.Rule, b.Rule),
			compareTargets(a.Target, b.Target), cmp.Compare(a.ID, b.ID))
	})
	return dst
}

// OnRules returns how many on-states units show each other.
func (st *State) OnRules() int { return len(st.board.on) }

// Totals is how much a state holds and what it gave up.
type Totals struct {
	Keys, Bytes int64
	Shed        Shed
	Degraded    int // units that admit a new key only when it comes again
}

// Shed counts what was given up for lack of room.
type Shed struct {
	Keys          int64 `json:"keys"`          // forgotten
	Contributions int64 `json:"contributions"` // to keys that were not begun
	TurnedAway    int64 `json:"turned_away"`   // new keys that a degraded unit saw for the first time
	Values        int64 `json:"values"`        // that a full key had no room for
	Decisions     int64 `json:"decisions"`     // not made since too many were in force or on their way
	Histories     int64 `json:"histories"`     // of ended decisions, forgotten: the next one is a first one again
	OnStates      int64 `json:"on_states"`     // not shown since too many were on
	Facts         int64 `json:"facts"`         // about values, not published since there were too many
}

// Totals adds up over all units.
func (st *State) Totals() Totals {
	var t Totals
	for _, u := range st.units {
		t.Keys += int64(u.win.Len())
		t.Bytes += u.win.Bytes()
		c := u.win.Counters()
		if u.win.Degraded() {
			t.Degraded++
		}
		t.Shed.Keys += int64(c.Evicted)
		t.Shed.Contributions += int64(c.Refused)
		t.Shed.TurnedAway += int64(c.Turned)
		t.Shed.Values += int64(c.Full)
		t.Shed.Decisions += u.shed.Decisions
		t.Shed.Histories += u.shed.Histories
		t.Shed.OnStates += u.shed.OnStates
	}
	t.Shed.OnStates += st.board.shed
	t.Shed.Facts = st.left
	return t
}

// Shape says how many keys of one shape there are and how large they are.
type Shape struct {
	Key   string `json:"key"` // its fields
	Keys  int    `json:"keys"`
	Bytes int64  `json:"bytes"` // accounted
	P50   int    `json:"p50"`   // bytes of a key
	P99   int    `json:"p99"`
}

// Shapes returns the shapes of which there are keys, the largest first.
func (st *State) Shapes() []Shape {
	var sum windows.Stats
	for _, u := range st.units {
		u.win.Stats(&sum)
	}
	var shapes []Shape
	for i := range sum.Tables {
		t := &sum.Tables[i]
		if t.Keys == 0 {
			continue
		}
		shapes = append(shapes, Shape{
			Key: cmp.Or(fieldsName(st.plan.tables[i].fields), "(everything)"), Keys: t.Keys, Bytes: t.Bytes,
			P50: t.Quantile(0.5), P99: t.Quantile(0.99),
		})
	}
	slices.SortFunc(shapes, func(a, b Shape) int { return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Key, b.Key)) })
	return shapes
}

func floor(t, step int64) int64 {
	r := t % step
	if r < 0 {
		r += step
	}
	return t - r
}
