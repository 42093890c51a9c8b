package rules

import (
	"net/netip"
	"regexp/syntax"
	"strings"

	"github.com/expr-lang/expr/ast"

	"weir/event"
)

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

// budget is what the expressions of a rule have used up of what a rule may
// cost; see docs/adr/0004.
type budget struct{ nodes, instructions int }

// maxPattern is how many instructions the patterns of a rule may have together.
// Against the worst text of MaxField bytes, 250 take about two milliseconds.
const maxPattern = 250

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
	large := patternSize(re) > 2*maxPattern
	if !large {
		prog, err := syntax.Compile(re.Simplify())
		if err != nil {
			return c.bad(n.Right, "%s", err)
		}
		c.spent.instructions += len(prog.Inst)
		large = c.spent.instructions > maxPattern
	}
	if large {
		return c.bad(n.Right, "the patterns of the rule have more than %d instructions together", maxPattern)
	}
	return &node{op: opMatches, typ: tBool, a: a, text: s.Value}
}

// patternSize estimates how many instructions a pattern has, before its
// repetitions are written out: a few bytes can stand for millions.
func patternSize(re *syntax.Regexp) int {
	size := 1 + len(re.Rune)
	if re.Op == syntax.OpCharClass {
		size = 1
	}
	for _, sub := range re.Sub {
		size += patternSize(sub)
	}
	if re.Op == syntax.OpRepeat {
		size *= max(re.Min, re.Max, 1)
	}
	return min(size, 1<<20)
}
