package rules

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// order checks < <= > >=. A constant goes to the right.
func (c *checker) order(n *ast.BinaryNode) *node {
	a, b := c.check(n.Left), c.check(n.Right)
	if a.op == opBad || b.op == opBad {
		return badNode
	}
	if a.typ != tNum || b.typ != tNum {
		return c.mismatch(n, a, b, "has an order only among numbers")
	}
	o := map[string]op{"<": opLess, "<=": opLessEq, ">": opMore, ">=": opMoreEq}[n.Operator]
	if a.op == opNum && b.op != opNum {
		a, b = b, a
		o = map[op]op{opLess: opMore, opLessEq: opMoreEq, opMore: opLess, opMoreEq: opLessEq}[o]
	}
	return &node{op: o, typ: tBool, a: a, b: b}
}

// mismatch reports a comparison of two things that do not compare.
func (c *checker) mismatch(n *ast.BinaryNode, a, b *node, why string) *node {
	at, other := n.Right, b
	if a.op == opText || a.op == opNum {
		at, other, a = n.Left, a, b
	}
	switch {
	case a.typ == tNum && other.op == opText:
		hint := ""
		if looksNumeric(other.text) {
			hint = " (write " + other.text + " without quotes)"
		} else if share, ok := strings.CutSuffix(other.text, "%"); ok && looksNumeric(share) {
			hint = " (did you mean " + percent(share) + "?)"
		}
		return c.bad(at, "%s, compared with the text %s%s", describe(a), quote(other.text), hint)
	case a.typ == tText && other.op == opNum:
		return c.bad(at, `%s, compared with the number %s (write "%s")`, describe(a), number(other.num), number(other.num))
	case a.typ != tNum && a.typ == b.typ:
		return c.bad(n, "%s, which %s", describe(a), why)
	}
	return c.bad(n, "%s and %s: these do not compare", describe(a), describe(other))
}

// looksNumeric reports whether a text could be meant as a number.
func looksNumeric(s string) bool {
	if s == "" || strings.Trim(s, "0123456789.") != "" || strings.Count(s, ".") > 1 || s == "." {
		return false
	}
	return true
}

// equal checks ==.
func (c *checker) equal(n *ast.BinaryNode) *node {
	a, b := c.check(n.Left), c.check(n.Right)
	if a.op == opBad || b.op == opBad {
		return badNode
	}
	left, right := n.Left, n.Right
	constant := func(t *node) bool { return t.op == opNum || t.op == opText || t.op == opTrue || t.op == opFalse }
	if constant(a) && !constant(b) {
		a, b, left, right = b, a, right, left
	}
	switch {
	case a.typ == tNum && b.typ == tNum:
		return &node{op: opEqual, typ: tBool, a: a, b: b}
	case a.typ == tBool && b.typ == tBool:
		switch b.op {
		case opTrue:
			return a
		case opFalse:
			return not(a)
		}
		return &node{op: opSame, typ: tBool, a: a, b: b}
	case a.typ == tText && b.typ == tText:
		if b.op == opText && a.op != opText {
			return &node{op: opTextIn, typ: tBool, a: a, texts: []string{b.text}}
		}
		return &node{op: opTextSame, typ: tBool, a: a, b: b}
	case (a.typ == tEnum || a.typ == tAddr) && b.op == opText:
		return c.constants(a, []*node{b}, []ast.Node{right})
	case a.typ == tEnum || a.typ == tAddr:
		return c.bad(left, "%s is compared only with constants", a.text)
	case b.typ == tEnum || b.typ == tAddr:
		return c.bad(right, "%s is compared only with constants", b.text)
	}
	return c.mismatch(n, a, b, "cannot be compared so")
}

