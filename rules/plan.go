package rules

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"weir/event"
	"weir/windows"
)

// Plan is what a set of rules makes of events and windows: which tables there
// are, what each keeps, which conditions are asked of an event, and where each
// rule finds its features. It does not change once it is made.
type Plan struct {
	Rules  []*Rule // by id
	Layout windows.Layout

	key    *event.Key
	extras event.Extras
	visits bool
	tables []table
	byName map[string]int // table by its fields' names

	conds    []*EventCond // each asked at most once of an event
	condText map[string]int

	fields []event.Field // those whose values an event carries: Layout.Fields
	obs    []observation
	hashed []event.Field // those whose hashes are needed: fields, then others observed
	rules  []rulePlan

	watch *Watch // nil: nobody looks on
}

// observation is one column of Deltas.Obs: a field's hash, or its number.
type observation struct {
	field  event.Field
	number bool
	hash   int // in Plan.hashed, where it is a hash
}

// tableBit is one bit of a table's row masks: where and, optionally, cond.
type tableBit struct{ where, cond int }

const noCond = -1

// maxLadder is how many entries a rule's ladder may have.
const maxLadder = 16

// table is a windows.Table with what the mapper and the engine know of it.
type table struct {
	fields  []event.Field
	values  []int // positions of fields in Plan.fields
	seed    [2]uint64
	parent  int // table of the population that its keys are members of, or -1
	bits    []tableBit
	rules   []evaluation // rules whose key this is
	members []evaluation // rules whose members are keys of this table
	target  *targetReads // where good, tried and clean are, if it is a target
	known   *standingReads
	seen    *standingReads
	visits  *visitReads
}

// evaluation is a rule that is looked at when a row has the bit.
type evaluation struct {
	rule int
	bit  uint8
	// entries are, for members, the ladder entries about this table's keys.
	entries uint16
	// seen is, for members, the series that counts the events the rule saw.
	seen int
}

// reading is how to get an aggregate's value from a key of its table.
type reading struct {
	fn     Func
	window windows.Window
	field  event.Field
	a, b   int // series; b is the whole of a ratio
}

// targetReads are the series behind good, tried, clean and law 9.
type targetReads struct {
	kinds                   uint32 // of endpoint, that its events can have
	refused                 uint8  // the bit of refused events
	events, refusals        int    // Count, 10m
	successes, tries        int    // Count, 1h and 7d
	goodActors, triedActors int    // Distinct, 7d
}

// standingReads are the series behind known and seen of a table's one field.
type standingReads struct{ success, failure, all int }

// visitReads are the series behind the visits of an actor.
type visitReads struct{ all, assets int }

// rulePlan is where a rule finds things.
type rulePlan struct {
	table    int
	features []reading
	when     condPlan
	entries  []entryPlan
	on       int64 // seconds that it stays on
	longest  windows.Window
	// shared reports whether other keys look at its on-states: it has member
	// entries or another rule asks for its signal.
	shared bool
}

// condPlan is where a condition's inline aggregates and signals are.
type condPlan struct {
	inline  []reading
	signals []signalPlan
}

type signalPlan struct {
	rule   int
	window windows.Window
	fields []int // positions of the signal rule's key fields in the reader's key
}

// entryPlan is one ladder entry's places.
type entryPlan struct {
	target  int // table of the target
	member  int // table of its members, or -1: it is about the key
	cond    condPlan
	local   bool  // the target is the key (or the member's key) itself
	from    []int // positions of the target's fields in the (member) key
	seconds []int64
}

// failedText is an outcome condition that the plan itself asks; those that
// visits can stand in for are tried and succeeded.
const failedText = `outcome == "failure"`

// tried returns the condition that something was tried.
func (p *planner) tried() int {
	if !p.visits {
		return p.text(`outcome != ""`)
	}
	return p.cond(&EventCond{
		Text: `outcome != "" or unjudged`, Kinds: allKinds,
		Match: func(ev *event.Event, _ *Facts) bool { return ev.Outcome != event.NoOutcome || ev.Unjudged },
	})
}

// succeeded returns the condition that it succeeded, or that a visitor did it.
func (p *planner) succeeded() int {
	if !p.visits {
		return p.text(`outcome == "success"`)
	}
	return p.cond(&EventCond{
		Text: `outcome == "success" or unjudged and visited`, Kinds: allKinds,
		Match: func(ev *event.Event, f *Facts) bool {
			return ev.Outcome == event.Success || ev.Unjudged && f != nil && f.Standing.Visited(ev)
		},
	})
}

