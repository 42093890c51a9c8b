package rules

import (
	"slices"
	"sort"

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
	byName map[string]int // tables by their names

	conds    []*EventCond
	asks     []*EventCond // their parts, each asked at most once of an event
	condAsks [][]uint16   // of each of conds, its parts
	condText map[string]int
	ofKinds  map[int]uint32 // of conditions that are the planner's own, on kinds alone

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
	fields   []event.Field
	values   []int // positions of fields in Plan.fields
	seed     [2]uint64
	parent   int // table of the population that its keys are members of, or -1
	bits     []tableBit
	rules    []evaluation // rules whose key this is
	members  []evaluation // rules whose members are keys of this table
	target   *targetReads // where good, tried and clean are, if it is a target
	remote   bool         // it is a target of rules that decide about it through other keys
	standing [numFacts]*standingReads
	visits   *visitReads
	site     *siteReads // of the table without fields
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
	// vouched, Count, 7d, are the successes that make actors good; spared are, for
	// each exception of a decision on it, those that it would not have spared.
	vouched int
	spared  []exceptReads
	// who is the table of the target's fields that say who, where nothing that
	// the rules see of it vouches for anybody; else -1.
	who int
}

// exceptReads is the series, Count over 7d, of the successes that make an actor
// good and that an exception does not spare.
type exceptReads struct {
	field event.Field
	hit   int
}

// standingReads are the series behind a fact of a table's one field: it is so where
// one adds up to more than the other (-1: than nothing).
type standingReads struct{ more, than int }

// siteReads are the series, Distinct over 7d, behind the whole site's figures.
type siteReads struct{ good, tried int }

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
	surges   bool // it looks back seven days for what is usual
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
	fields []signalField // of the signal rule's key
}

// signalField is where the value of a field of a signal rule's key comes from:
// the reader's key or, where at is below 0, what the reader's where fixes it to.
type signalField struct {
	at   int
	hash uint64
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

// PlanOptions is what a plan depends on besides the rules.
type PlanOptions struct {
	Extras event.Extras // the configuration's extra fields
	// Visits reports that the log of some source does not say what came of a
	// request: there visits stand in for successes (see docs/adr/0003).
	Visits bool
	// Inherit is the layout that the state had until Tick, when these rules take
	// over; nil: the state begins with them.
	Inherit *windows.Layout
	Tick    int64
	// Site reports that the figures of the empty target are asked for: how many
	// actors succeeded with anything.
	Site bool
}

// NewPlan plans the checked rules. The seed of all its hashes is key's.
func NewPlan(rs []*Rule, key *event.Key, opt PlanOptions) (*Plan, error) {
	p := &Plan{
		Rules: slices.Clone(rs), key: key, extras: opt.Extras, visits: opt.Visits,
		byName: map[string]int{}, condText: map[string]int{}, ofKinds: map[int]uint32{},
	}
	sort.Slice(p.Rules, func(i, j int) bool { return p.Rules[i].ID < p.Rules[j].ID })
	b := planner{Plan: p}
	if err := b.plan(opt.Site); err != nil {
		return nil, err
	}
	if opt.Inherit != nil {
		if err := p.Layout.Inherit(opt.Inherit, opt.Tick); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Reads reports whether any rule looks at a field.
func (p *Plan) Reads(f event.Field) bool {
	return slices.Contains(p.hashed, f) || slices.ContainsFunc(p.obs, func(o observation) bool { return o.field == f }) ||
		slices.ContainsFunc(p.conds, func(c *EventCond) bool { return slices.Contains(c.Fields, f) })
}

// NeedsStanding reports whether anything asks for what is published by the hour.
func (p *Plan) NeedsStanding() bool {
	for t := range p.tables {
		if p.tables[t].standing != [numFacts]*standingReads{} || p.tables[t].visits != nil {
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
