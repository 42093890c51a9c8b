package rules

import (
	"net/netip"
	"slices"

	"github.com/expr-lang/expr/ast"

	"weir/event"
)

// call checks a call inside a condition.
func (c *checker) call(n *ast.CallNode) *node {
	callee, ok := n.Callee.(*ast.IdentifierNode)
	if !ok {
		return c.bad(n, "methods are not available in rules")
	}
	_, aggregate := funcByName(callee.Value)
	switch {
	case aggregate && c.feat == nil:
		return c.bad(n, "%s is an aggregate; a condition on one event cannot use it", callee.Value)
	case aggregate:
		return c.inline(n)
	case callee.Value == "signal" && c.feat == nil:
		return c.bad(n, "signal is about keys; a condition on one event cannot use it")
	case callee.Value == "signal":
		return c.signal(n)
	case slices.Contains(conditionFunctions, callee.Value) && c.feat != nil:
		return c.bad(n, `%s is about events; use it inside an aggregate: count("10m", %s)`, callee.Value, usage[callee.Value])
	}
	if k := slices.Index(factNames[:], callee.Value); k >= 0 {
		return c.standing(n, Fact(k))
	}
	switch callee.Value {
	case "lookup":
		return c.lookup(n)
	case "inside":
		return c.inside(n)
	}
	if ownNames[callee.Value] != nil {
		return c.bad(n, "the function %s is not available in rules%s", callee.Value, c.functionHint(callee.Value))
	}
	return c.bad(n, "unknown function %s%s", callee.Value, c.functionHint(callee.Value))
}

func (c *checker) functionHint(name string) string {
	if c.feat == nil {
		return didYouMean(name, conditionFunctions)
	}
	return didYouMean(name, append(slices.Clone(aggregateNames), "signal"))
}

// arguments checks how many there are.
func (c *checker) arguments(n *ast.CallNode, name string, want int) bool {
	if len(n.Arguments) == want {
		return true
	}
	c.bad(n, "%s takes %s", name, usage[name])
	return false
}

// inline checks an aggregate inside a condition on features.
func (c *checker) inline(n *ast.CallNode) *node {
	a, ok := c.aggregate(n)
	if !ok {
		return badNode
	}
	text := a.text(c.opt.Extras)
	i := slices.IndexFunc(c.feat.inline, func(b Aggregate) bool { return b.text(c.opt.Extras) == text })
	if i < 0 {
		i = len(c.feat.inline)
		c.feat.inline = append(c.feat.inline, a)
	}
	return &node{op: opFeature, typ: tNum, index: len(c.feat.features) + i, text: text}
}

// signal checks signal("rule.id", "1h").
func (c *checker) signal(n *ast.CallNode) *node {
	if !c.arguments(n, "signal", 2) {
		return badNode
	}
	id, ok := n.Arguments[0].(*ast.StringNode)
	if !ok {
		return c.bad(n.Arguments[0], `must be a rule's id in quotes, such as "ato.stuffing_source"`)
	}
	if _, isWindow := windowByName(id.Value); isWindow {
		return c.bad(id, "the rule comes first: %s", usage["signal"])
	}
	w, ok := c.window(n.Arguments[1])
	if !ok {
		return badNode
	}
	s := Signal{Rule: id.Value, Window: w}
	i := slices.Index(c.feat.signals, s)
	if i < 0 {
		i = len(c.feat.signals)
		c.feat.signals = append(c.feat.signals, s)
		c.feat.places = append(c.feat.places, c.at(id.Location().From, ""))
	}
	return &node{op: opSignal, typ: tBool, index: i, text: "signal(" + quote(s.Rule) + ", " + quote(windowName(w)) + ")"}
}

// standing checks known(field), denied(field) and seen(field).
func (c *checker) standing(n *ast.CallNode, k Fact) *node {
	name := k.String()
	if !c.arguments(n, name, 1) {
		return badNode
	}
	f, ok := c.fieldArgument(n.Arguments[0])
	if !ok {
		return badNode
	}
	if !f.Keyable() {
		return c.bad(n.Arguments[0], "%s of %s: %s", name, f, notKeyable)
	}
	return &node{op: opStanding, typ: tBool, index: int(k), field: f, text: name + "(" + c.opt.Extras.Name(f) + ")"}
}

// lookup checks lookup("name", field).
func (c *checker) lookup(n *ast.CallNode) *node {
	if !c.arguments(n, "lookup", 2) {
		return badNode
	}
	name, ok := n.Arguments[0].(*ast.StringNode)
	if !ok {
		return c.bad(n.Arguments[0], "must be the name of a lookup in quotes: %s", usage["lookup"])
	}
	if !slices.Contains(c.opt.Lookups, name.Value) {
		hint := didYouMean(name.Value, c.opt.Lookups)
		if len(c.opt.Lookups) == 0 {
			hint = " (the configuration has no lookups)"
		}
		return c.bad(name, "unknown lookup %s%s", quote(name.Value), hint)
	}
	f, ok := c.fieldArgument(n.Arguments[1])
	if !ok {
		return badNode
	}
	if f == event.FieldTime {
		return c.bad(n.Arguments[1], "time is not available in conditions: windows are about time")
	}
	text := "lookup(" + quote(name.Value) + ", " + c.opt.Extras.Name(f) + ")"
	return &node{op: opLookup, typ: tBool, field: f, texts: []string{name.Value}, text: text}
}

// inside checks inside(ip, "CIDR").
func (c *checker) inside(n *ast.CallNode) *node {
	if !c.arguments(n, "inside", 2) {
		return badNode
	}
	if id, ok := n.Arguments[0].(*ast.IdentifierNode); !ok || id.Value != "ip" {
		return c.bad(n.Arguments[0], "inside is for ip: %s", usage["inside"])
	}
	s, ok := n.Arguments[1].(*ast.StringNode)
	if !ok {
		return c.bad(n.Arguments[1], "the network must be a constant text")
	}
	p, err := netip.ParsePrefix(s.Value)
	switch {
	case err != nil:
		hint := ""
		if a, err := netip.ParseAddr(s.Value); err == nil && a.Zone() == "" {
			hint = " (write " + quote(netip.PrefixFrom(a, a.BitLen()).String()) + ")"
		}
		return c.bad(s, "%s is not a network%s", quote(s.Value), hint)
	case p != p.Masked():
		return c.bad(s, "%s has bits behind its prefix (write %s)", quote(s.Value), quote(p.Masked().String()))
	case p.Addr().Is4In6():
		return c.bad(s, "%s holds IPv4 addresses in IPv6 form, which no event has", quote(s.Value))
	case p.Addr().Is6() && p.Bits() > 64:
		return c.bad(s, "%s is narrower than a /64, which is what ip of IPv6 is", quote(s.Value))
	}
	return &node{op: opInside, typ: tBool, field: event.FieldIP, prefix: p, text: "inside(ip, " + quote(p.String()) + ")"}
}
