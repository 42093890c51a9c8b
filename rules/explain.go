package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/event"
	"weir/windows"
)

// Explanation says what a plan reads, keeps and does for one rule.
type Explanation struct {
	Rule     *Rule
	Key      []string
	Features []FeatureUse
	Then     []string      // the ladder, an entry each
	On       time.Duration // how long the rule stays on for a key that it holds for
	Kept     []Kept
}

// FeatureUse is one feature of a rule.
type FeatureUse struct {
	Name, Text string
	Window     time.Duration
	Pane       time.Duration // it may look back so much further
	Note       string        // what its value is worth
}

// Kept is what is held for each key of one shape. Sizes are accounted bytes.
type Kept struct {
	Key    []string
	For    []string // what the table is there for
	Series []Series
	One    int // of a key with one event
	Busy   int // of a key with busyEvents different events, spread over its longest window
}

// Series is one thing that is held for each key.
type Series struct {
	Text string
	For  []string // what reads it: features, good, tried, clean, known …
}

// busyEvents is how many events a busy key has.
const busyEvents = 1000

// Explain says what the plan does for a rule. Sizes are right where the plan
// has no rules but this one and those that it reads.
func (p *Plan) Explain(id string) (*Explanation, error) {
	i := slices.IndexFunc(p.Rules, func(r *Rule) bool { return r.ID == id })
	if i < 0 {
		return nil, fmt.Errorf("there is no rule %s%s", id, didYouMean(id, p.ids()))
	}
	r, rp := p.Rules[i], &p.rules[i]
	x := &Explanation{Rule: r, Key: p.fieldTexts(r.Key), On: time.Duration(rp.on) * time.Second}
	for _, f := range r.Features {
		x.Features = append(x.Features, FeatureUse{
			Name: f.Name, Text: f.text(p.extras), Window: seconds(int64(f.Window)), Pane: seconds(f.Window.Ring().Pane()), Note: f.Func.note(),
		})
	}
	for n := range r.Then {
		x.Then = append(x.Then, p.entryText(&r.Then[n]))
	}
	one, busy := p.sizes(1), p.sizes(busyEvents)
	for t := range p.tables {
		if why := p.purposes(i, t); len(why) > 0 {
			x.Kept = append(x.Kept, Kept{
				Key: p.fieldTexts(p.tables[t].fields), For: why, Series: p.explainSeries(i, t), One: one[t], Busy: busy[t],
			})
		}
	}
	return x, nil
}

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }

// note says what a function's value is worth.
func (f Func) note() string {
	switch f {
	case Distinct:
		return "exact up to 96, then by a sketch (7 % rms error at most)"
	case Top, Entropy:
		return "over 64 keyed buckets; undefined without an event"
	case RatioLow:
		return "lower end of the 99 % Wilson interval; undefined without an event"
	case Ratio, Min, Max, First, Last:
		return "undefined without an event"
	case Surge:
		return "in spreads above the median of its past; 0 with less than a day of it, so a rule states a floor of its own beside it"
	case Cadence:
		return "undefined below three active seconds"
	}
	return ""
}

func (p *Plan) fieldTexts(fs []event.Field) (names []string) {
	for _, f := range fs {
		names = append(names, p.extras.Name(f))
	}
	return names
}

// entryText writes a consequence as a sentence.
func (p *Plan) entryText(c *Consequence) string {
	var b strings.Builder
	b.WriteString(c.Action.String() + " " + strings.Join(p.fieldTexts(c.Dims), ", "))
	if c.To != "" {
		b.WriteString(" to " + c.To)
	}
	if c.Except != event.NoField {
		b.WriteString(" except known(" + p.extras.Name(c.Except) + ")")
	}
	for i, d := range c.For {
		b.WriteString([]string{" for ", ", then "}[min(i, 1)] + windowName(windows.Window(d/time.Second)))
	}
	if c.If != nil {
		b.WriteString(" if " + c.If.Text)
	}
	return b.String()
}

// purposes says what a table is there for, as far as a rule is concerned.
func (p *Plan) purposes(rule, t int) (why []string) {
	rp, r := &p.rules[rule], p.Rules[rule]
	if rp.table == t {
		why = append(why, "the key")
	}
	for n := range rp.entries {
		e := &rp.entries[n]
		if e.member == t && !slices.Contains(why, "members") {
			why = append(why, "members")
		}
		if target := "target of " + r.Then[n].Action.String(); e.target == t && !slices.Contains(why, target) {
			why = append(why, target)
		}
	}
	if fs := p.tables[t].fields; len(fs) == 1 {
		for k, fields := range standingFields(r) {
			if slices.Contains(fields, fs[0]) && p.tables[t].standing[k] != nil {
				why = append(why, Fact(k).String())
			}
		}
	}
	for _, c := range r.conds() {
		for _, s := range c.Signals {
			i := slices.IndexFunc(p.Rules, func(o *Rule) bool { return o.ID == s.Rule })
			if i >= 0 && p.rules[i].table == t {
				why = append(why, "signal "+s.Rule)
			}
		}
	}
	return why
}

// seriesNames are the kinds of series, as they are explained.
var seriesNames = map[windows.Kind]string{
	windows.Count: "count", windows.Sum: "sum of", windows.MinMax: "smallest and largest", windows.Distinct: "distinct",
	windows.Buckets: "buckets of", windows.Active: "active seconds", windows.Span: "first and last second",
}