// PlanOptions is what a plan depends on besides the rules.
type PlanOptions struct {
	Extras event.Extras // the configuration's extra fields
	// Visits reports that the log of some source does not say what came of a
	// request: there visits stand in for successes (see docs/adr/0003).
	Visits bool
}

// NewPlan plans the checked rules. The seed of all its hashes is key's.
func NewPlan(rs []*Rule, key *event.Key, opt PlanOptions) (*Plan, error) {
	p := &Plan{
		Rules: slices.Clone(rs), key: key, extras: opt.Extras, visits: opt.Visits,
		byName: map[string]int{}, condText: map[string]int{},
	}
	sort.Slice(p.Rules, func(i, j int) bool { return p.Rules[i].ID < p.Rules[j].ID })
	b := planner{Plan: p}
	if err := b.plan(); err != nil {
		return nil, err
	}
	return p, nil
}

// planner is a Plan in the making, with the errors met.
type planner struct {
	*Plan
	err error
}

func (p *planner) fail(format string, args ...any) {
	p.err = errors.Join(p.err, fmt.Errorf(format, args...))
}

func (p *planner) plan() error {
	p.rules = make([]rulePlan, len(p.Rules))
	index := map[string]int{}
	for i, r := range p.Rules {
		index[r.ID] = i
	}
	for i := range p.Rules {
		p.planRule(i, index)
	}
	for i := range p.Rules {
		p.planStanding(p.Rules[i])
	}
	if p.visits {
		p.planVisits()
	}
	p.finish()
	return p.err
}

func (p *planner) planRule(i int, index map[string]int) {
	r, rp := p.Rules[i], &p.rules[i]
	rp.table = p.table(r.Key, -1)
	where := p.cond(r.Where)
	p.tables[rp.table].rules = append(p.tables[rp.table].rules,
		evaluation{rule: i, bit: p.bit(rp.table, where, noCond)})
	for _, f := range r.Features {
		rp.features = append(rp.features, p.read(rp.table, where, f.Aggregate))
		rp.longest = max(rp.longest, f.Window)
	}
	rp.when = p.condPlan(rp, rp.table, where, r.When, r, index)
	for n := range r.Then {
		rp.entries = append(rp.entries, p.entry(i, n, where, index))
	}
	if rp.longest == 0 {
		rp.longest = windows.W10s
	}
	for n := range rp.entries {
		e := &rp.entries[n]
		if len(e.seconds) == 0 {
			e.seconds = []int64{int64(rp.longest)}
		}
		rp.on = max(rp.on, e.seconds[0])
	}
	if len(rp.entries) == 0 {
		rp.on = int64(rp.longest)
	}
	for t := range p.tables {
		for k := range p.tables[t].members {
			if e := &p.tables[t].members[k]; e.rule == i {
				e.seen = p.series(t, windows.Count, e.bit, 0, rp.longest)
			}
		}
	}
}

func (p *planner) condPlan(rp *rulePlan, t, where int, c *Cond, r *Rule, index map[string]int) condPlan {
	var cp condPlan
	if c == nil {
		return cp
	}
	for _, a := range c.Inline {
		cp.inline = append(cp.inline, p.read(t, where, a))
		rp.longest = max(rp.longest, a.Window)
	}
	for _, s := range c.Signals {
		j, ok := index[s.Rule]
		if !ok {
			p.fail("%s: signal of unknown rule %s", r.ID, s.Rule)
			continue
		}
		sp := signalPlan{rule: j, window: s.Window}
		for _, f := range p.Rules[j].Key {
			at := slices.Index(r.Key, f)
			if at < 0 {
				p.fail("%s: signal %s: its key has %s, which the key of this rule lacks", r.ID, s.Rule, f)
			}
			sp.fields = append(sp.fields, at)
		}
		p.rules[j].shared = true
		cp.signals = append(cp.signals, sp)
	}
	return cp
}

