package rules

import (
	"net/netip"

	"weir/event"
)

// op is what a node of a checked condition does.
type op uint8

const (
	opBad op = iota // was reported

	// Conditions.
	opTrue
	opFalse
	opAnd      // of list, left to right
	opOr       // of list, left to right
	opNot      // of a
	opSame     // a == b, both conditions
	opEqual    // a == b, numbers
	opLess     // a < b
	opLessEq   // a <= b
	opMore     // a > b
	opMoreEq   // a >= b
	opBetween  // a in lo..hi
	opOneOf    // a in nums
	opAmong    // a in list, some of which are not constant
	opTextSame // a == b, texts
	opTextIn   // a in texts
	opContains
	opStarts
	opEnds
	opMatches  // a matches text
	opEnumIn   // field in mask
	opAddrIn   // field in texts: addresses or networks
	opInside   // field inside prefix
	opFlag     // deprecated
	opStanding // index: a Fact
	opLookup   // field in the set called text
	opSignal   // index
	opClean

	// Numbers.
	opNum
	opFieldNum
	opFeature // index; inline aggregates follow the rule's features
	opGood
	opTried
	opNeg
	opAdd
	opSub
	opMul
	opDiv
	opMod

	// Texts.
	opText
	opFieldText

	// What only stands on one side of a comparison.
	opEnum // the field kind, outcome or refused
	opAddr // the field ip or net
)

// typ is what a node is.
type typ uint8

const (
	tNone typ = iota
	tBool
	tNum
	tText
	tEnum
	tAddr
)

// node is a checked condition or part of one. It is made once and not changed.
type node struct {
	op     op
	a, b   *node
	list   []*node
	num    float64
	lo, hi float64
	nums   []float64 // ascending
	text   string    // a constant, or a name in canonical form
	texts  []string  // ascending
	field  event.Field
	index  int
	mask   uint32
	prefix netip.Prefix
	typ    typ
}

var (
	trueNode  = &node{op: opTrue, typ: tBool}
	falseNode = &node{op: opFalse, typ: tBool}
	badNode   = &node{op: opBad}
)

func boolNode(b bool) *node {
	if b {
		return trueNode
	}
	return falseNode
}

// not negates a condition. Two negations are none: what is undefined is
// undefined either way.
func not(n *node) *node {
	switch n.op {
	case opNot:
		return n.a
	case opTrue:
		return falseNode
	case opFalse:
		return trueNode
	}
	return &node{op: opNot, typ: tBool, a: n}
}

// and joins conditions that must all hold. Those inside an "and" join the
// others, true ones and repetitions go.
func and(ns ...*node) *node { return join(opAnd, opTrue, ns) }

// or joins conditions of which one must hold.
func or(ns ...*node) *node { return join(opOr, opFalse, ns) }

func join(o, neutral op, ns []*node) *node {
	var list []*node
	for _, n := range ns {
		if n.op == o {
			list = append(list, n.list...)
		} else if n.op != neutral {
			list = append(list, n)
		}
	}
	var kept []*node
	have := map[string]bool{}
	for _, n := range list {
		text := n.String()
		if !have[text] {
			have[text] = true
			kept = append(kept, n)
		}
	}
	switch len(kept) {
	case 0:
		if o == opAnd {
			return trueNode
		}
		return falseNode
	case 1:
		return kept[0]
	}
	return &node{op: o, typ: tBool, list: kept}
}

// each calls visit for n and everything below it.
func (n *node) each(visit func(*node)) {
	if n == nil {
		return
	}
	visit(n)
	n.a.each(visit)
	n.b.each(visit)
	for _, m := range n.list {
		m.each(visit)
	}
}

// allKinds is the mask of a condition that says nothing about kinds.
const allKinds = ^uint32(0)

// kinds returns the kinds of an event for which a condition may hold, and
// those for which it may fail.
func (n *node) kinds() (holds, fails uint32) {
	switch n.op {
	case opTrue:
		return allKinds, 0
	case opFalse:
		return 0, allKinds
	case opNot:
		holds, fails = n.a.kinds()
		return fails, holds
	case opAnd:
		holds = allKinds
		for _, m := range n.list {
			h, f := m.kinds()
			holds, fails = holds&h, fails|f
		}
		return holds, fails
	case opOr:
		fails = allKinds
		for _, m := range n.list {
			h, f := m.kinds()
			holds, fails = holds|h, fails&f
		}
		return holds, fails
	case opEnumIn:
		if n.field == event.FieldKind {
			return n.mask, ^n.mask
		}
	}
	return allKinds, allKinds
}
