package pipeline

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"weir/event"
	"weir/rules"
)

// Enforcement is what enforcement points would do with a run's decisions: the
// events that a point would refuse are given its answer (Event.Refused) before
// the rules see them. Points hold what is in force at whole minutes, and an
// event meets the list of a fixed time before its own minute (Lag), so that it
// never depends on how far anybody has read ahead. See docs/adr/0013.
//
// It is for replays and simulations: in a live run the log says what was
// refused. One Enforcement serves one run, or several of which each goes on
// where the one before stopped; others may ask it meanwhile.
type Enforcement struct {
	cfg EnforceConfig
	lag int64

	mu        sync.RWMutex
	published int64         // the latest minute whose list is complete
	changed   chan struct{} // closed when there is a later one
	plan      *rules.Plan   // that read the targets
	shapes    []*refusedShape
	held      map[string]*held // by id
	limits    map[string]*held // of these, limits
	facts     func(hour int64) (*rules.Standing, bool)
	counts    map[string]*[event.NumActions]atomic.Int64
	unheld    int64
	swept     int64
	onlyAsked bool

	fresh []Applied // decided since the last list
}

// EnforceConfig is what an Enforcement depends on.
type EnforceConfig struct {
	// Disorder is the largest of the sources': a list is used from the smallest
	// whole number of minutes above it and a minute on.
	Disorder time.Duration
	// InForce, if set, is asked at whole minutes what the points would hold:
	// entries of a ledger behind its guards, in their order, and whether they are
	// others than the last time. Nil: all that rules decide at stage enforce.
	InForce func() (entries []Applied, changed bool)
	// Limit is how many entries are held at most; 0: 2^18, as in a ledger.
	Limit int
}

// Applied is one entry that points hold.
type Applied struct {
	ID     string // of the first decision; the same one again changes its end and its action
	Rule   string
	Target event.Target
	Action event.Action // not none and not alert, or nothing is refused
	Except string       // known(ip)
	To     string       // of a limit: 10/1m
	Until  time.Time
}

// maxApplied is how many entries are held where nobody says otherwise.
const maxApplied = 1 << 18

// refusedShape is the entries whose targets have the same fields.
type refusedShape struct {
	fields []event.Field
	by     map[string][]*held // by the values
}

// held is one entry with what lists said of it, as far back as is asked for.
type held struct {
	id, rule string
	target   event.Target
	excepted string
	key      string
	shape    *refusedShape
	except   event.Field
	allows   float64       // of a limit: requests in rules.DemandWindow seconds
	said     []heldVersion // by minute
	counts   *[event.NumActions]atomic.Int64
}

// heldVersion is what lists say of an entry from a minute on.
type heldVersion struct {
	from   int64
	until  int64   // refused are events of seconds before it
	share  float64 // of the events that pass
	action event.Action
}

// NewEnforcement returns an enforcement that holds nothing yet.
func NewEnforcement(cfg EnforceConfig) *Enforcement {
	if cfg.Limit == 0 {
		cfg.Limit = maxApplied
	}
	const minute = int64(time.Minute)
	return &Enforcement{
		cfg: cfg, lag: (int64(cfg.Disorder)/minute + 2) * 60,
		published: -1 << 62, changed: make(chan struct{}),
		held: map[string]*held{}, limits: map[string]*held{}, counts: map[string]*[event.NumActions]atomic.Int64{},
	}
}

// Lag is how long before an event's whole minute the list is made that it
// meets, in seconds.
func (e *Enforcement) Lag() int64 { return e.lag }

// OnlyAsked says, before the run, that its events are made up by who asks, and
// say themselves what came of the answers: the run refuses none of them besides.
// A person who passes a challenge is in such a log as one who passed.
func (e *Enforcement) OnlyAsked() { e.onlyAsked = true }

// listOf returns the minute of the list that an event of a second meets.
func (e *Enforcement) listOf(second int64) int64 { return minuteOf(second) - e.lag }

func minuteOf(second int64) int64 { return floorDiv(second, 60) * 60 }

// nextMinute returns the next whole minute up to target of which some event may
// need the list, or 0 where there is none.
func (e *Enforcement) nextMinute(current, target int64) (minute int64, ok bool) {
	m := max(minuteOf(target)-e.lag, minuteOf(current)+60)
	return m, m <= target
}

// take notes decisions.
func (e *Enforcement) take(ds []event.Decision) {
	if e.cfg.InForce != nil {
		return
	}
	for i := range ds {
		d := &ds[i]
		if d.Step == event.End {
			continue // it ends by itself
		}
		a := Applied{ID: cmp.Or(d.Renews, d.ID), Rule: d.Rule, Target: d.Target, Action: d.Would, Except: d.Except, To: d.To, Until: d.Until}
		if d.Mode != event.Enforce {
			a.Until = time.Unix(0, 0)
		}
		e.fresh = append(e.fresh, a)
	}
}

