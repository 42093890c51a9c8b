package rules

import (
	"math"

	"weir/windows"
)

// shortfall says how many more events a key needs at least before a condition can
// hold: it demands a count, or so many different values, and each event brings one
// at most, while time only takes away. The evaluator reads the rule's features.
type shortfall func(e *evaluator) int

// shortfallOf returns the shortfall of a condition of a rule; nil: nothing bounds it.
func shortfallOf(n *node, r *Rule) shortfall {
	switch n.op {
	case opAnd:
		var all []shortfall
		for _, m := range n.list {
			if d := shortfallOf(m, r); d != nil {
				all = append(all, d)
			}
		}
		return mostShort(all)
	case opOr:
		each := make([]shortfall, len(n.list))
		for i, m := range n.list {
			if each[i] = shortfallOf(m, r); each[i] == nil {
				return nil
			}
		}
		return leastShort(each)
	case opMore:
		if n.b.op == opNum {
			return shortOf(n.a, math.Nextafter(n.b.num, math.Inf(1)), r)
		}
	case opMoreEq:
		if n.b.op == opNum {
			return shortOf(n.a, n.b.num, r)
		}
	}
	return nil
}

// mostShort is where all conditions must hold.
func mostShort(all []shortfall) shortfall {
	if len(all) < 2 {
		if len(all) == 0 {
			return nil
		}
		return all[0]
	}
	return func(e *evaluator) int {
		most := 0
		for _, d := range all {
			if most = max(most, d(e)); most >= windows.MostQuiet {
				break
			}
		}
		return most
	}
}

// leastShort is where one condition of several must hold.
func leastShort(each []shortfall) shortfall {
	return func(e *evaluator) int {
		least := windows.MostQuiet
		for _, d := range each {
			if least = min(least, d(e)); least == 0 {
				break
			}
		}
		return least
	}
}

// shortOf is the shortfall of a feature that must be at least k.
func shortOf(n *node, k float64, r *Rule) shortfall {
	if n.op != opFeature || n.index >= len(r.Features) {
		return nil
	}
	i, k := n.index, math.Ceil(k)
	switch r.Features[i].Func {
	case Count:
	case Distinct:
		k = min(k, windows.ExactDistinct+1) // beyond it is an estimate, which may leap
	default:
		return nil
	}
	return func(e *evaluator) int { return int(max(0, min(k-e.read(i), windows.MostQuiet))) }
}

// quietFor returns how many more events a key may have before one of its table's
// rules could hold, or be near to it. Rules that were not evaluated now count as well:
// the next event may be theirs.
func (u *Unit) quietFor(tb *table, slot uint32, tick int64) uint8 {
	least := windows.MostQuiet + 1
	for _, e := range tb.rules {
		u.ev.at(slot, tick, u.state.plan.rules[e.rule].features, nil)
		u.ev.raw, u.ev.given = nil, nil
		if least = min(least, e.short(u.ev)); least <= 1 {
			return 0
		}
	}
	return uint8(least - 1) // the event that gets there must be looked at
}

// quiets returns, by table, how many events a new key may have before one of its
// rules could hold, or be near to it.
func (p *Plan) quiets() []uint8 {
	if p.watch != nil {
		return nil // somebody wants to see every key
	}
	rows := make([]uint8, len(p.tables))
	for i := range p.tables {
		rows[i] = p.tables[i].quiet
	}
	return rows
}

// setQuiet finds out what quiets says.
func (p *Plan) setQuiet(tb *table) {
	if len(tb.rules) == 0 {
		return
	}
	least := windows.MostQuiet + 1
	for _, e := range tb.rules {
		if e.short == nil {
			return
		}
		none := evaluator{have: make([]bool, len(p.rules[e.rule].features)), features: p.rules[e.rule].features}
		none.cache = make([]float64, len(none.have))
		for i := range none.have {
			none.have[i] = true
		}
		least = min(least, e.short(&none))
	}
	tb.quiet = uint8(max(least, 1) - 1)
}
