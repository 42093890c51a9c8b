package rules

import (
	"slices"
	"strconv"
	"strings"

	"weir/event"
)

// The order in which parts bind, loosest first.
const (
	bindOr = iota
	bindAnd
	bindNot
	bindCompare
	bindSum
	bindProduct
	bindUnary
	bindAtom
)

func (n *node) binds() int {
	switch n.op {
	case opOr:
		return bindOr
	case opAnd:
		return bindAnd
	case opNot:
		switch n.a.op {
		case opEqual, opTextSame, opTextIn, opOneOf, opAmong, opBetween, opEnumIn, opAddrIn, opContains, opStarts, opEnds, opMatches, opSame:
			return bindCompare
		}
		return bindNot
	case opSame, opEqual, opLess, opLessEq, opMore, opMoreEq, opBetween, opOneOf, opAmong,
		opTextSame, opTextIn, opContains, opStarts, opEnds, opMatches, opEnumIn, opAddrIn:
		return bindCompare
	case opAdd, opSub:
		return bindSum
	case opMul, opDiv, opMod:
		return bindProduct
	case opNeg:
		return bindUnary
	case opNum:
		if n.num < 0 {
			return bindUnary
		}
	}
	return bindAtom
}

// String returns the condition in canonical form: spellings of the same tree
// (&& and and, spaces, parentheses, the order of constants) come out equal.
func (n *node) String() string {
	var p printer
	p.node(n)
	return p.b.String()
}

// printer writes conditions. leaf, where it is set, may write a node in another way.
type printer struct {
	b    strings.Builder
	leaf func(p *printer, n *node) bool
}

// part writes n where only what binds tighter than level may stand bare.
func (p *printer) part(n *node, level int) {
	if n.binds() > level {
		p.node(n)
		return
	}
	p.b.WriteByte('(')
	p.node(n)
	p.b.WriteByte(')')
}

func (p *printer) node(n *node) {
	if p.leaf != nil && p.leaf(p, n) {
		return
	}
	switch n.op {
	case opTrue:
		p.b.WriteString("true")
	case opFalse:
		p.b.WriteString("false")
	case opAnd:
		p.chain(n.list, " and ", bindAnd)
	case opOr:
		p.chain(n.list, " or ", bindOr)
	case opNot:
		p.negated(n.a)
	case opSame, opEqual, opTextSame, opLess, opLessEq, opMore, opMoreEq, opContains, opStarts, opEnds:
		p.infix(n.a, infix[n.op], n.b, bindCompare)
	case opBetween, opOneOf, opAmong, opTextIn, opMatches, opEnumIn, opAddrIn:
		p.member(n, "")
	case opAdd, opMul, opSub, opDiv, opMod:
		p.infix(n.a, infix[n.op], n.b, n.binds())
	case opNeg:
		p.b.WriteByte('-')
		p.part(n.a, bindUnary)
	case opNum:
		p.b.WriteString(number(n.num))
	case opText:
		p.b.WriteString(quote(n.text))
	default:
		p.b.WriteString(n.text) // names and calls carry theirs
	}
}

var infix = map[op]string{
	opSame: "==", opEqual: "==", opTextSame: "==", opLess: "<", opLessEq: "<=", opMore: ">", opMoreEq: ">=",
	opContains: "contains", opStarts: "startsWith", opEnds: "endsWith",
	opAdd: "+", opSub: "-", opMul: "*", opDiv: "/", opMod: "%",
}

func (p *printer) chain(list []*node, by string, level int) {
	for i, m := range list {
		if i > 0 {
			p.b.WriteString(by)
		}
		p.part(m, level)
	}
}

// infix writes a and b with an operator between. On the right only what binds
// tighter stands bare; on the left also what binds alike, except that
// comparisons do not chain.
func (p *printer) infix(a *node, operator string, b *node, level int) {
	left := level
	if level != bindCompare {
		left--
	}
	p.part(a, left)
	p.b.WriteByte(' ')
	p.b.WriteString(operator)
	p.b.WriteByte(' ')
	p.part(b, level)
}

func (p *printer) negated(a *node) {
	switch a.op {
	case opSame, opEqual, opTextSame:
		p.infix(a.a, "!=", a.b, bindCompare)
	case opContains, opStarts, opEnds:
		p.infix(a.a, "not "+infix[a.op], a.b, bindCompare)
	case opBetween, opOneOf, opAmong, opTextIn, opMatches, opEnumIn, opAddrIn:
		p.member(a, "not ")
	default:
		p.b.WriteString("not ")
		p.part(a, bindCompare)
	}
}

// member writes "a in ..." and its kin.
func (p *printer) member(n *node, negation string) {
	p.part(n.a, bindCompare)
	p.b.WriteByte(' ')
	switch n.op {
	case opMatches:
		p.b.WriteString(negation + "matches " + quote(n.text))
	case opBetween:
		p.b.WriteString(negation + "in " + number(n.lo) + ".." + number(n.hi))
	case opAmong:
		p.b.WriteString(negation + "in [")
		p.chain(n.list, ", ", bindOr-1)
		p.b.WriteByte(']')
	case opOneOf:
		var s []string
		for _, v := range n.nums {
			s = append(s, number(v))
		}
		p.b.WriteString(negation + "in [" + strings.Join(s, ", ") + "]")
	default:
		texts := n.texts
		if n.op == opEnumIn {
			texts = enumTexts(n.field, n.mask)
		}
		if len(texts) == 1 {
			if negation == "" {
				p.b.WriteString("== ")
			} else {
				p.b.WriteString("!= ")
			}
			p.b.WriteString(quote(texts[0]))
			return
		}
		var s []string
		for _, t := range texts {
			s = append(s, quote(t))
		}
		p.b.WriteString(negation + "in [" + strings.Join(s, ", ") + "]")
	}
}

// number writes a constant as people do, unless it has very many digits.
func number(v float64) string {
	if v >= 1e15 || v <= -1e15 {
		return strconv.FormatFloat(v, 'e', -1, 64)
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// quote writes a constant so that expr reads the same text again.
func quote(s string) string { return strconv.Quote(s) }

// enumNames returns the texts that a field of a fixed set may have, the empty
// one first.
func enumNames(f event.Field) []string {
	switch f {
	case event.FieldKind:
		return append([]string{""}, kindNames...)
	case event.FieldOutcome:
		return append([]string{""}, outcomeNames...)
	}
	return append([]string{""}, refusedNames...)
}

func enumTexts(f event.Field, mask uint32) []string {
	var s []string
	for i, n := range enumNames(f) {
		if mask&(1<<i) != 0 {
			s = append(s, n)
		}
	}
	slices.Sort(s)
	return s
}
