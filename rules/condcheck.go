package rules

import (
	"math"
	"net/netip"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"

	"weir/event"
)

// checker turns syntax into a checked tree. Everything that is not on its
// list of what conditions may contain is refused.
type checker struct {
	*phrase
	opt   Options
	feat  *scope // what a condition on features may name; nil: one on an event
	nodes *int   // of all expressions of the rule
}

// scope is what a condition on features may name, and what it named.
type scope struct {
	features []Feature
	target   bool // good, tried and clean are there
	inline   []Aggregate
	signals  []Signal
	places   []*Fault // of each signal, a fault without a message
}

// condition parses and checks the text as a condition; nil was reported.
func (c *checker) condition() *node {
	root := c.syntax(c.nodes)
	if root == nil {
		return nil
	}
	before := len(c.doc.faults)
	n := c.cond(root)
	if n.op == opBad || len(c.doc.faults) > before {
		return nil
	}
	return n
}

// bad reports a fault at the beginning of n.
func (c *checker) bad(n ast.Node, format string, args ...any) *node {
	at := n.Location().From
	for {
		switch m := n.(type) {
		case *ast.BinaryNode:
			n = m.Left
		case *ast.MemberNode:
			n = m.Node
		case *ast.ConditionalNode:
			n = m.Cond
		case *ast.SliceNode:
			n = m.Node
		case *ast.CallNode:
			n = m.Callee
		default:
			c.fail(min(at, n.Location().From), format, args...)
			return badNode
		}
	}
}

// badOperator reports a fault at the operator of n.
func (c *checker) badOperator(n ast.Node, format string, args ...any) *node {
	c.fail(n.Location().From, format, args...)
	return badNode
}

// cond checks n as a condition.
func (c *checker) cond(n ast.Node) *node {
	t := c.check(n)
	if t.op == opBad || t.typ == tBool {
		return t
	}
	return c.bad(n, "%s, must be a condition (compare it with something)", describe(t))
}

// describe says what a node is, for messages.
func describe(t *node) string {
	switch {
	case t.op == opNum:
		return number(t.num) + " is a number"
	case t.op == opText:
		return quote(t.text) + " is a text"
	case t.typ == tNum && t.binds() == bindAtom:
		return t.text + " is a number"
	case t.typ == tNum:
		return "this is a number"
	case t.typ == tBool && t.binds() == bindAtom && t.text != "":
		return t.text + " is true or false"
	case t.typ == tBool:
		return "this is true or false"
	case t.typ == tAddr && t.field == event.FieldIP:
		return t.text + " is an address"
	case t.typ == tAddr:
		return t.text + " is a network"
	}
	return t.text + " is a text"
}

func (c *checker) check(n ast.Node) *node {
	switch n := n.(type) {
	case *ast.BoolNode:
		return boolNode(n.Value)
	case *ast.IntegerNode:
		return &node{op: opNum, typ: tNum, num: float64(n.Value)}
	case *ast.FloatNode:
		if math.IsInf(n.Value, 0) || math.IsNaN(n.Value) {
			return c.bad(n, "not a finite number")
		}
		return &node{op: opNum, typ: tNum, num: n.Value}
	case *ast.StringNode:
		return &node{op: opText, typ: tText, text: n.Value}
	case *ast.IdentifierNode:
		return c.name(n)
	case *ast.MemberNode:
		return c.extra(n)
	case *ast.UnaryNode:
		return c.unary(n)
	case *ast.BinaryNode:
		return c.binary(n)
	case *ast.CallNode:
		return c.call(n)
	case *ast.ArrayNode:
		return c.bad(n, "a list may stand only on the right of in")
	case *ast.ConditionalNode:
		return c.bad(n, "?: is not available in rules (write and, or)")
	case *ast.VariableDeclaratorNode:
		return c.bad(n, "let is not available in rules")
	case *ast.NilNode:
		return c.bad(n, `nil is not available in rules (a text that is absent is "")`)
	case *ast.PointerNode, *ast.PredicateNode:
		return c.bad(n, "functions of elements (#) are not available in rules")
	case *ast.SliceNode:
		return c.bad(n, "slices are not available in rules")
	case *ast.SequenceNode:
		return c.bad(n, "; is not available in rules: a condition is one expression")
	case *ast.MapNode:
		return c.bad(n, "maps are not available in rules")
	case *ast.ChainNode:
		return c.bad(n, "?. is not available in rules")
	}
	return c.bad(n, "this is not available in rules")
}

// extra checks x.NAME.
func (c *checker) extra(n *ast.MemberNode) *node {
	base, ok := n.Node.(*ast.IdentifierNode)
	property, named := n.Property.(*ast.StringNode)
	switch {
	case !ok || !named || n.Optional || n.Method:
		return c.bad(n, "fields of values and methods are not available in rules")
	case base.Value != "x":
		return c.bad(base, "%s.%s: only the extras have a dot: x.NAME", base.Value, property.Value)
	case c.feat != nil:
		return c.bad(base, "x.%s is a field of events; this condition reads features", property.Value)
	}
	f := c.opt.Extras.Field(property.Value)
	if f == event.NoField {
		return c.bad(base, "unknown extra x.%s%s", property.Value, c.extraHint(property.Value))
	}
	return c.field(f)
}