// in checks membership in a list of constants, in a range, or in a list of
// numbers that are computed.
func (c *checker) in(n *ast.BinaryNode) *node {
	a := c.check(n.Left)
	if r, ok := n.Right.(*ast.BinaryNode); ok && r.Operator == ".." {
		lo, hi := c.number(r.Left), c.number(r.Right)
		switch {
		case a.op == opBad || lo.op == opBad || hi.op == opBad:
			return badNode
		case a.typ != tNum:
			return c.bad(n.Left, "%s, must be a number to be in a range", describe(a))
		case lo.op != opNum || hi.op != opNum:
			return c.bad(n.Right, "the ends of a range must be numbers, not computed")
		case lo.num > hi.num:
			return c.bad(n.Right, "the range %s..%s is empty", number(lo.num), number(hi.num))
		}
		return &node{op: opBetween, typ: tBool, a: a, lo: lo.num, hi: hi.num}
	}
	array, ok := n.Right.(*ast.ArrayNode)
	if !ok {
		if a.op != opBad {
			c.checkCIDR(a, n.Right)
		}
		return c.bad(n.Right, "in needs a list, such as [1, 2], or a range, such as 400..499")
	}
	if len(array.Nodes) == 0 {
		return c.bad(array, "the list is empty")
	}
	var list []*node
	for _, e := range array.Nodes {
		list = append(list, c.check(e))
	}
	if a.op == opBad || slices.ContainsFunc(list, func(t *node) bool { return t.op == opBad }) {
		return badNode
	}
	if a.typ == tBool {
		return c.bad(n.Left, "%s: in is for numbers and texts", describe(a))
	}
	want, constant := a.typ, true
	if want == tEnum || want == tAddr {
		want = tText
	}
	for i, t := range list {
		if t.typ != want {
			fake := &ast.BinaryNode{Operator: "==", Left: n.Left, Right: array.Nodes[i]}
			fake.SetLocation(array.Nodes[i].Location())
			return c.mismatch(fake, a, t, "cannot be compared so")
		}
		constant = constant && (t.op == opNum || t.op == opText)
	}
	switch {
	case !constant && (a.typ == tNum || a.typ == tText):
		return &node{op: opAmong, typ: tBool, a: a, list: list}
	case a.typ == tNum:
		var nums []float64
		for _, t := range list {
			nums = append(nums, t.num)
		}
		slices.Sort(nums)
		nums = slices.Compact(nums)
		if len(nums) == 1 {
			return &node{op: opEqual, typ: tBool, a: a, b: &node{op: opNum, typ: tNum, num: nums[0]}}
		}
		return &node{op: opOneOf, typ: tBool, a: a, nums: nums}
	}
	return c.constants(a, list, array.Nodes)
}

// checkCIDR gives the hint for an address compared with a network.
func (c *checker) checkCIDR(a *node, right ast.Node) {
	s, ok := right.(*ast.StringNode)
	if !ok || a.typ != tAddr {
		return
	}
	if _, err := netip.ParsePrefix(s.Value); err == nil {
		c.fail(right.Location().From, `%s is a network (use inside(ip, "%s"))`, quote(s.Value), s.Value)
	}
}

// constants checks a == b and a in list, where the list is of texts.
func (c *checker) constants(a *node, list []*node, at []ast.Node) *node {
	out := &node{typ: tBool, a: a, field: a.field}
	for i, t := range list {
		switch a.typ {
		case tEnum:
			k := slices.Index(enumNames(a.field), t.text)
			if k < 0 {
				return c.bad(at[i], "unknown %s %s%s; there are %s", a.text, quote(t.text),
					didYouMean(t.text, enumNames(a.field)[1:]), among(enumNames(a.field)[1:]))
			}
			out.mask |= 1 << k
		case tAddr:
			text, problem := addrConstant(a.field, t.text)
			if problem != "" {
				return c.bad(at[i], "%s", problem)
			}
			out.texts = append(out.texts, text)
		default:
			out.texts = append(out.texts, t.text)
		}
	}
	slices.Sort(out.texts)
	out.texts = slices.Compact(out.texts)
	out.op = map[typ]op{tEnum: opEnumIn, tAddr: opAddrIn, tText: opTextIn}[a.typ]
	return out
}

// among names what there is, without asking the reader to choose.
func among(names []string) string { return strings.Join(names, ", ") }
