package rules

import (
	"math"

	"weir/windows"
)

// eventsFor returns how many events of its where a rule's key has had at least,
// over its whole life, if a condition holds. Most keys of a site are seen a few
// times only: they need no look at what is kept of them.
func eventsFor(n *node, r *Rule) uint8 {
	switch n.op {
	case opAnd:
		most := uint8(0)
		for _, m := range n.list {
			most = max(most, eventsFor(m, r))
		}
		return most
	case opOr:
		least := uint8(windows.ManyRows)
		for _, m := range n.list {
			least = min(least, eventsFor(m, r))
		}
		return least
	case opMore:
		return eventsOf(n.a, n.b, math.Nextafter(n.b.num, math.Inf(1)), r)
	case opMoreEq, opEqual:
		return eventsOf(n.a, n.b, n.b.num, r)
	case opBetween:
		return eventsOf(n.a, nil, n.lo, r)
	}
	return 0
}

// eventsOf returns how many events a key has had where a number of it is at
// least least; b is what the number is compared with, nil for a constant.
func eventsOf(a, b *node, least float64, r *Rule) uint8 {
	if a.op != opFeature || a.index >= len(r.Features) || b != nil && b.op != opNum {
		return 0
	}
	switch r.Features[a.index].Func {
	case Count:
	case Distinct:
		least = min(least, windows.ExactDistinct) // beyond, it is an estimate
	default:
		return 0
	}
	return uint8(max(0, min(math.Ceil(least), windows.ManyRows)))
}