func (p *planner) entry(i, n, where int, index map[string]int) entryPlan {
	r := p.Rules[i]
	c := &r.Then[n]
	e := entryPlan{member: -1}
	for _, d := range c.For {
		e.seconds = append(e.seconds, int64(d.Seconds()))
	}
	condTable, from := p.rules[i].table, r.Key
	if m := c.Members(r.Key); len(m) > 0 {
		from = sorted(append(slices.Clone(r.Key), m...))
		e.member = p.table(from, p.rules[i].table)
		condTable = e.member
		p.rules[i].shared = true
		p.memberEntry(e.member, evaluation{rule: i, bit: p.bit(e.member, where, noCond), entries: 1 << n})
	}
	e.cond = p.condPlan(&p.rules[i], condTable, where, c.If, r, index)
	dims := c.Dims
	if len(dims) == 0 {
		dims = r.Key
	}
	e.local = slices.Equal(dims, from)
	if e.local {
		e.target = condTable
	} else {
		e.target = p.table(dims, -1)
	}
	p.targetOf(e.target, r)
	for _, d := range dims {
		e.from = append(e.from, slices.Index(from, d))
	}
	return e
}

// memberEntry notes that a table's keys are members of a rule's keys.
func (p *planner) memberEntry(t int, e evaluation) {
	ms := p.tables[t].members
	for k := range ms {
		if ms[k].rule == e.rule {
			ms[k].entries |= e.entries
			return
		}
	}
	p.tables[t].members = append(ms, e)
}

// table returns the table of these fields (ascending) and parent. A table
// without a parent takes in what needs none: identity is the fields'.
func (p *planner) table(fields []event.Field, parent int) int {
	name := fieldsName(fields)
	if t, ok := p.byName[name]; ok {
		if parent < 0 || p.tables[t].parent == parent {
			return t
		}
		if p.tables[t].parent < 0 {
			p.tables[t].parent = parent
			return t
		}
		name = fmt.Sprintf("%s of %d", name, parent)
		if t, ok := p.byName[name]; ok {
			return t
		}
	}
	t := len(p.tables)
	p.byName[name] = t
	// The unit follows from the first half, which is the fields' alone, so that
	// tables of the same fields keep a value in the same unit.
	tb := table{fields: fields, parent: parent}
	tb.seed[0] = p.key.HashString("table " + fieldsName(fields))
	tb.seed[1] = p.key.HashString("table " + name + "'")
	for _, f := range fields {
		tb.values = append(tb.values, p.value(f))
	}
	p.tables = append(p.tables, tb)
	p.Layout.Tables = append(p.Layout.Tables, windows.Table{Fields: fields})
	return t
}

func (p *planner) value(f event.Field) int {
	if i := slices.Index(p.fields, f); i >= 0 {
		return i
	}
	p.fields = append(p.fields, f)
	return len(p.fields) - 1
}

// cond returns the number of a base condition; nil is always true.
func (p *planner) cond(c *EventCond) int {
	if c == nil {
		return noCond
	}
	if i, ok := p.condText[c.Text]; ok {
		return i
	}
	p.conds = append(p.conds, c)
	p.condText[c.Text] = len(p.conds) - 1
	return len(p.conds) - 1
}

func (p *planner) text(src string) int {
	c, err := CompileEvent(src, Options{})
	if err != nil {
		p.fail("condition %s: %w", src, err)
		return noCond
	}
	return p.cond(c)
}

// bit returns the table's bit for rows where both conditions hold.
func (p *planner) bit(t, where, cond int) uint8 {
	tb := &p.tables[t]
	b := tableBit{where, cond}
	if i := slices.Index(tb.bits, b); i >= 0 {
		return uint8(i)
	}
	if len(tb.bits) == windows.MaxBits {
		p.fail("key %s: more than %d different conditions over all rules", fieldsName(tb.fields), windows.MaxBits)
		return 0
	}
	tb.bits = append(tb.bits, b)
	return uint8(len(tb.bits) - 1)
}

// series returns the table's series of that kind, bit and observation, which
// from now on also serves window w.
func (p *planner) series(t int, kind windows.Kind, bit uint8, obs uint8, w windows.Window) int {
	lt := &p.Layout.Tables[t]
	pane := w.Ring().Pane()
	lt.Retain = max(lt.Retain, int64(w)+pane)
	for i := range lt.Series {
		s := &lt.Series[i]
		if s.Kind == kind && s.Bit == bit && s.Obs == obs {
			if !slices.Contains(s.Windows, w) {
				s.Windows = append(s.Windows, w)
				slices.Sort(s.Windows)
			}
			return i
		}
	}
	lt.Series = append(lt.Series, windows.Series{Kind: kind, Bit: bit, Obs: obs, Windows: []windows.Window{w}})
	return len(lt.Series) - 1
}