func (p *Plan) explainSeries(rule, t int) (all []Series) {
	for i := range p.Layout.Tables[t].Series {
		s := &p.Layout.Tables[t].Series[i]
		text := seriesNames[s.Kind]
		switch s.Kind {
		case windows.Sum, windows.MinMax, windows.Distinct, windows.Buckets:
			text += " " + p.extras.Name(p.obs[s.Obs].field)
		}
		var ws []string
		for _, w := range s.Windows {
			ws = append(ws, windowName(w))
		}
		text += " in " + strings.Join(ws, ", ")
		all = append(all, Series{Text: text + " of " + p.bitText(p.Rules[rule], t, s.Bit), For: p.readers(rule, t, i)})
	}
	return all
}

// readers says what reads a table's series, as far as a rule is concerned.
func (p *Plan) readers(rule, t, series int) (names []string) {
	add := func(name string, at ...int) {
		if slices.Contains(at, series) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for i := range p.rules {
		p.ownReaders(i, t, func(name string, rd reading) {
			if i != rule {
				name = p.Rules[i].ID // whose signal it reads
			}
			add(name, rd.a)
			if rd.fn == Ratio || rd.fn == RatioLow {
				add(name, rd.b)
			}
		})
	}
	tb := &p.tables[t]
	for _, m := range tb.members {
		if m.rule == rule {
			add("members", m.seen)
		}
	}
	if tr := tb.target; tr != nil {
		add("good", tr.goodActors)
		add("tried", tr.triedActors)
		add("clean", tr.successes, tr.tries)
		add("regulars", tr.vouched)
		for _, e := range tr.spared {
			add("regulars", e.hit)
		}
		add("renewing what is refused", tr.events, tr.refusals)
	}
	for k, reads := range tb.standing {
		if reads != nil {
			add(Fact(k).String(), reads.more, reads.than)
		}
	}
	if tb.visits != nil {
		add("visits", tb.visits.all, tb.visits.assets)
	}
	return names
}

// ownReaders visits what a rule itself reads in a table, each under the name
// of the feature, or for the condition that it is written in.
func (p *Plan) ownReaders(rule, t int, visit func(name string, rd reading)) {
	r, rp := p.Rules[rule], &p.rules[rule]
	if rp.table == t {
		for i, rd := range rp.features {
			visit(r.Features[i].Name, rd)
		}
		for _, rd := range rp.when.inline {
			visit("the when", rd)
		}
	}
	for n := range rp.entries {
		e := &rp.entries[n]
		if e.member == t || e.member < 0 && rp.table == t {
			for _, rd := range e.cond.inline {
				visit("the if", rd)
			}
		}
	}
}

// bitText says which events have a table's bit.
func (p *Plan) bitText(r *Rule, t int, bit uint8) string {
	b := p.tables[t].bits[bit]
	if b.where == refusedBit {
		return "what was refused"
	}
	text, where := "all events", []string{}
	for _, c := range []int{b.where, b.cond} {
		switch {
		case c < 0, p.conds[c].Text == trueNode.String():
		case p.conds[c].Text == r.Where.Text:
			text = "what it sees"
		case p.conds[c].tree == nil: // the planner's own, about kinds alone
			text = "all of kind " + strings.Join(enumTexts(event.FieldKind, p.conds[c].Kinds), ", ")
		default:
			where = append(where, p.conds[c].Text)
		}
	}
	if len(where) > 0 {
		text += " where " + strings.Join(where, " and ")
	}
	return text
}

// sizes folds events into a unit and returns the accounted bytes of the one
// key that each table then has. All values differ from event to event but
// those of the keys.
func (p *Plan) sizes(events int) []int {
	u := windows.NewUnit(&p.Layout, 0)
	const first = 1 << 30 // any second
	for n := range events {
		d := &windows.Deltas{Events: []windows.Origin{{Offset: int64(n)}}}
		for i := range p.Layout.Obs {
			d.Obs = append(d.Obs, p.key.HashString(fmt.Sprint("observed", i, n)))
			if p.obs[i].number {
				d.Obs[i] = uint64(n)
			}
		}
		for range p.Layout.Fields {
			d.Values = append(append(d.Values, 8), "12345678"...)
		}
		for t := range p.tables {
			longest := p.Layout.Tables[t].Retain
			at := first + longest*int64(n)/int64(events)
			d.Events[0].Second = at
			row := windows.Row{Key: windows.Key{Hi: uint64(t) + 1, Lo: p.key.HashString(fmt.Sprint("table", t))}, Mask: p.acceptedBits(t), Table: uint16(t)}
			u.Fold(at+1, []windows.Row{row}, []*windows.Deltas{d})
		}
	}
	var st windows.Stats
	u.Stats(&st)
	out := make([]int, len(p.tables))
	for t := range st.Tables {
		out[t] = int(st.Tables[t].Bytes)
	}
	return out
}

// acceptedBits are the bits of a table that an event which was not refused can have.
func (p *Plan) acceptedBits(t int) (mask uint64) {
	for i, b := range p.tables[t].bits {
		if b.where != refusedBit {
			mask |= 1 << i
		}
	}
	return mask
}
