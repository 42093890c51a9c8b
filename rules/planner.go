package rules

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"weir/event"
	"weir/windows"
)

// planner is a Plan in the making, with the errors met.
type planner struct {
	*Plan
	err error
}

func (p *planner) fail(format string, args ...any) {
	p.err = errors.Join(p.err, fmt.Errorf(format, args...))
}

func (p *planner) plan(site bool) error {
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
	if site {
		p.planSite()
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
		rp.surges = rp.surges || f.Func == Surge
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
		rp.surges = rp.surges || a.Func == Surge
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
			place := signalField{at: slices.Index(r.Key, f)}
			if place.at < 0 {
				value, ok := r.Fixed(f)
				if !ok {
					p.fail("%s: signal %s: its key has %s, which the key of this rule lacks", r.ID, s.Rule, f)
				}
				place.hash = p.hashText(value)
			}
			sp.fields = append(sp.fields, place)
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
	p.targetOf(e.target, r, c.Except)
	p.tables[e.target].remote = p.tables[e.target].remote || !e.local
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

// table returns the table of these fields (ascending) whose rows carry the key
// of that parent; -1: of none. One with a parent does not stand in for one
// without: what a rule keeps would then begin anew when another one comes.
func (p *planner) table(fields []event.Field, parent int) int {
	name := p.tableName(fields, parent)
	if t, ok := p.byName[name]; ok {
		return t
	}
	t := len(p.tables)
	p.byName[name] = t
	// The unit follows from the first half, which is the fields' alone, so that
	// tables of the same fields keep a value in the same unit.
	tb := table{fields: fields, parent: parent}
	tb.seed[0] = p.key.HashString("table " + p.keyName(fields))
	tb.seed[1] = p.key.HashString("table " + name + "'")
	for _, f := range fields {
		tb.values = append(tb.values, p.value(f))
	}
	p.tables = append(p.tables, tb)
	p.Layout.Tables = append(p.Layout.Tables, windows.Table{Name: name, Store: uint16(t), Fields: fields, Parent: parent >= 0})
	p.Layout.NextStore = uint32(t) + 1
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
	s := windows.Series{Kind: kind, Bit: bit, Obs: obs, Windows: []windows.Window{w}}
	s.Name, s.Kinds = p.seriesName(t, kind, bit, obs)
	lt.Series = append(lt.Series, s)
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
	case Surge:
		rd.a = p.series(t, windows.Count, bit, 0, a.Window)
		p.series(t, windows.Count, bit, 0, windows.W7d) // of the same one: its past
	case First, Last:
		rd.a = p.series(t, windows.Span, bit, 0, a.Window)
	}
	return rd
}

func (p *planner) finish() {
	for t := range p.tables {
		if p.tables[t].target != nil {
			p.planTarget(t)
			p.Layout.Tables[t].Faint = p.faint(t)
		}
	}
	p.planAsks()
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
	for t := range p.Layout.Tables {
		for i := range p.Layout.Tables[t].Series {
			s := &p.Layout.Tables[t].Series[i]
			s.Since = make([]int64, len(s.Windows))
		}
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

// planAsks takes the conditions apart: many are alike in most of what they ask.
func (p *planner) planAsks() {
	numbers := map[string]uint16{}
	for _, c := range p.conds {
		parts := c.Conjuncts
		if parts == nil { // the planner's own
			parts = []*EventCond{c}
		}
		var asks []uint16
		for _, part := range parts {
			n, ok := numbers[part.Text]
			if !ok {
				n = uint16(len(p.asks))
				numbers[part.Text] = n
				p.asks = append(p.asks, part)
			}
			asks = append(asks, n)
		}
		p.condAsks = append(p.condAsks, asks)
	}
	if most := math.MaxUint16 + 1; len(p.asks) > most {
		p.fail("conditions of the rules ask %d different questions, must be at most %d", len(p.asks), most)
	}
}

// fieldsName returns how a key of these fields is called; without any, nothing.
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