func (p *planner) observe(f event.Field, number bool) uint8 {
	for i, o := range p.obs {
		if o.field == f && o.number == number {
			return uint8(i)
		}
	}
	p.obs = append(p.obs, observation{field: f, number: number})
	return uint8(len(p.obs) - 1)
}

// read plans one aggregate over a table's rows where `where` holds.
func (p *planner) read(t, where int, a Aggregate) reading {
	rd := reading{fn: a.Func, window: a.Window, field: a.Field}
	bit := p.bit(t, where, p.cond(And(a.Cond, a.Of)))
	switch a.Func {
	case Count, Rate:
		rd.a = p.series(t, windows.Count, bit, 0, a.Window)
	case Ratio, RatioLow:
		rd.a = p.series(t, windows.Count, bit, 0, a.Window)
		rd.b = p.series(t, windows.Count, p.bit(t, where, p.cond(a.Of)), 0, a.Window)
	case Sum:
		rd.a = p.series(t, windows.Sum, bit, p.observe(a.Field, true), a.Window)
	case Min, Max:
		rd.a = p.series(t, windows.MinMax, bit, p.observe(a.Field, true), a.Window)
	case Distinct:
		rd.a = p.series(t, windows.Distinct, bit, p.observe(a.Field, false), a.Window)
	case Top, Entropy:
		rd.a = p.series(t, windows.Buckets, bit, p.observe(a.Field, false), a.Window)
	case Cadence:
		rd.a = p.series(t, windows.Active, bit, 0, a.Window)
	case First, Last:
		rd.a = p.series(t, windows.Span, bit, 0, a.Window)
	}
	return rd
}

// targetOf makes t keep what good, tried, clean and law 9 ask of a target.
//
// All events of a target count, not only those that the rule sees. Where the
// target's values fix the kind of endpoint, only events of kinds that the rule
// sees can be the target's, so the others need not touch the table at all.
func (p *planner) targetOf(t int, r *Rule) {
	kinds := ^uint32(0)
	if fs := p.tables[t].fields; contains(fs, event.FieldEndpoint) || contains(fs, event.FieldKind) {
		kinds = r.Where.Kinds
	}
	if p.tables[t].target == nil {
		p.tables[t].target = &targetReads{}
	}
	p.tables[t].target.kinds |= kinds
}

// planTarget enters the series behind good, tried, clean and law 9.
func (p *planner) planTarget(t int) {
	tr := p.tables[t].target
	of := p.cond(kindsCond(tr.kinds))
	tried, ok := p.tried(), p.succeeded()
	tr.events = p.series(t, windows.Count, p.bit(t, of, noCond), 0, windows.W10m)
	tr.refused = p.bit(t, refusedBit, of)
	tr.refusals = p.series(t, windows.Count, tr.refused, 0, windows.W10m)
	actor := p.observe(event.FieldActor, false)
	triedBit, okBit := p.bit(t, of, tried), p.bit(t, of, ok)
	for _, w := range []windows.Window{windows.W1h, windows.W7d} {
		tr.tries = p.series(t, windows.Count, triedBit, 0, w)
		tr.successes = p.series(t, windows.Count, okBit, 0, w)
	}
	tr.triedActors = p.series(t, windows.Distinct, triedBit, actor, windows.W7d)
	tr.goodActors = p.series(t, windows.Distinct, okBit, actor, windows.W7d)
}

// refusedBit stands in for a condition number in the bit of refused events,
// which no other condition is asked of.
const refusedBit = -2

// kindsCond is the condition that an event's endpoint is of one of the kinds.
func kindsCond(kinds uint32) *EventCond {
	const all = 1<<event.NumKinds - 1
	if kinds&all == all {
		return nil
	}
	return &EventCond{
		Text:  fmt.Sprintf("kind in mask %#x", kinds&all),
		Match: func(ev *event.Event, _ *Facts) bool { return kinds>>ev.Kind&1 == 1 },
		Kinds: kinds & all,
	}
}