// publish makes the list of a whole minute, which all units have run.
func (e *Enforcement) publish(minute int64, plan *rules.Plan, st *rules.State, facts func(hour int64) (*rules.Standing, bool)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.readBy(plan)
	if e.cfg.InForce == nil {
		for i := range e.fresh {
			e.hold(minute, &e.fresh[i])
		}
		clear(e.fresh)
		e.fresh = e.fresh[:0]
	} else if entries, changed := e.cfg.InForce(); changed {
		e.replace(minute, entries)
	}
	for _, h := range e.limits {
		h.measure(minute, st)
	}
	if minute >= e.swept+sweepEvery {
		e.sweep(minute)
	}
	e.published, e.facts = minute, facts
	close(e.changed)
	e.changed = make(chan struct{})
}

// readBy has targets read as a plan reads them: others name the same fields
// otherwise, where the configuration's extras have changed.
func (e *Enforcement) readBy(plan *rules.Plan) {
	if e.plan == plan {
		return
	}
	e.plan = plan
	e.shapes = nil
	for _, h := range e.held {
		if !e.place(h) {
			e.unheld++
			delete(e.held, h.id)
			delete(e.limits, h.id)
		}
	}
}

// place puts an entry where events find it.
func (e *Enforcement) place(h *held) bool {
	fields, values, ok := e.plan.ParseTarget(h.target)
	if !ok || len(fields) == 0 {
		return false
	}
	if h.except, ok = e.plan.ParseExcept(h.excepted); !ok {
		return false
	}
	at := slices.IndexFunc(e.shapes, func(s *refusedShape) bool { return slices.Equal(s.fields, fields) })
	if at < 0 {
		at = len(e.shapes)
		e.shapes = append(e.shapes, &refusedShape{fields: fields, by: map[string][]*held{}})
	}
	h.shape, h.key = e.shapes[at], ""
	var key []byte
	for _, v := range values {
		key = appendSized(key, v)
	}
	h.key = string(key)
	h.shape.by[h.key] = append(h.shape.by[h.key], h)
	return true
}

// appendSized appends a value so that several behind each other are told apart.
func appendSized(key, value []byte) []byte {
	key = append(key, byte(len(value)), byte(len(value)>>8), byte(len(value)>>16))
	return append(key, value...)
}

// hold puts an entry onto the list of a minute, or changes its end.
func (e *Enforcement) hold(minute int64, a *Applied) {
	v := heldVersion{from: minute, until: a.Until.Unix(), action: a.Action}
	if h := e.held[a.ID]; h != nil {
		h.say(v)
		return
	}
	if a.Action == event.NoAction || a.Action == event.Alert || v.until <= minute {
		return
	}
	if len(e.held) >= e.cfg.Limit && e.swept < minute { // once for each list
		e.sweep(minute)
	}
	h := &held{id: a.ID, rule: a.Rule, target: a.Target, excepted: a.Except}
	if len(e.held) >= e.cfg.Limit || !e.place(h) {
		e.unheld++
		return
	}
	if h.counts = e.counts[a.Rule]; h.counts == nil {
		h.counts = &[event.NumActions]atomic.Int64{}
		e.counts[a.Rule] = h.counts
	}
	e.held[a.ID] = h
	if requests, seconds, ok := rules.ParseLimit(a.To); ok {
		h.allows = float64(requests) * float64(rules.DemandWindow) / float64(seconds)
		e.limits[a.ID] = h
	}
	h.say(v)
}

// replace makes entries all that the list of a minute holds.
func (e *Enforcement) replace(minute int64, entries []Applied) {
	kept := make(map[string]bool, len(entries))
	for i := range entries {
		kept[entries[i].ID] = true
		e.hold(minute, &entries[i])
	}
	for id, h := range e.held {
		if !kept[id] {
			h.say(heldVersion{from: minute})
		}
	}
}

// say adds what lists say of the entry from a minute on.
func (h *held) say(v heldVersion) {
	if n := len(h.said); n > 0 {
		last := &h.said[n-1]
		if last.until == v.until && last.share == v.share && last.action == v.action {
			return
		}
		if last.from == v.from {
			*last = v
			return
		}
	}
	h.said = append(h.said, v)
}

// measure sets which share of the events passes a limit: what it allows, of the
// events that came in the ten minutes before.
func (h *held) measure(minute int64, st *rules.State) {
	last := h.said[len(h.said)-1]
	if last.action != event.Limit || last.until <= minute {
		return
	}
	last.from, last.share = minute, 1
	if demand, ok := st.Demand(h.target, minute); ok && float64(demand) > h.allows {
		last.share = h.allows / float64(demand)
	}
	h.say(last)
}

// sweepEvery is how often, in seconds, entries that are over are looked for.
const sweepEvery = 600