func (c *checker) extraHint(name string) string {
	if len(c.opt.Extras) == 0 {
		return " (the configuration maps no extras)"
	}
	return didYouMean("x."+name, fieldNames(c.opt.Extras))
}

// field returns the node of an event's field.
func (c *checker) field(f event.Field) *node {
	n := &node{field: f, text: c.opt.Extras.Name(f)}
	switch {
	case f.Number():
		n.op, n.typ = opFieldNum, tNum
	case f == event.FieldDeprecated:
		n.op, n.typ = opFlag, tBool
	case f == event.FieldIP || f == event.FieldNet:
		n.op, n.typ = opAddr, tAddr
	case f == event.FieldKind || f == event.FieldOutcome || f == event.FieldRefused:
		n.op, n.typ = opEnum, tEnum
	default:
		n.op, n.typ = opFieldText, tText
	}
	return n
}

func (c *checker) name(n *ast.IdentifierNode) *node {
	if c.feat != nil {
		return c.featureName(n)
	}
	if n.Value == "time" {
		return c.bad(n, "time is not available in conditions: windows are about time")
	}
	if f := event.FieldByName(n.Value); f != event.NoField {
		return c.field(f)
	}
	if n.Value == "x" {
		return c.bad(n, "x is not a field; extras are written x.NAME")
	}
	if slices.Contains(functionNames, n.Value) {
		return c.bad(n, "%s is a function and needs its arguments: %s", n.Value, usage[n.Value])
	}
	for _, e := range []struct {
		names []string
		field string
	}{{kindNames, "kind"}, {outcomeNames, "outcome"}, {refusedNames, "refused"}} {
		if slices.Contains(e.names, n.Value) {
			return c.bad(n, `unknown name %s (did you mean %s == "%s"?)`, n.Value, e.field, n.Value)
		}
	}
	return c.bad(n, "unknown name %s%s", n.Value, fieldHint(n.Value, c.opt.Extras))
}

func (c *checker) featureName(n *ast.IdentifierNode) *node {
	known := make([]string, 0, len(c.feat.features)+3)
	for i, f := range c.feat.features {
		if f.Name == n.Value {
			return &node{op: opFeature, typ: tNum, index: i, text: f.Name}
		}
		known = append(known, f.Name)
	}
	switch n.Value {
	case "good", "tried", "clean":
		if !c.feat.target {
			return c.bad(n, "%s is about a consequence's target: it is available only in if", n.Value)
		}
	}
	switch n.Value {
	case "good":
		return &node{op: opGood, typ: tNum, text: n.Value}
	case "tried":
		return &node{op: opTried, typ: tNum, text: n.Value}
	case "clean":
		return &node{op: opClean, typ: tBool, text: n.Value}
	}
	if slices.Contains(functionNames, n.Value) {
		return c.bad(n, "%s is a function and needs its arguments: %s", n.Value, usage[n.Value])
	}
	if event.FieldByName(n.Value) != event.NoField {
		return c.bad(n, `%s is a field of events; this condition reads features, such as distinct("10m", %s)`, n.Value, n.Value)
	}
	if c.feat.target {
		known = append(known, "good", "tried", "clean")
	}
	return c.bad(n, "unknown name %s%s", n.Value, didYouMean(n.Value, known))
}

func (c *checker) unary(n *ast.UnaryNode) *node {
	switch n.Operator {
	case "not", "!":
		t := c.cond(n.Node)
		if t.op == opBad {
			return t
		}
		return not(t)
	}
	t := c.number(n.Node)
	if t.op == opBad || n.Operator == "+" {
		return t
	}
	if t.op == opNum {
		return &node{op: opNum, typ: tNum, num: -t.num}
	}
	return &node{op: opNeg, typ: tNum, a: t}
}

// number checks n as a number.
func (c *checker) number(n ast.Node) *node {
	t := c.check(n)
	if t.op == opBad || t.typ == tNum {
		return t
	}
	return c.bad(n, "%s, must be a number", describe(t))
}

var arithmetic = map[string]op{"+": opAdd, "-": opSub, "*": opMul, "/": opDiv, "%": opMod}

