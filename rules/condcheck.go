package rules

import (
	"math"
	"slices"

	"github.com/expr-lang/expr/ast"

	"weir/event"
)

// checker turns syntax into a checked tree. Everything that is not on its
// list of what conditions may contain is refused.
type checker struct {
	*phrase
	opt   Options
	feat  *scope  // what a condition on features may name; nil: one on an event
	spent *budget // by all expressions of the rule
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
	root := c.syntax(&c.spent.nodes)
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
