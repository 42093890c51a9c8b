package pipeline_test

import (
	"math"
	"slices"
	"sort"

	"weir/event"
	"weir/rules"
)

// oracle decides what is right: it follows ADR 2 sentence by sentence, one
// tick after the other, and scans all events of a key for each question. It is
// slow, exact and shares nothing with the engine but the parsed rules.
type oracle struct {
	rules   []*rules.Rule // by id
	ceiling event.Stage
	lookups map[string]func(string) bool

	rows    []*oracleRow // not refused, by second
	refused []*oracleRow // by second
	end     int64        // the clock runs up to here
	tally   oracleTally

	standing map[int64]*oracleStanding         // by the hour whose events use it
	byRule   map[*rules.Rule]*oracleIndex      // what each rule sees
	all      *oracleIndex                      // what is not refused
	no       *oracleIndex                      // what is refused
	on       map[*rules.Rule]map[string]*onKey // by rule and key
	carried  map[string]*candidate             // between two boundaries, by rule, key and entry
	inForce  map[string]*grant                 // by rule, action, except and target
	news     map[string][]int64                // ticks of new decisions, by rule and target
	newsOf   map[string][]int64                // the same by rule, action, exception and target

	lines []event.Decision
}

// newOracle reads all partitions and finds out what each event is to each rule.
func newOracle(rs []*rules.Rule, ceiling event.Stage, lookups map[string]func(string) bool, partitions []*oraclePartition) *oracle {
	o := &oracle{
		rules: slices.Clone(rs), ceiling: ceiling, lookups: lookups, end: math.MinInt64,
		standing: map[int64]*oracleStanding{}, byRule: map[*rules.Rule]*oracleIndex{},
		on: map[*rules.Rule]map[string]*onKey{}, carried: map[string]*candidate{},
		inForce: map[string]*grant{}, news: map[string][]int64{}, newsOf: map[string][]int64{},
	}
	sort.Slice(o.rules, func(i, j int) bool { return o.rules[i].ID < o.rules[j].ID })
	for _, p := range partitions {
		c := oracleRun(p)
		o.end = max(o.end, c.end())
		o.tally.add(&c.tally)
		for _, ev := range c.out {
			if p.answer != nil && ev.Refused == event.NoAction {
				ev.Refused = p.answer(ev.Event)
			}
			row := &oracleRow{oracleEvent: ev, where: map[*rules.Rule]bool{}, conds: map[*rules.EventCond]bool{}}
			if ev.Refused == event.NoAction {
				o.rows = append(o.rows, row)
			} else {
				o.refused = append(o.refused, row)
			}
		}
	}
	bySecond := func(rows []*oracleRow) func(i, j int) bool {
		return func(i, j int) bool { return rows[i].Second < rows[j].Second }
	}
	sort.SliceStable(o.rows, bySecond(o.rows))
	sort.SliceStable(o.refused, bySecond(o.refused))
	// The clock runs on to the next whole ten seconds.
	o.end = boundaryAt(o.end)
	o.all, o.no = newOracleIndex(o.rows), newOracleIndex(o.refused)
	o.match()
	return o
}

func (t *oracleTally) add(u *oracleTally) {
	t.Rejected += u.Rejected
	t.Late += u.Late
	t.Dropped += u.Dropped
	t.Future += u.Future
	t.Clamped += u.Clamped
	t.Filtered += u.Filtered
	t.Counted += u.Counted
}

// match answers every condition on every event, with the facts of its hour.
func (o *oracle) match() {
	for _, r := range o.rules {
		o.on[r] = map[string]*onKey{}
	}
	seen := map[*rules.Rule][]*oracleRow{}
	for _, row := range o.rows {
		standing := o.standingAt(row.Second)
		holds := func(c *rules.EventCond) bool {
			return c.Match(row.Event, &rules.Facts{Standing: standing.facts(), Lookups: o.lookups})
		}
		for _, r := range o.rules {
			if !holds(r.Where) {
				continue
			}
			row.where[r] = true
			seen[r] = append(seen[r], row)
			for _, a := range aggregatesOf(r) {
				for _, c := range []*rules.EventCond{a.Cond, a.Of} {
					if c != nil {
						row.conds[c] = holds(c)
					}
				}
			}
		}
	}
	for _, r := range o.rules {
		o.byRule[r] = newOracleIndex(seen[r])
	}
}

// aggregatesOf lists every aggregate that a rule may read.
func aggregatesOf(r *rules.Rule) []rules.Aggregate {
	var as []rules.Aggregate
	for _, f := range r.Features {
		as = append(as, f.Aggregate)
	}
	as = append(as, r.When.Inline...)
	for _, c := range r.Then {
		if c.If != nil {
			as = append(as, c.If.Inline...)
		}
	}
	return as
}

// oracleIndex finds the rows of a key; it is only there to save time.
type oracleIndex struct {
	rows []*oracleRow
	keys map[string]map[string][]*oracleRow // by fields, then by key
}

func newOracleIndex(rows []*oracleRow) *oracleIndex {
	return &oracleIndex{rows: rows, keys: map[string]map[string][]*oracleRow{}}
}

// of returns the rows of key k, by second.
func (x *oracleIndex) of(k oracleKey) []*oracleRow { return x.byFields(k.fields)[k.String()] }