func (c *checker) binary(n *ast.BinaryNode) *node {
	switch n.Operator {
	case "and", "&&", "or", "||":
		a, b := c.cond(n.Left), c.cond(n.Right)
		if a.op == opBad || b.op == opBad {
			return badNode
		}
		if n.Operator == "and" || n.Operator == "&&" {
			return and(a, b)
		}
		return or(a, b)
	case "==", "!=":
		t := c.equal(n)
		if n.Operator == "!=" && t.op != opBad {
			return not(t)
		}
		return t
	case "<", "<=", ">", ">=":
		return c.order(n)
	case "in":
		return c.in(n)
	case "contains", "startsWith", "endsWith":
		return c.textual(n)
	case "matches":
		return c.matches(n)
	case "..":
		return c.badOperator(n, "a range may stand only on the right of in")
	}
	if o, ok := arithmetic[n.Operator]; ok {
		a, b := c.number(n.Left), c.number(n.Right)
		if a.op == opBad || b.op == opBad {
			return badNode
		}
		if (o == opDiv || o == opMod) && b.op == opNum && b.num == 0 {
			return c.bad(n.Right, "division by zero")
		}
		return &node{op: o, typ: tNum, a: a, b: b}
	}
	return c.badOperator(n, "%s is not available in rules", n.Operator)
}

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
		if _, ok := parseNumber(other.text); ok {
			hint = " (write " + other.text + " without quotes)"
		} else if strings.HasSuffix(other.text, "%") {
			if _, ok := parseNumber(strings.TrimSuffix(other.text, "%")); ok {
				hint = " (did you mean " + percent(strings.TrimSuffix(other.text, "%")) + "?)"
			}
		}
		return c.bad(at, "%s, compared with the text %s%s", describe(a), quote(other.text), hint)
	case a.typ == tText && other.op == opNum:
		return c.bad(at, `%s, compared with the number %s (write "%s")`, describe(a), number(other.num), number(other.num))
	case a.typ != tNum && a.typ == b.typ:
		return c.bad(n, "%s, which %s", describe(a), why)
	}
	return c.bad(n, "%s and %s: these do not compare", describe(a), describe(other))
}

func parseNumber(s string) (float64, bool) {
	if s == "" || strings.Trim(s, "0123456789.") != "" || strings.Count(s, ".") > 1 || s == "." {
		return 0, false
	}
	return 0, true
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

// addrConstant returns the text that an ip or net must have to equal s.
func addrConstant(f event.Field, s string) (text, problem string) {
	if s == "" {
		return "", ""
	}
	addr, err := netip.ParseAddr(s)
	prefix, errPrefix := netip.ParsePrefix(s)
	if err == nil && addr.Zone() != "" {
		return "", quote(s) + " has a zone, which no event has"
	}
	if f == event.FieldIP {
		switch {
		case err == nil && addr.Is4():
			return addr.String(), ""
		case err == nil && addr.Is4In6():
			return "", quote(s) + " is never equal to ip (write " + addr.Unmap().String() + ")"
		case err == nil:
			p, _ := addr.Prefix(64)
			return "", "ip of IPv6 is its /64 (write " + quote(p.String()) + ")"
		case errPrefix == nil && prefix.Addr().Is6() && prefix.Bits() == 64 && prefix == prefix.Masked():
			return prefix.String(), ""
		case errPrefix == nil:
			return "", quote(s) + " is a network, which ip never equals (use inside(ip, " + quote(s) + "))"
		}
		return "", quote(s) + " is not an address"
	}
	if errPrefix != nil {
		return "", quote(s) + " is not a network: net is the /24 of an address, the /48 in IPv6"
	}
	bits := 24
	if prefix.Addr().Is6() {
		bits = 48
	}
	if prefix.Bits() != bits || prefix != prefix.Masked() {
		return "", quote(s) + " is never equal to net, which is the /24 of an address, the /48 in IPv6 (use inside(ip, " + quote(s) + "))"
	}
	return prefix.String(), ""
}

// textual checks contains, startsWith and endsWith.
func (c *checker) textual(n *ast.BinaryNode) *node {
	a, b := c.check(n.Left), c.check(n.Right)
	if a.op == opBad || b.op == opBad {
		return badNode
	}
	for i, t := range []*node{a, b} {
		at := []ast.Node{n.Left, n.Right}[i]
		switch {
		case t.typ == tAddr:
			return c.bad(at, `%s, not a text (use inside(ip, "203.0.113.0/24"))`, describe(t))
		case t.typ == tEnum:
			return c.bad(at, "%s is one of a fixed set (use == or in)", t.text)
		case t.typ != tText:
			return c.bad(at, "%s, must be a text for %s", describe(t), n.Operator)
		}
	}
	o := map[string]op{"contains": opContains, "startsWith": opStarts, "endsWith": opEnds}[n.Operator]
	return &node{op: o, typ: tBool, a: a, b: b}
}

// maxPattern is how many instructions a pattern may have.
const maxPattern = 1000

func (c *checker) matches(n *ast.BinaryNode) *node {
	a := c.check(n.Left)
	s, ok := n.Right.(*ast.StringNode)
	switch {
	case a.op == opBad:
		return a
	case a.typ != tText:
		return c.bad(n.Left, "%s, must be a text for matches", describe(a))
	case !ok:
		return c.bad(n.Right, "the pattern must be a constant text")
	}
	re, err := syntax.Parse(s.Value, syntax.Perl)
	if err != nil {
		return c.bad(n.Right, "%s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return c.bad(n.Right, "%s", err)
	}
	if len(prog.Inst) > maxPattern {
		return c.bad(n.Right, "the pattern has %d instructions, must be at most %d", len(prog.Inst), maxPattern)
	}
	if _, err := regexp.Compile(s.Value); err != nil {
		return c.bad(n.Right, "%s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return &node{op: opMatches, typ: tBool, a: a, text: s.Value}
}
