package rules

import (
	"cmp"

	"weir/event"
	"weir/windows"
)

// message travels between units at a boundary: a candidate to its target's
// unit, or a walk that goes on back to the unit it came from.
type message struct {
	to     windows.Key
	resume bool // go on with the walk behind entry

	rule, entry int
	ask         bool   // the entry's condition is still to be evaluated
	rest        uint16 // of a member's walk, the entries behind this one
	at          int64  // the tick of the evidence
	began       int64  // the tick at which the walk began

	key      event.Target // of the rule
	raw      [][]byte
	features []float64
	given    []float64 // the values of the entry's inline aggregates
	spans    []event.Span
	on       *onState // of a member's walk

	past   bool        // made at a boundary, of a past member
	origin windows.Key // the key, or the member, that was walked
	bit    uint8
	target event.Target
	dest   windows.Key // the target
}

// mailKey: of several candidates between two boundaries the last one counts.
type mailKey struct {
	rule, entry int
	origin      windows.Key
}

func compareMessages(a, b *message) int {
	return cmp.Or(
		compareTargets(a.target, b.target), cmp.Compare(a.rule, b.rule), cmp.Compare(a.entry, b.entry),
		compareTargets(a.key, b.key), cmp.Compare(a.origin.Hi, b.origin.Hi), cmp.Compare(a.origin.Lo, b.origin.Lo),
		// A member may have been touched and walked again as a past one.
		cmp.Compare(b.at, a.at), cmp.Compare(b.order(), a.order()))
}

// order puts that of two candidates of one member and one tick first which was
// made at the boundary itself.
func (m *message) order() int {
	if m.past {
		return 1
	}
	return 0
}

// send makes a candidate of the entry for its target's unit.
func (w *walk) send(i int, e *entryPlan, ask bool, rest uint16) {
	p := w.unit.state.plan
	m := &message{
		rule: w.rule, entry: i, ask: ask, rest: rest, at: w.at,
		key: w.keyTarget(), raw: w.keyRaw(), features: w.featureValues(), spans: w.spans(), on: w.on,
		origin: w.key, bit: w.bit, began: w.at,
	}
	m.past = w.past
	if w.mail != nil {
		m.began, m.past = w.mail.began, w.mail.past
	}
	if ask && len(e.cond.inline) > 0 {
		m.given = make([]float64, len(e.cond.inline))
		for k := range m.given {
			m.given[k] = w.unit.load(w.slot, &e.cond.inline[k], w.at)
		}
	}
	var raw [][]byte
	m.target, raw = w.target(e)
	m.dest = p.tables[e.target].keyOf(func(i int) uint64 { return p.hashValue(raw[i]) })
	m.to = m.dest
	u := w.unit
	k := mailKey{m.rule, m.entry, m.origin}
	switch limit := u.state.limits.travel; {
	case w.mail != nil: // one for each that came
		u.urgent = append(u.urgent, m)
	case w.past && !full(len(u.urgent), u.urgentBytes, limit):
		u.urgent, u.urgentBytes = append(u.urgent, m), u.urgentBytes+m.size()
	case !w.past && (u.mail[k] != nil || !full(len(u.mail), u.mailBytes, limit)):
		u.putMail(k, m)
	default:
		u.shed.Decisions++
	}
}

func (u *Unit) putMail(k mailKey, m *message) {
	if was := u.mail[k]; was != nil {
		u.mailBytes -= was.size()
	}
	u.mail[k], u.mailBytes = m, u.mailBytes+m.size()
}

func (u *Unit) takeMail() []*message {
	out := u.urgent
	u.urgent, u.urgentBytes, u.mailBytes = nil, 0, 0
	for _, m := range u.mail {
		out = append(out, m)
	}
	clear(u.mail)
	return out
}

// receive handles a message at boundary b.
func (u *Unit) receive(m *message, b int64) {
	p := u.state.plan
	e, c := &p.rules[m.rule].entries[m.entry], &p.Rules[m.rule].Then[m.entry]
	if m.resume {
		u.resume(m, b)
		return
	}
	f, slot := u.findTarget(e.target, m.dest, b)
	if m.ask {
		u.ev.at(slot, b, p.rules[m.rule].features, m.features)
		u.ev.given = m.given
		u.ev.raw = m.raw
		holds := u.ev.eval(c.If, &e.cond, &f)
		u.ev.given = nil
		if !holds {
			back := *m
			back.resume, back.to = true, m.origin
			u.urgent = append(u.urgent, &back)
			return
		}
	}
	w := walk{unit: u, rule: m.rule, at: m.at, tick: b, slot: slot, mail: m}
	u.decide(&w, m.entry, m.dest, f)
}

// resume goes on with a walk behind an entry that did not hold at its target.
func (u *Unit) resume(m *message, b int64) {
	p := u.state.plan
	slot, ok := u.win.Find(m.origin)
	if !ok {
		return // its state was shed meanwhile
	}
	w := walk{unit: u, rule: m.rule, at: b, tick: b, slot: slot, key: m.origin, bit: m.bit, on: m.on, mail: m}
	if m.on != nil {
		w.members(m.rest)
		return
	}
	noted := w.ladder(m.entry + 1)
	if noted == 0 {
		return
	}
	// It is the on-state of the tick at which the walk began that has more
	// entries now; if the rule was true again since, that walk counts.
	k := onKey{m.rule, m.origin.Lo}
	if s := u.state.board.on[k]; s != nil && s.until == m.began+p.rules[m.rule].on {
		more := *s
		more.entries |= noted
		u.putRaised(k, &more)
	}
}
