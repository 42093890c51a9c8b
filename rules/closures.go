package rules

import (
	"math"
	"slices"
)

// undefiner is what a condition is evaluated in: it remembers that an
// undefined value was read, for then the whole condition does not hold.
type undefiner interface{ undefine() }

// pred and value are compiled parts of conditions.
type (
	pred[C undefiner]  func(C) bool
	value[C undefiner] func(C) float64
)

// leaves compiles what conditions of one sort read, and what comparisons it
// has a shorter way for. A nil result means that there is no closure for the
// node; where nothing else makes one, the condition runs in the VM.
type leaves[C undefiner] interface {
	pred(n *node) pred[C]
	value(n *node) value[C]
}

// compile turns a checked condition into closures, or returns nil where it
// has a part that there are none for: a comparison of two conditions
// (a > 1) == (b > 1), and membership in a list that is computed, x in [1, y].
func compile[C undefiner](n *node, l leaves[C]) pred[C] {
	switch n.op {
	case opTrue:
		return func(C) bool { return true }
	case opFalse:
		return func(C) bool { return false }
	case opNot:
		a := compile(n.a, l)
		if a == nil {
			return nil
		}
		return func(c C) bool { return !a(c) }
	case opAnd, opOr:
		return compileChain(n, l)
	case opEqual, opLess, opLessEq, opMore, opMoreEq:
		return compileOrder(n, l)
	case opBetween:
		a, lo, hi := compileValue(n.a, l), n.lo, n.hi
		if a == nil {
			return nil
		}
		return func(c C) bool { v := a(c); return lo <= v && v <= hi }
	case opOneOf:
		return compileOneOf(n, l)
	case opSame, opAmong:
		return nil
	}
	return l.pred(n)
}

func compileChain[C undefiner](n *node, l leaves[C]) pred[C] {
	parts := make([]pred[C], len(n.list))
	for i, m := range n.list {
		if parts[i] = compile(m, l); parts[i] == nil {
			return nil
		}
	}
	and := n.op == opAnd
	if len(parts) == 2 {
		a, b := parts[0], parts[1]
		if and {
			return func(c C) bool { return a(c) && b(c) }
		}
		return func(c C) bool { return a(c) || b(c) }
	}
	if and {
		return func(c C) bool {
			for _, p := range parts {
				if !p(c) {
					return false
				}
			}
			return true
		}
	}
	return func(c C) bool {
		for _, p := range parts {
			if p(c) {
				return true
			}
		}
		return false
	}
}

func compileOrder[C undefiner](n *node, l leaves[C]) pred[C] {
	if p := l.pred(n); p != nil {
		return p
	}
	a := compileValue(n.a, l)
	if a == nil {
		return nil
	}
	if k := n.b.num; n.b.op == opNum {
		switch n.op {
		case opEqual:
			return func(c C) bool { return a(c) == k }
		case opLess:
			return func(c C) bool { return a(c) < k }
		case opLessEq:
			return func(c C) bool { return a(c) <= k }
		case opMore:
			return func(c C) bool { return a(c) > k }
		}
		return func(c C) bool { return a(c) >= k }
	}
	b := compileValue(n.b, l)
	if b == nil {
		return nil
	}
	switch n.op {
	case opEqual:
		return func(c C) bool { return a(c) == b(c) }
	case opLess:
		return func(c C) bool { return a(c) < b(c) }
	case opLessEq:
		return func(c C) bool { return a(c) <= b(c) }
	case opMore:
		return func(c C) bool { return a(c) > b(c) }
	}
	return func(c C) bool { return a(c) >= b(c) }
}

// ordered is a comparison with a constant whose operator is known only when
// it is asked: for the leaves' shorter ways, which then are one closure each.
func ordered(o op, v, k float64) bool {
	switch o {
	case opEqual:
		return v == k
	case opLess:
		return v < k
	case opLessEq:
		return v <= k
	case opMore:
		return v > k
	}
	return v >= k
}

// few is up to how many constants are looked through one by one.
const few = 8

func compileOneOf[C undefiner](n *node, l leaves[C]) pred[C] {
	a, nums := compileValue(n.a, l), n.nums
	if a == nil {
		return nil
	}
	if len(nums) <= few {
		return func(c C) bool { return slices.Contains(nums, a(c)) }
	}
	return func(c C) bool {
		_, ok := slices.BinarySearch(nums, a(c))
		return ok
	}
}

// compileValue turns a checked number into closures. Whatever comes out of
// one is finite; where it would not be, the condition is undefined.
func compileValue[C undefiner](n *node, l leaves[C]) value[C] {
	switch n.op {
	case opNum:
		k := n.num
		return func(C) float64 { return k }
	case opNeg:
		a := compileValue(n.a, l)
		if a == nil {
			return nil
		}
		return func(c C) float64 { return -a(c) }
	case opAdd, opSub, opMul, opDiv, opMod:
	default:
		return l.value(n)
	}
	a, b := compileValue(n.a, l), compileValue(n.b, l)
	if a == nil || b == nil {
		return nil
	}
	switch n.op {
	case opAdd:
		return func(c C) float64 { return finite(c, a(c)+b(c)) }
	case opSub:
		return func(c C) float64 { return finite(c, a(c)-b(c)) }
	case opMul:
		return func(c C) float64 { return finite(c, a(c)*b(c)) }
	case opDiv:
		return func(c C) float64 { return finite(c, a(c)/b(c)) }
	}
	return func(c C) float64 { return finite(c, math.Mod(a(c), b(c))) }
}

// finite passes v on; one that is not finite makes the condition undefined.
func finite[C undefiner](c C, v float64) float64 {
	if v-v != 0 {
		c.undefine()
		return 0
	}
	return v
}
