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
	units  []*Unit
	board  *board
	start  int64 // the first second that was folded
	limit  int64
	limits limits
}

// limits bound what stands outside of the windows.
type limits struct {
	grants   int // targets of which a unit remembers decisions
	travel   int // on-states, and candidates, that a unit may hold for a boundary
	onStates int // shown at once
}

// limitsOf gives each an eighth of the memory that the windows may have,
// reckoned at a kilobyte apiece, but never more than a million.
func limitsOf(memory int64, units int) limits {
	if memory == 0 {
		memory = 1 << 40
	}
	n := int(min(1<<20, max(1<<10, memory/8/1024)))
	each := max(16, n/units)
	return limits{grants: each, travel: each, onStates: n}
}

// Boundary is how often units exchange what they know, in seconds.
const Boundary = 10

// NewState returns an empty state of a number of units (a power of two) whose
// accounted memory is at most limit bytes (0: no limit). Stage is the
// highest stage that a rule gets; names tells a partition's source.
func NewState(p *Plan, units int, limit int64, stage func(rule string) event.Stage, names func(int32) (string, int32)) *State {
	st := &State{plan: p, names: names, start: math.MaxInt64, limit: limit, limits: limitsOf(limit, units)}
	st.board = newBoard(p, st.limits.onStates)
	for _, r := range p.Rules {
		st.stages = append(st.stages, min(r.Stage, stage(r.ID)))
	}
	for range units {
		st.units = append(st.units, newUnit(st, windows.NewUnit(&p.Layout, limit/int64(units))))
	}
	return st
}

// Units returns how many units there are.
func (st *State) Units() int { return len(st.units) }

// Unit returns unit i.
func (st *State) Unit(i int) *Unit { return st.units[i] }

// Begin says that a second is going to be folded. The state began with the
// earliest one.
func (st *State) Begin(second int64) { st.start = min(st.start, second) }

// defined reports whether standing facts may be used for events of a second.
func (st *State) defined(second int64) bool {
	return st.start != math.MaxInt64 && floor(second, 3600) >= st.start+24*3600
}

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

// Publish returns the standing facts as of hour h (a whole hour that all units
// have run), for the events of the hour that begins one hour later.
func (st *State) Publish(h int64) *Standing {
	s := NewStanding(st.defined(h+3600), st.plan.standingHash)
	for t := range st.plan.tables {
		tb := &st.plan.tables[t]
		if tb.visits == nil && (!s.defined || tb.known == nil && tb.seen == nil) {
			continue
		}
		f := tb.fields[0]
		for _, u := range st.units {
			u.publish(t, f, h, s)
		}
	}
	return s
}

func (u *Unit) publish(t int, f event.Field, h int64, s *Standing) {
	tb := &u.state.plan.tables[t]
	var values [][]byte
	u.win.Scan(t, func(slot uint32, _ uint64) {
		var isKnown, isSeen bool
		if k := tb.known; k != nil {
			ok := u.win.Total(slot, k.success, windows.W7d, h)
			isKnown = ok > 0 && ok > u.win.Total(slot, k.failure, windows.W7d, h)
		}
		if tb.seen != nil {
			isSeen = u.win.Total(slot, tb.seen.all, windows.W7d, h) > 0
		}
		visited := tb.visits != nil && u.win.Total(slot, tb.visits.assets, windows.W7d, h) > 0 &&
			u.win.Total(slot, tb.visits.all, windows.W7d, h) >= visitRequests
		if !isKnown && !isSeen && !visited {
			return
		}
		values = u.win.AppendValues(slot, values[:0])
		v := u.state.plan.hashValue(values[0])
		if isKnown {
			s.AddKnown(f, v)
		}
		if isSeen {
			s.AddSeen(f, v)
		}
		if visited {
			s.visited.add(v)
		}
	})
}

// visitRequests is how many requests make a visit, if an asset is among them.
const visitRequests = 3

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
}

// Shed counts what was given up for lack of room.
type Shed struct {
	Keys          int64 `json:"keys"`          // forgotten
	Contributions int64 `json:"contributions"` // to keys that were not begun
	Values        int64 `json:"values"`        // that a full key had no room for
	Decisions     int64 `json:"decisions"`     // not made since too many were in force or on their way
	Histories     int64 `json:"histories"`     // of ended decisions, forgotten: the next one is a first one again
	OnStates      int64 `json:"on_states"`     // not shown since too many were on
}

// Totals adds up over all units.
func (st *State) Totals() Totals {
	var t Totals
	for _, u := range st.units {
		t.Keys += int64(u.win.Len())
		t.Bytes += u.win.Bytes()
		c := u.win.Counters()
		t.Shed.Keys += int64(c.Evicted)
		t.Shed.Contributions += int64(c.Refused)
		t.Shed.Values += int64(c.Full)
		t.Shed.Decisions += u.shed.Decisions
		t.Shed.Histories += u.shed.Histories
		t.Shed.OnStates += u.shed.OnStates
	}
	t.Shed.OnStates += st.board.shed
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