// planStanding plans the tables behind the known and seen facts that a rule's
// conditions and exceptions ask for.
func (p *planner) planStanding(r *Rule) {
	known, seen := standingFields(r)
	for _, f := range known {
		t := p.table([]event.Field{f}, -1)
		if p.tables[t].known == nil {
			p.tables[t].known = &standingReads{
				success: p.series(t, windows.Count, p.bit(t, noCond, p.succeeded()), 0, windows.W7d),
				failure: p.series(t, windows.Count, p.bit(t, noCond, p.text(failedText)), 0, windows.W7d),
			}
		}
	}
	for _, f := range seen {
		t := p.table([]event.Field{f}, -1)
		if p.tables[t].seen == nil {
			p.tables[t].seen = &standingReads{all: p.series(t, windows.Count, p.bit(t, noCond, noCond), 0, windows.W7d)}
		}
	}
}

// planVisits plans the table behind visits: what each actor asked for.
func (p *planner) planVisits() {
	unjudged := p.cond(&EventCond{
		Text: "unjudged", Kinds: allKinds, Match: func(ev *event.Event, _ *Facts) bool { return ev.Unjudged },
	})
	t := p.table([]event.Field{event.FieldActor}, -1)
	p.tables[t].visits = &visitReads{
		all:    p.series(t, windows.Count, p.bit(t, unjudged, noCond), 0, windows.W7d),
		assets: p.series(t, windows.Count, p.bit(t, unjudged, p.text(`kind == "asset"`)), 0, windows.W7d),
	}
}

// standingFields lists the fields whose standing a rule reads.
func standingFields(r *Rule) (known, seen []event.Field) {
	add := func(c *EventCond) {
		if c != nil {
			known, seen = append(known, c.Known...), append(seen, c.Seen...)
		}
	}
	aggregates := func(as []Aggregate) {
		for _, a := range as {
			add(a.Cond)
			add(a.Of)
		}
	}
	add(r.Where)
	for _, f := range r.Features {
		add(f.Cond)
		add(f.Of)
	}
	aggregates(r.When.Inline)
	for _, c := range r.Then {
		if c.If != nil {
			aggregates(c.If.Inline)
		}
		if c.Except != event.NoField {
			known = append(known, c.Except)
		}
	}
	return known, seen
}

func (p *planner) finish() {
	for t := range p.tables {
		if p.tables[t].target != nil {
			p.planTarget(t)
		}
	}
	p.Layout.Obs = len(p.obs)
	p.Layout.Fields = p.fields
	p.hashed = slices.Clone(p.fields)
	for i := range p.obs {
		o := &p.obs[i]
		if o.number {
			continue
		}
		if o.hash = slices.Index(p.hashed, o.field); o.hash < 0 {
			o.hash = len(p.hashed)
			p.hashed = append(p.hashed, o.field)
		}
	}
	for t := range p.tables {
		p.Layout.Tables[t].Parent = p.tables[t].parent >= 0
	}
	if len(p.obs) > 255 {
		p.fail("rules observe %d different fields, must be at most 255", len(p.obs))
	}
	for _, r := range p.Rules {
		if len(r.Then) > maxLadder {
			p.fail("%s: then: %d entries, must be at most %d", r.ID, len(r.Then), maxLadder)
		}
	}
}

// Reads reports whether any rule looks at a field.
func (p *Plan) Reads(f event.Field) bool {
	return slices.Contains(p.hashed, f) || slices.ContainsFunc(p.obs, func(o observation) bool { return o.field == f }) ||
		slices.ContainsFunc(p.conds, func(c *EventCond) bool { return slices.Contains(c.Fields, f) })
}

// NeedsStanding reports whether anything asks for what is published by the hour.
func (p *Plan) NeedsStanding() bool {
	for t := range p.tables {
		if p.tables[t].known != nil || p.tables[t].seen != nil || p.tables[t].visits != nil {
			return true
		}
	}
	return false
}

// keyOf combines the hashes of a key's values into its identity.
func (t *table) keyOf(hash func(i int) uint64) windows.Key {
	k := windows.Key{Hi: t.seed[0], Lo: t.seed[1]}
	for i := range t.fields {
		h := hash(i)
		k.Hi, k.Lo = event.Mix(k.Hi^h), event.Mix(k.Lo+h)
	}
	return k
}

func fieldsName(fs []event.Field) string {
	names := make([]string, len(fs))
	for i, f := range fs {
		names[i] = f.String()
	}
	return strings.Join(names, " ")
}

func sorted(fs []event.Field) []event.Field {
	slices.Sort(fs)
	return fs
}