// sweep forgets what no list that anybody may still ask for says, and the
// entries that no event from a minute on can meet.
func (e *Enforcement) sweep(minute int64) {
	e.swept = minute
	for id, h := range e.held {
		k := 0
		for k+1 < len(h.said) && h.said[k+1].from <= minute-e.lag {
			k++
		}
		h.said = slices.Delete(h.said, 0, k)
		if slices.ContainsFunc(h.said, func(v heldVersion) bool { return v.until > minute }) {
			continue
		}
		delete(e.held, id)
		delete(e.limits, id)
		s := h.shape
		if s.by[h.key] = slices.DeleteFunc(s.by[h.key], func(o *held) bool { return o == h }); len(s.by[h.key]) == 0 {
			delete(s.by, h.key)
		}
	}
}

// at returns what the list of a minute says of the entry.
func (h *held) at(list int64) (v heldVersion) {
	for _, said := range slices.Backward(h.said) {
		if said.from <= list {
			return said
		}
	}
	return v
}

// strength orders actions: of several that refuse an event the strongest answers.
var strength = [event.NumActions]int{event.Limit: 1, event.Challenge: 2, event.Deceive: 3, event.Block: 4}

// answer returns what the list of a minute answers an event that counts in a
// second, and whose entry it is. Under the lock.
func (e *Enforcement) answer(list int64, ev *event.Event, st *rules.Standing, key []byte) (best *held, with event.Action, grown []byte) {
	draw := -1.0
	for _, s := range e.shapes {
		if len(s.by) == 0 {
			continue
		}
		key = key[:0]
		for _, f := range s.fields {
			from := len(key)
			key = ev.AppendValue(append(key, 0, 0, 0), f)
			n := len(key) - from - 3
			key[from], key[from+1], key[from+2] = byte(n), byte(n>>8), byte(n>>16)
			if n == 0 {
				key = key[:0]
				break
			}
		}
		for _, h := range s.by[string(key)] {
			v := h.at(list)
			// While nobody can say who is known, an entry with an exception refuses nobody.
			if v.until <= ev.Second || h.except != event.NoField && (!st.Tells(rules.Known, h.except) || st.Is(rules.Known, ev, h.except)) {
				continue
			}
			if v.action == event.Limit {
				if draw < 0 {
					draw = e.plan.Draw(ev)
				}
				if draw < v.share {
					continue
				}
			}
			if best == nil || strength[v.action] > strength[with] || v.action == with && h.rule < best.rule {
				best, with = h, v.action
			}
		}
	}
	return best, with, key
}

// refuse gives events of one minute the answers of the list that they meet. What
// the log says was refused stays as the log says it.
func (e *Enforcement) refuse(events []event.Event, st *rules.Standing) (refused int64) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.onlyAsked || len(e.held) == 0 || len(events) == 0 {
		return 0
	}
	list := e.listOf(events[0].Second)
	var key []byte
	for i := range events {
		ev := &events[i]
		if ev.Refused != event.NoAction {
			continue
		}
		h, action, grown := e.answer(list, ev, st, key)
		if key = grown; h != nil {
			ev.Refused = action
			h.counts[action].Add(1)
			refused++
		}
	}
	return refused
}

// Await waits until the list that points hold at a time (Unix seconds) is
// published: that of its whole minute. It returns an error if ctx ends before.
func (e *Enforcement) Await(ctx context.Context, at int64) error {
	for {
		e.mu.RLock()
		published, changed := e.published, e.changed
		e.mu.RUnlock()
		if published >= minuteOf(at) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Ask returns what points that hold the list of a time would answer an event,
// NoAction where they would let it pass, and by which rule's decision. The list
// must have been awaited. It is for who makes up events and wants them to react:
// one that is about to make an event of second s, with s0 the second of the last
// one before that the run was given, asks for the list of the earlier of
// s-Lag() and s0 less the source's disorder, which is always on its way. The
// event must be as the rules would see it, enriched and with its Second.
func (e *Enforcement) Ask(at int64, ev *event.Event) (action event.Action, rule string) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if len(e.held) == 0 {
		return event.NoAction, ""
	}
	list := minuteOf(at)
	st, _ := e.facts(hourOf(list+e.lag) - 3600)
	h, action, _ := e.answer(list, ev, st, nil)
	if h == nil {
		return event.NoAction, ""
	}
	return action, h.rule
}

// Enforced says what an Enforcement did.
type Enforced struct {
	Refused map[string]map[string]int64 `json:"refused"` // events, by rule and action
	Held    int                         `json:"held"`    // entries at the end
	Unheld  int64                       `json:"unheld"`  // times that an entry had no room, or a target that nobody can read
}

// Enforced returns what was refused so far.
func (e *Enforcement) Enforced() Enforced {
	e.mu.RLock()
	defer e.mu.RUnlock()
	sum := Enforced{Refused: map[string]map[string]int64{}, Held: len(e.held), Unheld: e.unheld}
	for rule, counts := range e.counts {
		for a := range counts {
			if n := counts[a].Load(); n > 0 {
				if sum.Refused[rule] == nil {
					sum.Refused[rule] = map[string]int64{}
				}
				sum.Refused[rule][event.Action(a).String()] = n
			}
		}
	}
	return sum
}