// byFields returns the rows of every key of these fields.
func (x *oracleIndex) byFields(fields []event.Field) map[string][]*oracleRow {
	shape := fieldNames(fields)
	keys, ok := x.keys[shape]
	if !ok {
		keys = map[string][]*oracleRow{}
		for _, row := range x.rows {
			if k, ok := keyOf(row.Event, fields); ok {
				keys[k.String()] = append(keys[k.String()], row)
			}
		}
		x.keys[shape] = keys
	}
	return keys
}

func fieldNames(fs []event.Field) string {
	s := ""
	for _, f := range fs {
		s += f.String() + ","
	}
	return s
}

// run plays all ticks and returns the decisions.
func (o *oracle) run() []event.Decision {
	if len(o.rows)+len(o.refused) == 0 {
		return nil
	}
	for tick := o.next(math.MinInt64); tick <= o.end; tick = o.next(tick) {
		o.tick(tick)
		if tick%10 == 0 {
			o.boundary(tick)
		}
	}
	return o.lines
}

// next returns the next tick at which anything can happen: there are events in
// the second before it, a decision ends, or something waits for a boundary.
func (o *oracle) next(after int64) int64 {
	next := int64(math.MaxInt64)
	for _, rows := range [][]*oracleRow{o.rows, o.refused} {
		if i := sort.Search(len(rows), func(i int) bool { return rows[i].Second >= after }); i < len(rows) {
			next = min(next, rows[i].Second+1)
		}
	}
	for _, g := range o.inForce {
		next = min(next, max(g.until, after+1))
	}
	if after > math.MinInt64 && o.waiting() {
		next = min(next, boundaryAt(after+1))
	}
	return next
}

// boundaryAt returns the first whole ten seconds that are not before tick.
func boundaryAt(tick int64) int64 {
	for tick%10 != 0 {
		tick++
	}
	return tick
}

// tick is "Tick T" of ADR 2.
func (o *oracle) tick(tick int64) {
	// (1) decisions whose until is T or earlier end
	o.endDecisions(tick)
	// (2) the rows of second T-1 are folded: from here on windows as of T hold them
	fresh := within(o.rows, tick-1, tick)
	// (3) for each key touched and for each rule, by id, whose where held
	for _, r := range o.rules {
		for _, k := range touched(r, fresh, r.Key) {
			o.evaluate(r, k, tick)
		}
		o.comingMembers(r, fresh, tick)
	}
	// (4) refused rows renew
	o.renewRefused(within(o.refused, tick-1, tick), tick)
}

// touched returns the keys of these fields of the rows that r sees, ascending.
func touched(r *rules.Rule, rows []*oracleRow, fields []event.Field) []oracleKey {
	found := map[string]oracleKey{}
	for _, row := range rows {
		if k, ok := keyOf(row.Event, fields); ok && row.where[r] {
			found[k.String()] = k
		}
	}
	var keys []oracleKey
	for _, k := range found {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool { return keys[i].String() < keys[j].String() })
	return keys
}

// evaluate asks whether r's when holds for k as of tick; if it does, the rule
// is on and its ladder is walked.
func (o *oracle) evaluate(r *rules.Rule, k oracleKey, tick int64) {
	rows := o.byRule[r].of(k)
	read := o.reader(r, r.When, nil, rows, tick)
	if !r.When.Eval(&rules.Env{Read: read, Signal: o.signals(r, r.When, k, tick)}) {
		return
	}
	v := &truth{rule: r, key: k, tick: tick, off: tick + onFor(r), sources: sources(within(rows, tick-1, tick))}
	for i := range r.Features {
		v.features = append(v.features, aggregate(&r.Features[i].Aggregate, rows, tick))
	}
	state := o.on[r][k.String()]
	if state == nil {
		state = &onKey{}
		o.on[r][k.String()] = state
	}
	state.latest, state.changed = v, true
	o.walk(&subject{truth: v, key: k, tick: tick, sources: v.sources}, 0)
}

// reader gives a condition its figures: the features, as they were (frozen)
// or as of tick, and behind them the aggregates written in the condition.
func (o *oracle) reader(r *rules.Rule, c *rules.Cond, frozen []float64, rows []*oracleRow, tick int64) func(i int) float64 {
	return func(i int) float64 {
		if n := len(r.Features); i >= n {
			return aggregate(&c.Inline[i-n], rows, tick)
		}
		if frozen != nil {
			return frozen[i]
		}
		return aggregate(&r.Features[i].Aggregate, rows, tick)
	}
}

// onFor returns for how long a rule that was true is on.
func onFor(r *rules.Rule) int64 {
	if len(r.Then) == 0 {
		return int64(retained(r))
	}
	longest := int64(0)
	for _, c := range r.Then {
		if len(c.For) > 0 {
			longest = max(longest, int64(c.For[0].Seconds()))
		}
	}
	return longest
}

// sources returns where rows lie: for each partition the first and last offset.
func sources(rows []*oracleRow) []event.Span {
	spans := map[int]event.Span{}
	var order []int
	for _, row := range rows {
		p := row.from
		s, ok := spans[p.order]
		if !ok {
			order = append(order, p.order)
			s = event.Span{Source: p.source, Partition: p.number, First: row.Offset, Last: row.Offset}
		}
		s.First, s.Last = min(s.First, row.Offset), max(s.Last, row.Offset)
		spans[p.order] = s
	}
	slices.Sort(order)
	var sorted []event.Span
	for _, p := range order {
		sorted = append(sorted, spans[p])
	}
	return sorted
}
